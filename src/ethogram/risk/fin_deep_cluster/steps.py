"""The path of a group as something that can be counted: on how many of its pages was a case, for as long as the group?

    step     a page that `SHARE` of the group look at, with  exp(m -+ 2.5 s) - 0.1  seconds
             m, s: median and scaled median deviation of ln(seconds + 0.1) of the group on that page
    steps    of a case: how many of these pages it looked at for as long as that, in whatever order

A conjunction over single pages fails each member that left one of them out; "at least 6 of these 8 steps" does not.
The ends come from the median and the deviation, not from the extremes, since a group is found by its most typical
members and its other ones vary more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ethogram.numeric.rules import number
from ethogram.risk.fin_deep_cluster.cases import Cases, Coded

SHARE = 0.5
WIDE = 2.5
LEAST = 0.1
"""Seconds that are added before the logarithm, and the least deviation of the logarithm."""


class Step(NamedTuple):
    """A page, and between how many seconds."""

    page: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.page} for {number(self.low)} to {number(self.high)} s"


def steps(held: Cases, rows: np.ndarray) -> tuple[Step, ...]:
    """Steps of the group `rows`, bool[n], in the order in which its members first come to them.

    A page that nobody spends time on (each session's last one) is no step, unless no page has seconds.
    """
    pages, each = _pages(held), _seconds(held)
    mine = rows[held.owner] & (pages.names[pages.codes] != "")
    code, owner, spent = pages.codes[mine], held.owner[mine], np.log(each[mine] + LEAST)
    place = (np.arange(len(held.owner)) - held.offsets[:-1][held.owner])[mine]
    width, timed = len(pages.names), bool((spent > np.log(LEAST)).any())
    _, first = np.unique(owner * width + code, return_index=True)
    seen = np.bincount(code[first], minlength=width)
    met = np.bincount(code[first], place[first], minlength=width) / np.maximum(seen, 1)
    found = []
    for page in sorted(np.flatnonzero(seen >= max(1.0, SHARE * rows.sum())).tolist(), key=lambda p: (met[p], p)):
        s = spent[code == page]
        if timed and s.max() <= np.log(LEAST):
            continue
        middle = float(np.median(s))
        apart = WIDE * max(1.4826 * float(np.median(np.abs(s - middle))), LEAST)
        low, high = np.exp([middle - apart, middle + apart]) - LEAST
        found.append(Step(str(pages.names[page]), _short(max(low, 0.0)), _short(high)))
    return tuple(found)


def followed(held: Cases, path: Sequence[Step]) -> np.ndarray:
    """How many steps of a path each case takes, float64[n]."""
    pages, each, total = _pages(held), _seconds(held), np.zeros(len(held))
    place = {str(name): code for code, name in enumerate(pages.names.tolist())}
    for step in path:
        there = (pages.codes == place.get(step.page, -1)) & (each >= step.low) & (each <= step.high)
        taken = np.zeros(len(held), bool)
        taken[held.owner[there]] = True
        total += taken
    return total


def named(cluster: int) -> str:
    """Column of a cluster's steps."""
    return f"steps of group {cluster}"


def counted(held: Cases, paths: Mapping[int, Sequence[Step]]) -> dict[str, np.ndarray]:
    """Column -> steps of each case, for every group that has a path."""
    return {named(c): followed(held, path) for c, path in paths.items()}


def meanings(paths: Mapping[int, Sequence[Step]]) -> dict[str, str]:
    """Column -> what it counts, in words."""
    return {named(c): "how many of these pages a case looks at for so long, in any order: " + "; ".join(map(str, path))
            for c, path in paths.items()}  # fmt: skip


def _pages(held: Cases) -> Coded:
    return held.pages["item"] if "item" in held.pages else held.pages["kind"]


def _seconds(held: Cases) -> np.ndarray:
    """Of each event; those of one step share its seconds."""
    sizes = np.diff(held.places)
    return np.repeat(held.seconds / sizes, sizes)


def _short(value: float) -> float:
    return float(f"{value:.3g}")
