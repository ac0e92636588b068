"""One harness for every comparison: the same process, the same data, turns taken, and the machine told beside it.

A contestant's figure is the minimum over its turns of process CPU seconds (and of wall seconds); a case is not
published where the answers differ. Every row says which share of the machine's own limit it reaches, where a
limit applies.
"""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """A ratio that the case is there to show: `value(figures)` against `least`, or `most`."""

    text: str
    value: Callable[[Mapping[str, Any]], float]
    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True)
class Figure:
    """Seconds of one contestant: minimum and median over its turns."""

    cpu: float
    wall: float
    median_cpu: float
    median_wall: float
    share: float | None = None


@dataclass(frozen=True)
class Case:
    """What is measured. `run` maps contestants to functions of the problem; ours is called ``ethogram``."""

    name: str
    title: str
    setup: Callable[[], Any]
    run: Mapping[str, Callable[[Any], Any]]
    check: Callable[[Any, Mapping[str, Any]], None]
    targets: Sequence[Target] = ()
    limit: Callable[[Any, float], float] | None = None
    limit_name: str = ""
    repeats: int = 5
    threads: int = 1
    notes: str = ""
    available: Callable[[Any], Mapping[str, bool]] | None = None
    sizes: Mapping[str, Any] = field(default_factory=dict)
    least: float = 0.0
    "Seconds that a turn takes at least: a shorter call is repeated in it, and the figure is that of one call."


def measure(case: Any) -> dict[str, Any]:
    """Run a case, or whatever measures itself (`benchmarks.race.Race`)."""
    return _turns(case) if isinstance(case, Case) else case.measure()


def _turns(case: Case) -> dict[str, Any]:
    """Run a case: one unmeasured turn each (whose answers are checked), then `repeats` interleaved turns."""
    problem = case.setup()
    here = dict.fromkeys(case.run, True) | (dict(case.available(problem)) if case.available else {})
    run = {name: fn for name, fn in case.run.items() if here[name]}
    case.check(problem, {name: fn(problem) for name, fn in run.items()})
    calls = {name: _calls(fn, problem, case.least) for name, fn in run.items()}
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in run}
    loads = [os.getloadavg()[0]]
    for _ in range(case.repeats):
        for name, fn in run.items():
            gc.collect()
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(calls[name]):
                answer = fn(problem)
            spent = time.process_time() - cpu, time.perf_counter() - wall
            turns[name].append((spent[0] / calls[name], spent[1] / calls[name]))
            del answer
        loads.append(os.getloadavg()[0])
    figures = {name: _figure(seconds, case, problem) for name, seconds in turns.items()}
    return {
        "name": case.name,
        "title": case.title,
        "notes": case.notes,
        "threads": case.threads,
        "repeats": case.repeats,
        "load": [round(min(loads), 2), round(max(loads), 2)],
        "limit": case.limit_name,
        "figures": {name: figure.__dict__ for name, figure in figures.items()},
        "absent": [name for name, there in here.items() if not there],
        "targets": [judge(target, figures) for target in case.targets],
    }


def _calls(fn: Callable[[Any], Any], problem: Any, least: float) -> int:
    if not least:
        return 1
    began = time.perf_counter()
    fn(problem)
    return max(1, math.ceil(least / max(time.perf_counter() - began, 1e-7)))


def _figure(turns: list[tuple[float, float]], case: Case, problem: Any) -> Figure:
    cpu, wall = sorted(c for c, _ in turns), sorted(w for _, w in turns)
    share = case.limit(problem, cpu[0]) if case.limit else None
    return Figure(cpu[0], wall[0], cpu[len(cpu) // 2], wall[len(wall) // 2], share)


def judge(target: Target, figures: Mapping[str, Any]) -> dict[str, Any]:
    """A target's value among figures, and whether it is met; None where it cannot be told."""
    try:
        value = target.value(figures)
    except (KeyError, ValueError):
        return {"text": target.text, "value": None, "met": None}
    bound = f">= {target.least:g}" if target.least is not None else f"<= {target.most:g}"
    return {"text": target.text, "value": value, "bound": bound, "met": target.met(value)}


def best(figures: Mapping[str, Figure], *, but: str = "ethogram") -> float:
    """CPU seconds of the fastest peer."""
    return min(f.cpu for name, f in figures.items() if not name.startswith(but))
