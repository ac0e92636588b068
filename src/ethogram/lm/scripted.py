"""Answers by rule: for tests, and as planted models with a behaviour that is known."""

from __future__ import annotations

import inspect
import json
import math
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import CodeType
from typing import Any

from ethogram.errors import CapabilityError, LMError, OptionError
from ethogram.lm import protocol
from ethogram.lm.broker import Broker
from ethogram.lm.capabilities import Capabilities
from ethogram.lm.messages import Message, ToolCall
from ethogram.lm.model import LM
from ethogram.lm.wire import CHAT, EMBED

Policy = Callable[[Sequence[Message], random.Random], Any]
"""(messages, random numbers that the question and the seed determine) -> a text; a value, written as JSON; a
ToolCall; a mapping option -> probability where one is drawn; or an LMError to be raised."""
Rule = str | Mapping[str, Any] | Policy
Rater = Callable[[str, Sequence[str]], Sequence[float]]
"""(prompt, continuations) -> log-probabilities."""


_OPTIONS = re.compile(r"Answer with one of: (.*?)\.( Write it as JSON|$)", re.DOTALL)


def options_of(asked: str) -> list[str]:
    """The options that a question of `LM.choose` lists, for policies; none where it lists none.

    >>> options_of("Tea? Answer with one of: yes; no.")
    ['yes', 'no']
    """
    found = _OPTIONS.search(asked)
    return found.group(1).split("; ") if found else []


class Drawn(dict[str, float]):
    """Option -> probability: the reply is one of the options, drawn."""


