"""The log-probability of given continuations at an endpoint, by whichever way it has.

*Forced* (llama.cpp, whose server ignores `echo`): the continuation is cut into tokens; for each, one token is asked
for with that token forced by `logit_bias`, and the reported probability is the one before the bias. The first request
of a place asks for many alternatives at once, so that options which part there cost one request together. The prompt
stays in the server's prefix cache. *Echo*: the endpoint scores the prompt itself (`echo` with `max_tokens` 0 or 1).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ethogram.errors import BadReply, CapabilityError

if TYPE_CHECKING:
    from ethogram.lm.endpoint import Endpoint

Scored = list[list[tuple[str, float]]]
_FORCE = 1e9
_ALTERNATIVES = 100


async def score(at: Endpoint, way: str, body: bytes, seconds: float) -> bytes:
    """The reply to a ``/score`` request (see `wire`).

    Raises
    ------
    CapabilityError
        The endpoint has no way to score a given text.
    """
    asked = json.loads(body)
    if way == "forced":
        scored, prompt, written = await _forced(at, asked, seconds)
    elif way == "echo":
        scored, prompt, written = await _echo(at, asked, seconds)
    else:
        raise CapabilityError(f"{at.called} tells no log-probabilities of given text; use 'local' or 'torch' for them.")
    usage = {"prompt_tokens": prompt, "completion_tokens": written}
    return json.dumps({"method": way, "scores": scored, "usage": usage}).encode()


async def _forced(at: Endpoint, asked: dict[str, Any], seconds: float) -> tuple[Scored, int, int]:
    if "messages" in asked:
        rendered = await at.post("/apply-template", {"messages": asked["messages"]}, seconds, root=True)
        prompt = str(rendered["prompt"])
    else:
        prompt = str(asked["prompt"])
    # the prompt's own control tokens are control tokens, those in a continuation are text
    start = await _tokens(at, prompt, seconds, special=True, parse=True)
    if not start:
        raise CapabilityError("a continuation is scored after a prompt; the prompt is empty.")
    cut = list(await asyncio.gather(*(_tokens(at, text, seconds) for text in asked["continuations"])))
    if asked.get("end"):
        end = await _end(at, seconds)
        cut = [[*ids, end] for ids in cut] if end is not None else cut
    known: dict[tuple[int, ...], dict[int, tuple[str, float]]] = {}
    sent = 0
    for ids in sorted(cut):  # neighbours share the longest beginnings, which stay in the server's cache
        for k, token in enumerate(ids):
            place = known.setdefault(tuple(ids[:k]), {})
            if token not in place:
                place.update(await _at(at, start + ids[:k], token, bool(place), seconds))
                sent += 1
    scored = [[known[tuple(ids[:k])][token] for k, token in enumerate(ids)] for ids in cut]
    return scored, len(start), sent


async def _at(
    at: Endpoint, ids: Sequence[int], token: int, again: bool, seconds: float
) -> dict[int, tuple[str, float]]:
    """Token -> (its text, its log-probability) after `ids`: the forced one and the most probable ones."""
    asked = {
        "prompt": list(ids), "n_predict": 1, "n_probs": 1 if again else _ALTERNATIVES, "temperature": 0,
        "logit_bias": [[token, _FORCE]], "cache_prompt": True,
    }  # fmt: skip
    reply = await at.post("/completion", asked, seconds, root=True)
    try:
        told = reply["completion_probabilities"][0]
        found = {int(t["id"]): (str(t["token"]), float(t["logprob"])) for t in told["top_logprobs"]}
        found[int(told["id"])] = (str(told["token"]), float(told["logprob"]))
    except (KeyError, IndexError, TypeError, ValueError):
        raise BadReply(f"{at.called} told no log-probability of a forced token.") from None
    if token not in found:
        raise BadReply(f"{at.called} did not take the forced token {token}.")
    return found


async def _tokens(at: Endpoint, text: str, seconds: float, *, special: bool = False, parse: bool = False) -> list[int]:
    asked = {"content": text, "add_special": special, "parse_special": parse}
    return [int(i) for i in (await at.post("/tokenize", asked, seconds, root=True))["tokens"]]


async def _end(at: Endpoint, seconds: float) -> int | None:
    """The token that ends a turn, as the chat template writes it; None where it is not one token."""
    told = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    rendered = str((await at.post("/apply-template", {"messages": told}, seconds, root=True))["prompt"])
    opened = str((await at.post("/apply-template", {"messages": told[:1]}, seconds, root=True))["prompt"])
    after = rendered[len(opened) + 1 :] if rendered.startswith(opened + "b") else ""
    ids = await _tokens(at, after, seconds, parse=True) if after else []
    return ids[0] if ids else None


async def _echo(at: Endpoint, asked: dict[str, Any], seconds: float) -> tuple[Scored, int, int]:
    if "messages" in asked:
        prompt = "\n\n".join(str(m["content"]) for m in asked["messages"]) + "\n"
    else:
        prompt = str(asked["prompt"])
    name = await at.model()

    async def one(text: str) -> tuple[list[tuple[str, float]], int]:
        body = {"model": name, "prompt": prompt + text, "max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0}
        reply = await at.post("/completions", body, seconds)
        try:
            told = reply["choices"][0]["logprobs"]
            rows = list(zip(told["tokens"], told["token_logprobs"], told["text_offset"], strict=True))
        except (KeyError, IndexError, TypeError, ValueError):
            raise BadReply(f"{at.called} told no log-probabilities of the prompt.") from None
        ends = [*(o for _, _, o in rows[1:]), len(prompt) + len(text)]
        # a token that begins in the prompt and ends behind it holds letters of the text: it counts, one written after
        # the text does not
        inside = [
            (str(t), float(p))
            for (t, p, o), end in zip(rows, ends, strict=True)
            if end > len(prompt) and o < len(prompt) + len(text) and p is not None
        ]
        return inside, len(rows)

    found = await asyncio.gather(*(one(text) for text in asked["continuations"]))
    return [scores for scores, _ in found], sum(n for _, n in found), len(found)
