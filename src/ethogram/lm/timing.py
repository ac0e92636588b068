"""One reply, timed: the first token, the rest, how many tokens were read and written, and what the server says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ethogram.errors import EndpointDown
from ethogram.lm import protocol
from ethogram.lm.broker import Asked
from ethogram.lm.messages import Said, Sampling, conversation
from ethogram.lm.model import LM
from ethogram.lm.wire import CHAT

Clock = Callable[[], float]
_TRIES = 3
"""A kept connection may have been closed by the server meanwhile; where nothing had come, it is tried again."""


@dataclass(frozen=True)
class Timed:
    """What one reply took.

    Attributes
    ----------
    read : tokens of the prompt that were computed. cached : those that the server still had. written : tokens.
    first : seconds until the first text. rest : seconds from there to the last. text : the reply.
    streamed : False where all text came at once, so that `first` is the whole.
    told : the server's own timings (llama.cpp: prompt_ms, predicted_ms, ...), empty where it tells none.
    """

    read: int
    cached: int
    written: int
    first: float
    rest: float
    text: str
    streamed: bool
    told: Mapping[str, Any]


async def timed(
    lm: LM, said: Said, *, max_tokens: int = 64, temperature: float = 0.0, seed: int | None = None,
    clock: Clock = time.perf_counter, purpose: str = "timing",
) -> Timed:  # fmt: skip
    """Ask for a reply that is never taken from a cache, and time it.

    Parameters
    ----------
    clock : seconds; a model that keeps its own time (`lm.wire.clock`, of simulated devices) is timed by that.

    Raises
    ------
    LMError
        As `LM.stream`.
    """
    clock = getattr(lm.wire, "clock", clock)
    sampling = Sampling(temperature, 1.0, max_tokens, (), seed)
    body = protocol.body(await lm._name(), conversation(said), sampling)
    asked = Asked(CHAT, body, purpose, False, protocol.estimate(body, sampling))
    events: list[bytes] = []
    stamps: list[float] = []
    for left in reversed(range(_TRIES)):
        began = clock()
        try:
            async for event in lm.broker.stream(lm.wire, asked, protocol.whole, protocol.pieces):
                events.append(event)
                if protocol.piece(event):
                    stamps.append(clock())
            break
        except EndpointDown:
            if events or not left:
                raise
    ended = clock()
    reply = protocol.reply(protocol.whole(events), lm.identity, "live", ended - began, 1)
    usage = reply.usage
    first = (stamps[0] if stamps else ended) - began
    rest = stamps[-1] - stamps[0] if stamps else 0.0
    told = next((t for e in reversed(events) if (t := _told.decode(e).timings)), {})
    return Timed(
        max(0, usage.prompt - usage.cached), usage.cached, usage.completion or len(stamps), first, rest, reply.text,
        len(stamps) > 1, told,
    )  # fmt: skip


class _Told(msgspec.Struct):
    timings: dict[str, Any] | None = None


_told = msgspec.json.Decoder(_Told)
