"""A race to a peer's quality: rows under named columns, and goals on values of them.

The harness times calls that give equal answers. Trainings do not: they are compared by what they cost until they are
as good, so a race says itself what its columns are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.harness import Target, judge


@dataclass
class Found:
    """What a race found.

    Attributes
    ----------
    rows : one mapping per contestant, column -> number or text; the first column names the contestant, ours begins
        with ``ethogram``.
    values : what goals are about; a missing one is not measurable.
    absent : who did not run, and why. notes : what a reader must know.
    """

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Race:
    """What is raced. `run` does it; the values of `targets` are read from what it found."""

    name: str
    title: str
    run: Callable[[], Found]
    targets: Sequence[Target] = ()
    threads: int = 1

    def measure(self) -> dict[str, Any]:
        """Run it, in the form that results are kept in."""
        loads = [os.getloadavg()[0]]
        found = self.run()
        loads.append(os.getloadavg()[0])
        columns = list(dict.fromkeys(name for row in found.rows for name in row))
        return {
            "name": self.name, "title": self.title, "threads": self.threads,
            "load": [round(min(loads), 2), round(max(loads), 2)], "columns": columns,
            "rows": [[row.get(name) for name in columns] for row in found.rows], "absent": found.absent,
            "notes": found.notes, "targets": [judge(target, found.values) for target in self.targets],
        }  # fmt: skip


def table(found: Mapping[str, Any], goals: Sequence[str]) -> str:
    """One race as Markdown; `goals` are the lines about its targets."""
    first, *columns = found["columns"] or [""]
    lines = [
        f"### {found['title']}", "", f"| {first} | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns),
    ]  # fmt: skip
    for name, *cells in found["rows"]:
        bold = "**" if str(name).startswith("ethogram") else ""
        lines.append(f"| {bold}{name}{bold} | {' | '.join(map(_shown, cells))} |")
    lines += ["", *(f"- not here: {who}" for who in found["absent"]), *goals, *(f"- {n}" for n in found["notes"])]
    low, high = found["load"]
    lines.append(f"- {found['threads']} thread(s), load {low}-{high}")
    return "\n".join(lines) + "\n"


def _shown(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1_000 else f"{cell:#.3g}".rstrip(".")
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def paired(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """(mean difference, lower, upper end of its 95% interval) over users; `ours` is [users] or [seeds, users].

    Users are the sample: seeds are averaged first. The normal interval, since there are hundreds of users.
    """
    gap = np.atleast_2d(ours).mean(0) - np.atleast_2d(theirs).mean(0)
    half = 1.96 * gap.std(ddof=1) / len(gap) ** 0.5
    return float(gap.mean()), float(gap.mean() - half), float(gap.mean() + half)


def gain(rank: np.ndarray, k: int = 10) -> np.ndarray:
    """NDCG@k of questions with one target each, from its rank (mid-ranks of ties allowed).

    >>> gain(np.array([1.0, 3.0, 11.0])).round(3).tolist()
    [1.0, 0.5, 0.0]
    """
    rank = np.asarray(rank)
    return np.where(rank <= k, 1 / np.log2(rank + 1), 0.0)
