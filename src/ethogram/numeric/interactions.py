"""Who did what how often: counts of (user, item) pairs as sparse rows, from histories.

The rows are those of the histories: whole ones make the matrix that a model learns from, those of questions the rows
that strangers are folded in by. Order and time are gone; a pair's count is all that is left of its events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit

from ethogram.log import Histories


@dataclass(frozen=True, eq=False)
class Interactions:
    """Compressed sparse rows of counts; in a row items ascend and stand once.

    Attributes
    ----------
    offsets : int64[n + 1]. items : int32[pairs], below `width`. counts : float32[pairs], events of the pair.
    width : number of columns.
    """

    offsets: np.ndarray
    items: np.ndarray
    counts: np.ndarray
    width: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Distinct items of each row, int64[n]."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> np.ndarray:
        """Row of each pair, int32[pairs]."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    @classmethod
    def of(cls, histories: Histories, rows: np.ndarray, width: int) -> Interactions:
        """One row per history.

        Parameters
        ----------
        rows : int[items of the histories' vocabulary + 1], the column of each code, -1 where it has none; the last
            entry answers for code -1.
        """
        places, offsets = histories.flat()
        flat = rows[np.asarray(histories.item)[places]].astype(np.int32)
        return cls.counted(flat, offsets, width)

    @classmethod
    def counted(cls, items: np.ndarray, offsets: np.ndarray, width: int, counts: np.ndarray | None = None) -> Self:
        """From ragged columns in any order, with repeats; -1 is left out. `counts` of each entry, 1 if not given."""
        each = np.ones(len(items), np.float32) if counts is None else counts
        ends = np.empty(len(offsets), np.int64)
        found, held = np.empty(len(items), np.int32), np.empty(len(items), np.float32)
        _count(items, offsets, each, np.full(width, -1, np.int64), np.zeros(width, np.float32), ends, found, held)
        return cls(ends, found[: ends[-1]].copy(), held[: ends[-1]].copy(), width)

    def transposed(self) -> Interactions:
        """By item: rows and columns exchanged."""
        sizes = np.bincount(self.items, minlength=self.width)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        users, counts = np.empty(len(self.items), np.int32), np.empty(len(self.items), np.float32)
        _transpose(self.offsets, self.items, self.counts, offsets[:-1].copy(), users, counts)
        return Interactions(offsets, users, counts, len(self))

    def __getitem__(self, rows: slice) -> Interactions:
        """A block of consecutive rows."""
        first, last, _ = rows.indices(len(self))
        here = slice(self.offsets[first], self.offsets[max(first, last)])
        offsets = self.offsets[first : max(first, last) + 1] - self.offsets[first]
        return Interactions(offsets, self.items[here], self.counts[here], self.width)


@njit(cache=True, nogil=True)
def _count(items, offsets, each, met, total, ends, found, held):  # type: ignore[no-untyped-def]
    at = 0
    ends[0] = 0
    for u in range(len(offsets) - 1):
        first = at
        for e in range(offsets[u], offsets[u + 1]):
            i = items[e]
            if i < 0:
                continue
            if met[i] != u:
                met[i] = u
                total[i] = 0
                found[at] = i
                at += 1
            total[i] += each[e]
        found[first:at].sort()
        for e in range(first, at):
            held[e] = total[found[e]]
        ends[u + 1] = at


@njit(cache=True, nogil=True)
def _transpose(offsets, items, counts, place, users, turned):  # type: ignore[no-untyped-def]
    for u in range(len(offsets) - 1):
        for e in range(offsets[u], offsets[u + 1]):
            at = place[items[e]]
            users[at] = u
            turned[at] = counts[e]
            place[items[e]] = at + 1
