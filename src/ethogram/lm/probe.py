"""Asks an endpoint what it can really do, on prompts that ask for something else than what it is held to.

A claim counts only where the reply shows it: a schema is kept though the question wants prose, a grammar yields one
of two words, log-probabilities come with numbers. The facts are kept for a week under the endpoint's identity.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ethogram import folders
from ethogram.errors import BadReply, EndpointBusy, EndpointDown, EndpointRefused
from ethogram.lm.capabilities import Capabilities, Scoring

if TYPE_CHECKING:
    from ethogram.lm.endpoint import Endpoint

KEPT_SECONDS = 7 * 86_400
_ASKED = "Tell me in one sentence what a river is."
_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "enum": [7, 8]}}, "required": ["n"]}
_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def place(identity: str) -> Path:
    """File in which the facts about an endpoint are kept."""
    return folders.cache() / "lm" / "endpoints" / f"{blake2b(identity.encode(), digest_size=8).hexdigest()}.json"


async def capabilities(at: Endpoint, *, again: bool = False) -> Capabilities:
    """The facts about an endpoint: those kept, or asked for now (`again` asks anyway).

    Raises
    ------
    LMError
        The endpoint cannot be reached, or refuses a plain question.
    """
    path = place(at.identity)
    if not again and path.is_file() and time.time() - path.stat().st_mtime < KEPT_SECONDS:
        try:
            return Capabilities(**json.loads(path.read_text("utf-8"))["facts"])
        except (ValueError, KeyError, TypeError):  # of another version
            pass
    found = await _asked(at)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps({"identity": at.identity, "facts": found.json()}, indent=1), "utf-8")
    fresh.replace(path)
    return found


def kept() -> dict[str, Capabilities]:
    """Identity -> facts, of everything that was probed."""
    found = {}
    for path in sorted((folders.cache() / "lm" / "endpoints").glob("*.json")):
        try:
            told = json.loads(path.read_text("utf-8"))
            found[str(told["identity"])] = Capabilities(**told["facts"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


async def _asked(at: Endpoint) -> Capabilities:
    name = await at.model()

    async def chat(tokens: int = 24, **more: Any) -> dict[str, Any]:
        body = {
            "model": name,
            "messages": [{"role": "user", "content": _ASKED}],
            "max_tokens": tokens,
            "temperature": 0,
        }
        reply = await at.post("/chat/completions", body | more)
        choice = (reply.get("choices") or [{}])[0]
        return choice if isinstance(choice, dict) else {}

    async def text(**more: Any) -> str:
        return str((await chat(**more)).get("message", {}).get("content") or "")

    await chat(1)  # a plain question must work; what it raises is raised
    props = await _or_none(at.get("/props", root=True))
    llama = bool(props and "chat_template" in props)
    schema = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": _SCHEMA}}
    held = await _or_none(text(response_format=schema))
    loose = await _or_none(text(tokens=8, response_format={"type": "json_object"}))
    word = await _or_none(text(grammar='root ::= "zebra" | "quark"'))
    scores = await _or_none(chat(1, logprobs=True, top_logprobs=20))
    called = await _or_none(chat(32, tools=[_TOOL], tool_choice="required"))
    prompted, streams = await _scoring(at, name, llama), await _streams(at, name)
    embedded = {"model": name, "input": ["a"]}
    try:
        vectors = await _or_none(at.post("/embeddings", embedded))
    except EndpointDown:  # a server may still be closing the connection of the stream before
        vectors = await _or_none(at.post("/embeddings", embedded))
    return Capabilities(
        server="llama.cpp" if llama else "openai",
        context=await _context(at, props),
        json_schema=_json(held) in ({"n": 7}, {"n": 8}),
        json_object=(loose or "").lstrip().startswith("{"),
        grammar=word in ("zebra", "quark"),
        top_logprobs=_top(scores),
        prompt_logprobs=prompted,
        tools=bool((called or {}).get("message", {}).get("tool_calls")),
        stream=streams,
        embeddings=bool((vectors or {}).get("data")),
        seed=await _seeded(text),
    )


async def _or_none(asked: Awaitable[Any]) -> Any:
    """What was asked, None where the endpoint refuses it; an endpoint that is busy or away is no answer."""
    try:
        return await asked
    except (EndpointRefused, BadReply):
        return None
    except EndpointBusy as error:
        # servers answer 500 to what they do not know
        if " 5" in str(error):
            return None
        raise


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def _top(choice: dict[str, Any] | None) -> int:
    try:
        return len((choice or {})["logprobs"]["content"][0]["top_logprobs"])
    except (KeyError, IndexError, TypeError):
        return 0


async def _context(at: Endpoint, props: dict[str, Any] | None) -> int | None:
    if props and isinstance(n := (props.get("default_generation_settings") or {}).get("n_ctx"), int):
        return n
    models = await _or_none(at.get("/models")) or {}
    first = (models.get("data") or [{}])[0]
    size = first.get("max_model_len") or (first.get("meta") or {}).get("n_ctx")
    return int(size) if size else None


async def _scoring(at: Endpoint, name: str, llama: bool) -> Scoring:
    if llama:
        asked = {"prompt": "a b", "n_predict": 1, "n_probs": 1, "temperature": 0}
        told = await _or_none(at.post("/completion", asked, root=True)) or {}
        if told.get("completion_probabilities"):
            return "forced"
    body = {"model": name, "prompt": "a river is water", "max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0}
    told = await _or_none(at.post("/completions", body)) or {}
    try:
        scores = told["choices"][0]["logprobs"]
        # the first token of a prompt has no probability; a server that ignores echo tells of one token only
        return "echo" if len(scores["token_logprobs"]) > 2 and len(scores["text_offset"]) > 2 else "none"
    except (KeyError, IndexError, TypeError):
        return "none"


async def _streams(at: Endpoint, name: str) -> bool:
    body = {"model": name, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, "temperature": 0}
    try:
        async for event in at.stream("/chat/completions", json.dumps(body).encode(), 60.0):
            if "choices" in json.loads(event):
                return True
    except (EndpointRefused, EndpointBusy, BadReply, EndpointDown, ValueError):
        return False
    return False


async def _seeded(text: Any) -> bool:
    hot = {"temperature": 1.5, "tokens": 5}
    drawn = await asyncio.gather(*(_or_none(text(seed=s, **hot)) for s in (1, 1, 2)))
    return drawn[0] is not None and drawn[0] == drawn[1] and len(set(drawn[1:])) > 1
