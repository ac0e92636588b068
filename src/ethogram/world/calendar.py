"""Who is awake when: a bucket of rows for each tick, so that a step touches nobody who sleeps.

The column `wake` is the truth; buckets are hints that are checked against it, and made anew from it after a load.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ethogram.errors import WorldError
from ethogram.world.state import NEVER

MOST_TICKS = 2**23
"""Ticks of a run: what fits into the id of an event."""


class Calendar:
    """Buckets over a column of wake ticks (int64, one per row), which it writes.

    `own`, where it is set, gives the column to be written: others may look at the one that is here.
    """

    def __init__(self, wake: np.ndarray):
        self.wake = wake
        self.own: Callable[[], np.ndarray] | None = None
        self._buckets: dict[int, list[np.ndarray]] = {}
        self._ticks: list[int] = []
        self._sorted(None, wake)

    def _sorted(self, rows: np.ndarray | None, ticks: np.ndarray) -> None:
        """Put rows (None: all) into the buckets of their ticks."""
        order = np.argsort(ticks, kind="stable")
        rows, ticks = order if rows is None else rows[order], ticks[order]
        starts = np.flatnonzero(np.diff(ticks, prepend=-1))  # ticks are 0 or more
        for tick, part in zip(ticks[starts].tolist(), np.split(rows, starts[1:]), strict=False):
            if tick != NEVER:
                self._put(tick, part)

    def _put(self, tick: int, rows: np.ndarray) -> None:
        if tick not in self._buckets:
            self._buckets[tick] = []
            heapq.heappush(self._ticks, tick)
        self._buckets[tick].append(rows)

    def set(self, rows: np.ndarray, now: int, after: Any) -> None:
        """Wake rows so many ticks after `now`: one number for all or one each, 1 or more."""
        if not len(rows):
            return
        after = np.asarray(after, np.int64)
        if after.size and after.min() < 1:
            raise WorldError(f"wake after {after.min()} ticks; give 1 or more (a tick that is past does not return).")
        if self.own is not None:
            self.wake = self.own()
        if after.ndim == 0:
            tick = NEVER if after == NEVER else now + int(after)
            self.wake[rows] = tick
            if tick != NEVER:
                self._put(tick, rows)
            return
        ticks = np.where(after == NEVER, NEVER, now + np.minimum(after, NEVER - 1 - now))
        self.wake[rows] = ticks
        self._sorted(rows, ticks)

    def next(self) -> int | None:
        """The next tick at which somebody may be awake, None where all sleep."""
        return self._ticks[0] if self._ticks else None

    def take(self, tick: int) -> np.ndarray:
        """Rows that are awake at a tick, ascending; their bucket is emptied."""
        while self._ticks and self._ticks[0] <= tick:
            heapq.heappop(self._ticks)
        return _awake(self._buckets.pop(tick, ()), self.wake, tick)

    def copy(self) -> Calendar:
        """The same over the same column, which whoever takes it must own before it is written."""
        made = Calendar.__new__(Calendar)
        made.wake, made.own = self.wake, None
        made._buckets = {t: list(parts) for t, parts in self._buckets.items()}
        made._ticks = list(self._ticks)
        return made

    def put_back(self, rows: np.ndarray, tick: int) -> None:
        """Undo a `take` whose tick was not done."""
        if len(rows):
            self._put(tick, rows)


def _awake(parts: Iterable[np.ndarray], wake: np.ndarray, tick: int) -> np.ndarray:
    parts = list(parts)
    if not parts:
        return np.zeros(0, np.int64)
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
    there = wake[rows] == tick
    rows = rows if there.all() else rows[there]
    if len(rows) > 1 and not (rows[1:] > rows[:-1]).all():
        rows = np.unique(rows)
    return np.asarray(rows, np.int64)
