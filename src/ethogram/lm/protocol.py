"""Messages to the JSON of the OpenAI protocol, and its replies back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ethogram.errors import BadReply
from ethogram.lm.messages import Message, Sampling, Tool, ToolCall
from ethogram.lm.replies import Reply, Source, TokenScore, Usage

_encoder = msgspec.json.Encoder()


class _Function(msgspec.Struct):
    name: str
    arguments: Any = None


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Alternative(msgspec.Struct):
    token: str
    logprob: float


class _Token(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[_Alternative] = []


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: _Details | None = None


class _Choice(msgspec.Struct):
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Chat(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None
    model: str | None = None


_chat = msgspec.json.Decoder(_Chat)


def body(
    model: str, messages: Sequence[Message], sampling: Sampling, *, tools: Sequence[Tool] = (), must_call: bool = False,
    logprobs: int = 0, extra: Mapping[str, Any] | None = None,
) -> bytes:  # fmt: skip
    """A chat request; equal arguments give equal bytes."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": [said(m) for m in messages],
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.top_p != 1.0:
        asked["top_p"] = sampling.top_p
    if sampling.stop:
        asked["stop"] = sampling.stop
    if sampling.seed is not None:
        asked["seed"] = sampling.seed
    if tools:
        asked["tools"] = [
            {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.arguments}}
            for t in tools
        ]
        asked["tool_choice"] = "required" if must_call else "auto"
    if logprobs:
        asked["logprobs"], asked["top_logprobs"] = True, logprobs
    if extra:
        asked.update(extra)
    return _encoder.encode(asked)


def said(m: Message) -> dict[str, Any]:
    """One message as the protocol has it."""
    found: dict[str, Any] = {"role": m.role, "content": m.text}
    if m.calls:
        found["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments)}}
            for c in m.calls
        ]
    if m.call:
        found["tool_call_id"] = m.call
    return found


def reply(raw: bytes, identity: str, source: Source, seconds: float, tries: int) -> Reply:
    """A chat reply.

    Raises
    ------
    BadReply
        It is not one: other JSON, no choices.
    """
    try:
        told = _chat.decode(raw)
        first = told.choices[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise BadReply(f"{identity} sent no chat reply ({error}): {raw[:200].decode('utf-8', 'replace')}") from None
    message = first.message or _Said()
    tokens = None
    if first.logprobs is not None and first.logprobs.content is not None:
        tokens = tuple(
            TokenScore(t.token, t.logprob, tuple((a.token, a.logprob) for a in t.top_logprobs))
            for t in first.logprobs.content
        )
    return Reply(
        text=message.content or "",
        finish=first.finish_reason or "stop",
        usage=_used(told.usage),
        model=told.model or "",
        identity=identity,
        calls=tuple(_called(c) for c in message.tool_calls or ()),
        tokens=tokens,
        source=source,
        seconds=seconds,
        tries=tries,
    )


def _used(told: _Usage | None) -> Usage:
    if told is None:
        return Usage()
    details = told.prompt_tokens_details
    return Usage(told.prompt_tokens, told.completion_tokens or 0, (details.cached_tokens or 0) if details else 0)


def _called(c: _Call) -> ToolCall:
    """A tool call; arguments that are not a JSON object are kept under "" so that validation can tell of them."""
    told = c.function.arguments
    if isinstance(told, str):
        try:
            told = json.loads(told or "{}")
        except ValueError:
            told = {"": told}
    return ToolCall(c.function.name, told if isinstance(told, dict) else {"": told}, c.id or "")


def piece(event: bytes) -> str:
    """The text that one event of a stream adds."""
    try:
        told = _chat.decode(event)
    except msgspec.DecodeError:
        raise BadReply(
            f"an event of a stream is not of the protocol: {event[:200].decode('utf-8', 'replace')}"
        ) from None
    return (told.choices[0].delta.content or "") if told.choices and told.choices[0].delta else ""


def whole(events: Sequence[bytes]) -> bytes:
    """The reply that the events of a stream make together."""
    text, finish, usage, model = [], "stop", None, None
    for event in events:
        told = _chat.decode(event)
        text.append(piece(event))
        usage, model = told.usage or usage, told.model or model
        if told.choices and told.choices[0].finish_reason:
            finish = told.choices[0].finish_reason
    found = _Chat([_Choice(message=_Said("".join(text)), finish_reason=finish)], usage, model)
    return _encoder.encode(found)


def pieces(raw: bytes) -> list[bytes]:
    """A kept reply as the events of a stream: one."""
    told = _chat.decode(raw)
    return [_encoder.encode(_Chat([_Choice(delta=c.message, finish_reason=c.finish_reason) for c in told.choices]))]


def estimate(raw: bytes, sampling: Sampling) -> int:
    """Tokens that a request may take at most: four bytes a token, and all that it may write."""
    return len(raw) // 4 + sampling.max_tokens


class _Scored(msgspec.Struct):
    method: str
    scores: list[list[tuple[str, float]]]


_scored = msgspec.json.Decoder(_Scored)


def encode(asked: dict[str, Any]) -> bytes:
    """A request as bytes; equal arguments give equal bytes."""
    return _encoder.encode(asked)


def scores(raw: bytes, identity: str, count: int) -> tuple[str, list[list[tuple[str, float]]]]:
    """Method and (token, log-probability) rows of a ``/score`` reply.

    Raises
    ------
    BadReply
        It is not one, or not for so many continuations.
    """
    try:
        told = _scored.decode(raw)
    except msgspec.DecodeError as error:
        raise BadReply(f"{identity} sent no scores ({error}).") from None
    if len(told.scores) != count:
        raise BadReply(f"{identity} scored {len(told.scores)} of {count} continuations.")
    return told.method, told.scores


class _Vector(msgspec.Struct):
    embedding: list[float]


class _Vectors(msgspec.Struct):
    data: list[_Vector]


_vectors = msgspec.json.Decoder(_Vectors)


def vector(raw: bytes, identity: str) -> np.ndarray:
    """The one vector of an ``/embeddings`` reply, float32[d], of length 1.

    Raises
    ------
    BadReply
        It holds none, or one without a direction.
    """
    try:
        found = np.array(_vectors.decode(raw).data[0].embedding, np.float32)
    except (msgspec.DecodeError, IndexError) as error:
        raise BadReply(f"{identity} sent no vector ({error}).") from None
    length = float(np.linalg.norm(found))
    if not np.isfinite(length) or length == 0:
        raise BadReply(f"{identity} sent a vector without a direction.")
    return np.asarray(found / length, np.float32)
