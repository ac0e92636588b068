"""Training windows of next-group targets: what a causal model learns from, made anew every epoch.

A history is cut into windows of at most `length` events, whole groups of equal times, one after another; every row
is asked for one item of the group that follows its own, drawn anew each epoch. One pass over a window so learns from
all its positions. A history's last group is nobody's input, since nothing follows it.

NumPy only: rows are numbers, and what a row brings (its item, its time, its kind) is looked up by the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit

from ethogram.errors import OptionError
from ethogram.log import Histories, facts, room
from ethogram.log.kernels import ragged_rows
from ethogram.nn.ragged import bucket_batches


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows one after another.

    Attributes
    ----------
    rows : int64[T], shared rows of the histories' columns, oldest first in each window.
    target : int64[T], the shared row that follows each.
    offsets : int64[n + 1]; window i is ``rows[offsets[i]:offsets[i + 1]]``.
    group : int64[T], number of each row's group within its window, from 0.
    """

    rows: np.ndarray
    target: np.ndarray
    offsets: np.ndarray
    group: np.ndarray


@dataclass(frozen=True, eq=False)
class Windows:
    """Histories prepared for cutting.

    Attributes
    ----------
    rows : int64[N], shared rows of all histories one after another.
    first : int64[G + 1], place in `rows` at which each group begins.
    group : int64[N], group of each place.
    bounds : int64[n + 1]; the groups of history i are ``bounds[i]:bounds[i + 1]``.

    Examples
    --------
    >>> windows = Windows.of(Histories.of([["a", "b", "c", "d"], ["a"]]))
    >>> [b.rows.tolist() for b in windows.batches(np.random.default_rng(0), length=8, tokens=100)]
    [[0, 1, 2]]
    """

    rows: np.ndarray
    first: np.ndarray
    group: np.ndarray
    bounds: np.ndarray

    @classmethod
    def of(cls, histories: Histories) -> Windows:
        """Prepare histories; rows that must not appear are left out before (`Histories.only`)."""
        rows, offsets = histories.flat()
        begins = room.taken(np.asarray(histories.starts), rows)
        begins[offsets[:-1][np.diff(offsets) > 0]] = True  # a history may begin inside a group that was cut
        places = facts.places(begins)
        first = room.empty(len(places) + 1, np.int64)
        first[:-1], first[-1] = places, len(rows)
        return cls(rows, first, facts.numbered(begins), np.searchsorted(places, offsets))

    @property
    def events(self) -> int:
        """Rows that something follows, those that an epoch learns from."""
        several = np.diff(self.bounds) > 1
        return int((self.first[self.bounds[1:] - 1] - self.first[self.bounds[:-1]])[several].sum())

    def cut(self, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(start, stop) of each window among the places of `rows`, int64.

        A history of at most `length` events stays whole. Of a longer one the first window gets room for a random
        number of events, the others for `length` each; a window holds the groups that fit, at least one. A group
        larger than `length` falls into windows of its own, which all ask for the group behind it.

        Raises
        ------
        OptionError
            A length below 1.
        """
        if length < 1:
            raise OptionError(f"windows: length = {length} is not a number of events; give 1 or more.")
        free = rng.integers(1, length + 1, len(self.bounds) - 1)
        most = self.events // length + np.maximum(np.diff(self.bounds), 0).sum() + len(free) + 1
        start, stop = room.empty(most, np.int64), room.empty(most, np.int64)
        n = _cut(self.first, self.bounds, free, length, start, stop)
        return start[:n].copy(), stop[:n].copy()

    def batches(
        self, rng: np.random.Generator, *, length: int, tokens: int, padding: float = 0.2, windows: int | None = None
    ) -> Iterator[Batch]:
        """One epoch: every row that something follows, once, unless `windows` draws so many of all windows.

        Parameters
        ----------
        length : events per window at most. tokens : events per batch at most, padding included.
        padding : largest share of a batch that padding would take (`bucket_batches`).
        """
        start, stop = self.cut(length, rng)
        if windows is not None and windows < len(start):
            kept = np.sort(rng.choice(len(start), windows, replace=False))
            start, stop = start[kept], stop[kept]
        for part in bucket_batches(stop - start, tokens=tokens, padding=padding, seed=rng):
            places, offsets = ragged_rows(start[part], stop[part])
            group = self.group[places]
            number = group - np.repeat(self.group[start[part]], np.diff(offsets))
            yield Batch(self.rows[places], self.rows[self.follow(group, rng)], offsets, number)

    def follow(self, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A uniformly drawn place of the group behind each of `group`, int64."""
        low, high = self.first[group + 1], self.first[group + 2]
        if len(self.first) - 1 == len(self.rows):
            return low  # one event per group: nothing to draw
        return low + (rng.random(len(group)) * (high - low)).astype(np.int64)


@njit(cache=True, nogil=True)
def _cut(
    first: np.ndarray, bounds: np.ndarray, room: np.ndarray, length: int, start: np.ndarray, stop: np.ndarray
) -> int:
    found = 0
    for i in range(len(bounds) - 1):
        g, last = bounds[i], bounds[i + 1] - 1
        if g >= last:
            continue
        free = length if first[last] - first[g] <= length else room[i]
        while g < last:
            at = first[g]
            if first[g + 1] - at > length:
                while at < first[g + 1]:
                    start[found], stop[found] = at, min(at + length, first[g + 1])
                    at, found = at + length, found + 1
                g += 1
            else:
                g += 1
                while g < last and first[g + 1] - at <= free:
                    g += 1
                start[found], stop[found] = at, first[g]
                found += 1
            free = length
    return found
