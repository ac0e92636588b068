"""Who is faster: calls timed in turns, A-B-A-B, so that a busy moment of the machine hits everybody alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ethogram.errors import OptionError, unknown
from ethogram.evaluate.effects import over_rounds
from ethogram.evaluate.machine import load
from ethogram.evaluate.verdict import Estimate, Level, Ratio


@dataclass(frozen=True)
class Race:
    """Seconds per call of each runner in each round, and what else the machine did.

    Attributes
    ----------
    seconds : label -> wall seconds of one call, per round; in a round the fastest of several calls.
    loads : the machine's load at the start of each round, None where it is not known.
    """

    seconds: Mapping[str, tuple[float, ...]]
    loads: tuple[float | None, ...]

    def ratio(self, left: str, right: str, level: float = 0.95) -> Estimate:
        """How many times longer `left` takes than `right`; paired within rounds."""
        return over_rounds(Ratio(left, right), [self._of(left), self._of(right)], level)

    def level(self, label: str, level: float = 0.95) -> Estimate:
        """Seconds of one call."""
        return over_rounds(Level(label), [self._of(label)], level)

    def _of(self, label: str) -> tuple[float, ...]:
        if label not in self.seconds:
            raise OptionError(unknown("runner", label, self.seconds))
        return self.seconds[label]


def race(
    runners: Mapping[str, Callable[[], Any]],
    *,
    rounds: int = 7,
    calls: int = 3,
    least: float = 0.002,
    clock: Callable[[], float] = time.perf_counter,
) -> Race:
    """Time calls against one another.

    Every round times every runner once, in the given order. One timing repeats the call until `least` seconds
    have passed (a clock tells short calls badly) and is taken `calls` times, of which the fastest counts: what
    slows a call down is not the call. One untimed round warms caches and compilers.

    Parameters
    ----------
    runners : label -> what to call, without arguments.
    rounds : timings of each runner; 3 or more to have an interval.

    Examples
    --------
    >>> found = race({"short": lambda: sum(range(10)), "long": lambda: sum(range(10_000))}, rounds=3)
    >>> found.ratio("long", "short").value > 1
    True
    """
    if not runners or rounds < 1 or calls < 1:
        raise OptionError(f"race: {len(runners)} runners, {rounds} rounds, {calls} calls; each must be at least 1.")
    repeats = {label: _repeats(call, least, clock) for label, call in runners.items()}
    seconds: dict[str, list[float]] = {label: [] for label in runners}
    loads = []
    for _ in range(rounds):
        loads.append(load())
        for label, call in runners.items():
            seconds[label].append(min(_timed(call, repeats[label], clock) for _ in range(calls)))
    return Race({label: tuple(found) for label, found in seconds.items()}, tuple(loads))


def _timed(call: Callable[[], Any], repeats: int, clock: Callable[[], float]) -> float:
    began = clock()
    for _ in range(repeats):
        call()
    return (clock() - began) / repeats


def _repeats(call: Callable[[], Any], least: float, clock: Callable[[], float]) -> int:
    call()
    once = _timed(call, 1, clock)
    return max(1, min(10_000, round(least / once) if once > 0 else 10_000))
