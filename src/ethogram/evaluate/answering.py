"""How fast does a recommender answer? One person after another, as a service asks, and many at once, as a nightly job.

A request is the whole of `recommend`: scores of the catalogue, what is left out, the k best, in the caller's ids.
Before the first that counts, two warm caches and compilers. One thread answers a request, as in the service: where
threads share a small one, the slowest is waited for, which on a busy machine takes a turn of the scheduler. Where a
system is slow, requests end after `SECONDS` and the batch is smaller, by a trial with few; both numbers are told.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from ethogram.errors import OptionError
from ethogram.evaluate.latency import WARM
from ethogram.evaluate.machine import load
from ethogram.log.histories import Questions

REQUESTS, BATCH, SMALL, ROUNDS, LEAST, SECONDS = 100, 1024, 32, 3, 20, 5.0


class Answering(NamedTuple):
    """Milliseconds of a request for one person (median, 95th percentile, mean of the CPU); people a second in batch.

    `load` are the runnable processes on the machine meanwhile: on a busy one the clock says more of them.
    """

    k: int
    requests: int
    median_ms: float
    p95_ms: float
    cpu_ms: float
    batch: int
    users_per_second: float
    load: float | None


def answering(
    system: Any, questions: Questions, *, k: int = 10, requests: int = REQUESTS, batch: int = BATCH, seed: int = 0
) -> Answering:
    """Time the `recommend` of a fitted system.

    Parameters
    ----------
    questions : whose histories are asked with, at random and in another order than they lie.
    requests : at most so many, one person each. batch : people asked at once, at most; the median of the rounds counts.

    Raises
    ------
    OptionError
        Fewer than one request or person.
    """
    if requests < 1 or batch < 1 or not len(questions):
        raise OptionError(f"answering: {requests} requests, batches of {batch}, {len(questions)} people: give 1.")
    rng = np.random.default_rng(seed)
    wall, cpu, busy, began = [], [], load(), time.perf_counter()
    with threadpool_limits(1):
        for number in range(WARM + requests):
            at = int(rng.integers(len(questions)))
            who = questions.histories[at : at + 1]
            clock, spent = time.perf_counter(), time.process_time()
            system.recommend(who, k=k)
            if number >= WARM:
                wall.append(time.perf_counter() - clock)
                cpu.append(time.process_time() - spent)
            if len(wall) >= min(LEAST, requests) and time.perf_counter() - began > SECONDS:
                break
    median, late = np.quantile(wall, [0.5, 0.95])
    first = int(rng.integers(max(1, len(questions) - batch + 1)))
    few = questions.histories[first : first + min(SMALL, batch)]
    clock = time.perf_counter()
    system.recommend(few, k=k)
    size = len(few) * max(1, int(SECONDS / (time.perf_counter() - clock)))
    many = questions.histories[first : first + min(size, batch)]
    rounds: list[float] = []
    while len(rounds) < ROUNDS and sum(rounds) < SECONDS:
        clock = time.perf_counter()
        system.recommend(many, k=k)
        rounds.append(time.perf_counter() - clock)
    speed = len(many) / float(np.median(rounds))
    return Answering(
        k, len(wall), float(median * 1e3), float(late * 1e3), float(np.mean(cpu) * 1e3), len(many), speed, busy
    )
