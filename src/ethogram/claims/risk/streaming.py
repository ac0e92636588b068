"""Streams cut into windows, learned one behind the other by several arms, and judged on all of them.

Each window is a log of its own: its training people, and other people who are never learned from (`judged`). A value
of an arm on a window is the mean over these people, so that arms are compared person by person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.claims import Estimate
from ethogram.evaluate.forgetting import forgetting, matrix

NAMES = ("loglikelihood", "wrong kind", "rmse", "mae", "log gap rmse")
DRAWS = 8
"""Draws of a predicted time, where predictions of thousands of events are judged."""


@dataclass(frozen=True)
class Window:
    """train, judged : logs of different people. regime : of the law, where it is known."""

    train: Any
    judged: Any
    regime: int = -1


@dataclass
class Course:
    """What one arm made of one stream.

    Attributes
    ----------
    values : (after window i, on window j) -> person -> the sums of `sums`. built : the arm behind the last window.
    """

    windows: int
    values: dict[tuple[int, int], dict[Any, np.ndarray]] = field(default_factory=dict)
    built: Any = None

    def matrix(self, name: str) -> np.ndarray:
        """R [windows, windows] of one of `NAMES`, NaN where it was not judged."""
        found = np.full((self.windows, self.windows), np.nan)
        for (i, j), people in self.values.items():
            found[i, j] = value(np.sum(list(people.values()), 0), name)
        return found


def cut(table: pa.Table, instants: Sequence[int], regimes: Sequence[int], judged: float, seed: int) -> list[Window]:
    """Windows of a log's table between instants (microseconds); a share `judged` of the people is only judged."""
    from ethogram.log import Log

    users = np.array(sorted(set(table.column("user").to_pylist()), key=str), object)
    drawn = np.random.default_rng(seed).permutation(len(users))[: max(1, round(judged * len(users)))]
    other = pc.is_in(table.column("user"), pa.array(users[drawn].tolist(), table.schema.field("user").type))
    time = table.column("time").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    made = []
    for a, b, regime in zip(instants[:-1], instants[1:], regimes, strict=True):
        inside = pc.and_(pc.greater_equal(time, int(a)), pc.less(time, int(b)))
        parts = (table.filter(pc.and_(inside, pc.invert(other))), table.filter(pc.and_(inside, other)))
        names = {n: n for n in ("user", "time", "kind", "value") if n in table.column_names}
        train, rest = (Log.open(p.select(list(names)), **names) for p in parts)
        made.append(Window(train, rest, int(regime)))
    return made


def follow(arm: Any, windows: Sequence[Window], seed: int, *, returning: bool, draws: int = DRAWS) -> Course:
    """Learn the windows in order. After each, judge the window that comes and the learned ones.

    Parameters
    ----------
    returning : judge after each window only the one that it ends with and the one that comes, all after the last.
    draws : of a predicted time.
    """
    found, learned = Course(len(windows), built=arm), [0]

    def learn(i: int) -> None:
        learned[0] = i
        if i:
            arm.update(windows[i].train)
        else:
            arm.fit(windows[i].train, seed=seed)

    def judged(j: int) -> float:
        people = judge(arm, windows[j].judged, draws)
        found.values[learned[0], j] = people
        return value(np.sum(list(people.values()), 0), "loglikelihood")

    matrix(len(windows), learn, judged, every=not returning)
    return found


def judge(arm: Any, log: Any, draws: int = DRAWS) -> dict[Any, np.ndarray]:
    """Person -> sums over events: events, log-likelihood, wrong kinds, squared, absolute and squared log gap error."""
    made = arm.predictions(log, draws=draws)
    gap, said = (made.column(n).to_numpy() for n in ("gap", "predicted_gap"))
    wrong = np.array(made.column("kind").to_pylist(), object) != np.array(
        made.column("predicted_kind").to_pylist(), object
    )
    least = 1e-3
    logs = np.log(np.maximum(gap, least)) - np.log(np.maximum(said, least))
    told = made.column("loglikelihood").to_numpy() - made.column("tail").to_numpy()
    each = np.stack([np.ones(len(gap)), told, wrong, (gap - said) ** 2, np.abs(gap - said), logs**2], 1)
    people: dict[Any, np.ndarray] = {}
    for user, row in zip(made.column("user").to_pylist(), each, strict=True):
        people[user] = people.get(user, 0.0) + row
    return people


def value(sums: np.ndarray, name: str) -> float:
    """One of `NAMES` from sums over events."""
    events = max(sums[0], 1.0)
    number = NAMES.index(name)
    mean = sums[1 + number] / events
    return float(np.sqrt(mean)) if name in ("rmse", "log gap rmse") else float(mean)


def compared(
    one: Sequence[Course], other: Sequence[Course], cells: Sequence[tuple[int, int]], name: str, *, ratio: bool
) -> Estimate:
    """`one` against `other` on the same cells of all streams: ratio, or difference; people are resampled."""
    totals = []
    for a, b in zip(one, other, strict=True):
        people = sorted({p for c in cells for p in a.values[c]}, key=str)
        none = np.zeros(6)
        for p in people:
            totals.append([sum((x.values[c].get(p, none) for c in cells), none) for x in (a, b)])
    sums = np.array(totals)  # [people of all streams, 2, 6]

    def measure(rows: np.ndarray) -> float:
        left, right = (value(sums[rows, s].sum(0), name) for s in (0, 1))
        if not ratio:
            return left - right
        return left / right if right else float("nan")

    rng, n = np.random.default_rng(0), len(sums)
    drawn = np.array([measure(rng.integers(0, n, n)) for _ in range(1_000)])
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    seeds, at = [], 0
    for a in one:
        m = len({p for c in cells for p in a.values[c]})
        seeds.append(measure(np.arange(at, at + m)))
        at += m
    return Estimate(measure(np.arange(n)), float(low), float(high), units=n, unit="people", seeds=tuple(seeds))


def lost(courses: Sequence[Course], windows: Sequence[int]) -> np.ndarray:
    """Forgetting of the log-likelihood per event of given windows, [streams, windows]."""
    return np.array([forgetting(c.matrix("loglikelihood"))[list(windows)] for c in courses])
