"""How fast a model is here: reading, writing, the first token, typed answers, choices."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ethogram.evaluate import machine
from ethogram.lm.model import LM

_TEXT = "The river rises in the hills, passes three towns and a lake, and reaches the sea after a week. "


@dataclass
class _Town:
    large: bool
    people: Literal["few", "many"]


@dataclass
class Speed:
    """Medians over the rounds; None where the model cannot.

    Attributes
    ----------
    first_token : seconds until the first piece of a reply to a short question. read, write : tokens per second.
    answer, choice : seconds for a typed answer of two fields, and for a choice of three.
    load : runnable processes meanwhile.
    """

    first_token: float | None
    read: float | None
    write: float | None
    answer: float | None
    choice: float | None
    load: float | None

    def json(self) -> dict[str, Any]:
        return vars(self)


async def speed(
    lm: LM,
    rounds: int = 3,
    tokens: int = 48,
    words: int = 200,
    *,
    watch: Callable[[Mapping[str, Any]], None] | None = None,
) -> Speed:
    """Measure a model; every round asks something new, so that neither cache nor prefix helps.

    `watch` is told {"step", "steps"} after each round.
    """
    first, read, write, answered, chosen = [], [], [], [], []
    await lm.chat("Hello", max_tokens=1, purpose="bench")
    stamp = time.time_ns()
    for i in range(rounds):
        began = time.perf_counter()
        times = [
            time.perf_counter() async for _ in lm.stream(f"{stamp + i}: say hello.", max_tokens=4, purpose="bench")
        ]
        first += [t - began for t in times[:1]]
        long = f"{stamp + i} " + _TEXT * (words // 19)
        began = time.perf_counter()
        reply = await lm.chat(long, max_tokens=1, purpose="bench")
        reading = time.perf_counter() - began
        read.append((reply.usage.prompt - reply.usage.cached) / reading)
        began = time.perf_counter()
        reply = await lm.chat(long, max_tokens=tokens, temperature=1.0, seed=i, purpose="bench")
        spent = time.perf_counter() - began
        if reply.usage.completion > 1 and spent > 0:
            write.append(reply.usage.completion / spent)
        began = time.perf_counter()
        await lm.answer(f"{stamp + i}: a town on a river?", _Town, purpose="bench")
        answered.append(time.perf_counter() - began)
        began = time.perf_counter()
        await lm.choose(f"{stamp + i}: is a river water?", ["yes", "no", "perhaps"], purpose="bench")
        chosen.append(time.perf_counter() - began)
        if watch is not None:
            watch({"step": i + 1, "steps": rounds})
    told = [statistics.median(v) if v else None for v in (first, read, write, answered, chosen)]
    return Speed(told[0], told[1], told[2], told[3], told[4], machine.load())
