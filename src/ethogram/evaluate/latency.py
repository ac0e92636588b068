"""How long does one request take? One person, so many candidates, asked again and again, one request after the other.

What a service feels is not the time per row of a batch: a request has its own encoding, and no neighbours to share it
with. A system that can hold itself ready for single requests (`prepared`) is timed as a service would run it, and `way`
says so. Candidates are drawn from the catalogue, other ones and another person in each request; two requests before the
first that counts warm caches and compilers; making the system ready is not timed. Requests are made and answered by one
thread, as the service does it (where threads share a small request, the slowest is waited for: on a busy machine that
takes a turn of the scheduler), without context.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from ethogram.errors import OptionError
from ethogram.evaluate.machine import load
from ethogram.log.histories import Candidates, Questions

REQUESTS, WARM = 30, 2


class Latency(NamedTuple):
    """Milliseconds of a request: median and 95th percentile on the clock, mean of the CPU; and how it was asked.

    `load` are the runnable processes on the machine meanwhile: on a busy one the clock says more of them.
    """

    candidates: int
    requests: int
    median_ms: float
    p95_ms: float
    cpu_ms: float
    load: float | None
    way: Literal["prepared", "plain"] = "plain"
    "Whether the system's prepared form was asked, or its `score`."


def latency(
    system: Any, questions: Questions, *, candidates: int = 500, requests: int = REQUESTS, seed: int = 0
) -> Latency:
    """Time a fitted system.

    Parameters
    ----------
    questions : whose histories are asked with, at random. candidates : per request; all items where there are fewer.

    Raises
    ------
    OptionError
        Fewer than one candidate or request, or nobody to ask for.
    """
    if candidates < 1 or requests < 1 or not len(questions):
        raise OptionError(
            f"latency: {requests} requests of {candidates} candidates, {len(questions)} questions: give 1."
        )
    rng = np.random.default_rng(seed)
    vocabulary = questions.candidates.vocabulary
    size = min(candidates, len(vocabulary))
    wall, cpu, busy = [], [], load()
    score, way = served(system, questions)
    with threadpool_limits(1):
        for number in range(WARM + requests):
            at = int(rng.integers(len(questions)))
            drawn = rng.choice(len(vocabulary), size, replace=False).astype(np.int32)
            some = Candidates(drawn, vocabulary, shared=True)
            who = questions.histories[at : at + 1]
            began = time.perf_counter(), time.process_time()
            score(who, some)
            if number >= WARM:
                wall.append(time.perf_counter() - began[0])
                cpu.append(time.process_time() - began[1])
    median, late = np.quantile(wall, [0.5, 0.95]) * 1e3
    return Latency(size, requests, float(median), float(late), float(np.mean(cpu) * 1e3), busy, way)


def served(system: Any, questions: Questions) -> tuple[Callable[..., Any], Literal["prepared", "plain"]]:
    """What a service would ask: the system's prepared form where it has one of equal scores, else its `score`."""
    if hasattr(system, "prepared"):
        try:
            made = system.prepared(questions.candidates.vocabulary, tables=questions.histories.tables)
        except OptionError:  # this model has no such form
            return system.score, "plain"
        return made.score, "prepared"
    return system.score, "plain"