class Scripted:
    """The wire to rules. `asked` holds every conversation that came through, in order."""

    lanes = 1_000

    def __init__(self, rule: Rule, rater: Rater | None = None, name: str = "", seed: int = 0):
        name = name or _content(rule)
        self.identity = f"scripted:{name}"
        self.asked: list[tuple[Message, ...]] = []
        self._rule, self._rater, self._name, self._seed = _policy(rule), rater, name, seed

    @classmethod
    def named(cls, text: str) -> Scripted:
        """ "echo" repeats, PATH.json holds {pattern: reply}, anything else is the reply.

        Raises
        ------
        OptionError
            The file is absent or holds something else.
        """
        if text == "echo":
            return cls(lambda messages, _: messages[-1].text, name="echo")
        if text.endswith(".json"):
            try:
                rules = json.loads(Path(text).read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise OptionError(f"{text} cannot be read as rules ({error}).") from None
            if not isinstance(rules, dict):
                raise OptionError(f"{text} must hold an object of patterns and replies.")
            return cls(rules, name=Path(text).stem)
        return cls(text, name=text)

    async def model(self) -> str:
        return self._name

    async def capabilities(self) -> Capabilities:
        return Capabilities(
            "scripted", json_schema=True, json_object=True, tools=True, stream=True, seed=True,
            prompt_logprobs="scripted" if self._rater else "none",
        )  # fmt: skip

    async def send(self, path: str, body: bytes, seconds: float) -> bytes:
        asked = json.loads(body)
        if path == EMBED:
            raise CapabilityError(f"{self.identity} embeds nothing.")
        if path != CHAT:
            return self._scored(asked)
        messages = tuple(Message(m["role"], m["content"], call=m.get("tool_call_id", "")) for m in asked["messages"])
        self.asked.append(messages)
        digest = blake2b(f"{self._seed}".encode() + body, digest_size=8).digest()
        found = self._rule(messages, random.Random(int.from_bytes(digest, "big")))
        if inspect.isawaitable(found):
            found = await found
        if isinstance(found, Drawn):
            options = list(found)
            draw = random.Random(int.from_bytes(digest[::-1], "big"))
            found = draw.choices(options, [found[o] for o in options])[0]
        if isinstance(found, LMError):
            raise found
        return self._reply(found, asked)

    def _scored(self, asked: dict[str, Any]) -> bytes:
        if self._rater is None:
            raise CapabilityError(f"{self.identity} has no rater; give ScriptedLM(rater=...).")
        prompt = asked["prompt"] if "prompt" in asked else "\n".join(m["content"] for m in asked["messages"])
        texts = asked["continuations"]
        told = [float(v) for v in self._rater(prompt, texts)]
        if len(told) != len(texts) or not all(math.isfinite(v) and v <= 0 for v in told):
            raise OptionError(f"the rater of {self.identity} must give {len(texts)} finite log-probabilities.")
        scores = [[(text, value)] for text, value in zip(texts, told, strict=True)]
        return protocol.encode({"method": "scripted", "scores": scores})

    def _reply(self, found: Any, asked: dict[str, Any]) -> bytes:
        said: dict[str, Any] = {"role": "assistant", "content": None}
        finish = "stop"
        if isinstance(found, ToolCall):
            call = {"name": found.name, "arguments": json.dumps(found.arguments)}
            said["tool_calls"] = [{"id": found.id or "call-1", "type": "function", "function": call}]
            finish = "tool_calls"
        else:
            said["content"] = self._text(found, asked)
        usage = {"prompt_tokens": sum(len(str(m["content"]).split()) for m in asked["messages"])}
        usage["completion_tokens"] = len((said["content"] or "").split())
        choice = {"index": 0, "message": said, "finish_reason": finish}
        return protocol.encode({"model": self._name, "choices": [choice], "usage": usage})

    def _text(self, found: Any, asked: dict[str, Any]) -> str:
        """A value as JSON; a bare value is put into the only field of a schema that has one."""
        schema = ((asked.get("response_format") or {}).get("json_schema") or {}).get("schema") or {}
        fields = list(schema.get("properties") or ())
        if len(fields) == 1 and not isinstance(found, Mapping) and not _object(found):
            return json.dumps({fields[0]: found})
        return found if isinstance(found, str) else json.dumps(found)

    async def stream(self, path: str, body: bytes, seconds: float) -> AsyncIterator[bytes]:
        reply = await self.send(path, body, seconds)
        for event in protocol.pieces(reply):
            yield event

    async def close(self) -> None:
        """Nothing is held."""


def _object(text: Any) -> bool:
    return isinstance(text, str) and text.lstrip().startswith("{")


def _content(rule: Rule) -> str:
    if isinstance(rule, str) or not callable(rule):
        told = repr(rule if isinstance(rule, str) else sorted((k, repr(v)) for k, v in rule.items()))
    else:
        code = getattr(rule, "__code__", None)
        told = repr(_code(code)) if code else repr(type(rule))
    return blake2b(told.encode(), digest_size=6).hexdigest()


def _code(code: CodeType) -> tuple[Any, ...]:
    """What a function does, without where it stands."""
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, constants, code.co_names, code.co_varnames


def _policy(rule: Rule) -> Policy:
    if isinstance(rule, str):
        return lambda messages, rng: rule
    if callable(rule):
        return rule
    patterns = [(re.compile(p, re.IGNORECASE | re.DOTALL), reply) for p, reply in rule.items()]

    def first(messages: Sequence[Message], rng: random.Random) -> Any:
        for pattern, reply in patterns:
            if pattern.search(messages[-1].text):
                return reply(messages, rng) if callable(reply) else reply
        raise LMError(
            f"no rule matches: {messages[-1].text[:80]!r}; known: {', '.join(p.pattern for p, _ in patterns)}"
        )

    return first


class ScriptedLM(LM):
    """A model that answers by rule.

    Parameters
    ----------
    rule : a text, {pattern: reply} (the first pattern found in the last message), or a `Policy`.
    rater : log-probabilities of continuations, for `logprob` and `choose`.
    name : the model is ``scripted:NAME``; without one, a hash of the rule (of a function: of its code, not of what it
        closes over, so name functions that differ only there). seed : of the policy's random numbers.
    broker : None keeps nothing on disk.

    >>> ScriptedLM({"colour": "blue"}).sync.chat("Which colour?").text
    'blue'
    """

    wire: Scripted

    def __init__(
        self, rule: Rule, *, rater: Rater | None = None, name: str = "", seed: int = 0, broker: Broker | None = None
    ):
        super().__init__(Scripted(rule, rater, name, seed), broker or Broker.bare())

    @property
    def asked(self) -> list[tuple[Message, ...]]:
        """Every conversation that was sent, in order; what came from a cache was not sent."""
        return self.wire.asked
