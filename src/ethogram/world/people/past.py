"""What each simulated household has taken so far: the real past that it was fitted on, and what it took since.

Shares and draws weigh a purchase by ``2^(-age / half_life)``. Many simulated rows may stand for one real household:
they share its real past and have each their own since.
"""

from __future__ import annotations

import copy
from typing import Self

import numpy as np

from ethogram.world.people.purchases import Purchases

HALF_LIVES = (7.0, 28.0, 112.0, float("inf"))


class Record:
    """The real past of all households, as of a day: weights, their sums, and one row per pair of household and item."""

    def __init__(self, past: Purchases, half_lives: tuple[float, ...] = HALF_LIVES):
        self.half_lives, self.now, self.catalogue = half_lives, past.days, past.catalogue
        self.item = past.item
        self.offsets = np.searchsorted(past.user, np.arange(past.households + 1))
        weight = _weights(past.day - past.days, half_lives) * times_drawn(past)
        self.ends = np.concatenate([np.zeros((len(half_lives), 1)), np.cumsum(weight, 1)], 1)
        self.total = self.ends[:, self.offsets[1:]] - self.ends[:, self.offsets[:-1]]
        self.keys, place = np.unique(past.user * self.catalogue + past.item, return_inverse=True)
        self.held = np.stack([np.bincount(place, w, len(self.keys)) for w in weight])

    def weight(self, h: int, who: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Weight of the purchases of `items` by households `who`, of one shape; h is a place in `half_lives`."""
        return found(self.keys, self.held[h], who * self.catalogue + items)

    def share(self, h: int, who: np.ndarray, items: np.ndarray) -> np.ndarray:
        """`weight` over that of all purchases of the household; 0 where there are none."""
        total = self.total[h][who]
        return np.asarray(np.where(total > 0, self.weight(h, who, items) / np.maximum(total, 1e-300), 0.0))

    def draw(self, h: int, who: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """An item of each household's own past by weight, int64[n]; -1 where there is none."""
        return picked(self.ends[h], self.offsets, self.item, who, uniform)


class Past:
    """The record and what rows of a simulation took since.

    Attributes
    ----------
    who : int64[R], the real household of each row.
    """

    def __init__(self, record: Record, who: np.ndarray):
        self.record, self.who = record, who
        self.row = self.item = self.day = np.zeros(0, np.int64)
        self._index()

    def copy(self) -> Self:
        """A branch; nothing that is held is ever written in place."""
        return copy.copy(self)

    def add(self, row: np.ndarray, item: np.ndarray, day: int) -> None:
        """Take note of a day's purchases."""
        order = np.argsort(row, kind="stable")
        at = np.searchsorted(self.row, row[order], "right")
        self.row, self.item = np.insert(self.row, at, row[order]), np.insert(self.item, at, item[order])
        self.day = np.insert(self.day, at, day)
        self._index()

    def put(self, row: np.ndarray, item: np.ndarray, day: np.ndarray) -> None:
        """Take what was taken since as a whole, sorted by row and day."""
        self.row, self.item, self.day = row, item, day
        self._index()

    def _index(self) -> None:
        record = self.record
        weight = _weights(self.day - record.now, record.half_lives)
        self.ends = np.concatenate([np.zeros((len(weight), 1)), np.cumsum(weight, 1)], 1)
        self.offsets = np.searchsorted(self.row, np.arange(len(self.who) + 1))
        self.total = self.ends[:, self.offsets[1:]] - self.ends[:, self.offsets[:-1]]
        self._pairs: tuple[np.ndarray, np.ndarray] | None = None

    def _since(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct (row, item) taken since, as keys, and their weights [half-lives, pairs]."""
        if self._pairs is None:
            keys, place = np.unique(self.row * self.record.catalogue + self.item, return_inverse=True)
            weight = np.diff(self.ends, axis=1)
            self._pairs = keys, np.stack([np.bincount(place, w, len(keys)) for w in weight])
        return self._pairs

    def share(self, h: int, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Share of `items` in the weighted past of `rows`, of one shape; 0 where there is no past."""
        keys, held = self._since()
        who = self.who[rows]
        over = self.record.weight(h, who, items) + found(keys, held[h], rows * self.record.catalogue + items)
        under = self.record.total[h][who] + self.total[h][rows]
        return np.asarray(np.where(under > 0, over / np.maximum(under, 1e-300), 0.0))

    def taken(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether a row has taken an item before, bool."""
        last = len(self.record.half_lives) - 1
        return self.share(last, rows, items) > 0

    def draw(self, h: int, rows: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """An item of each row's own past by weight, int64[n]; -1 where there is none."""
        old, new = self.record.total[h][self.who[rows]], self.total[h][rows]
        point = uniform * (old + new)
        fresh = point >= old
        made = np.empty(len(rows), np.int64)
        with np.errstate(invalid="ignore", divide="ignore"):
            inner = np.where(fresh, (point - old) / new, point / old)
        made[~fresh] = self.record.draw(h, self.who[rows[~fresh]], inner[~fresh])
        made[fresh] = picked(self.ends[h], self.offsets, self.item, rows[fresh], inner[fresh])
        return made


def times_drawn(past: Purchases) -> np.ndarray:
    """How often each purchase was drawn, float64[N]: a basket is drawn item by item and holds each item once, so that
    an item in the share s of a household's trips was drawn -log(1 - s) times a trip; s is c / (trips + 1)."""
    _, place, count = np.unique(past.user * past.catalogue + past.item, return_inverse=True, return_counts=True)
    trips = np.bincount(past.trips[0], minlength=past.households)[past.user]
    share = count[place] / (trips + 1)
    return np.asarray(-np.log1p(-share) / share)


def _weights(age: np.ndarray, half_lives: tuple[float, ...]) -> np.ndarray:
    """``2^(age / half_life)`` [half-lives, n]; age is negative for the past."""
    return np.stack([np.exp2(age / h) if np.isfinite(h) else np.ones(len(age)) for h in half_lives])


def found(keys: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Values of sorted distinct keys, 0 where a key is not there; of the shape asked."""
    if not len(keys):
        return np.zeros(asked.shape)
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[at] == asked, values[at], 0.0)


def picked(
    ends: np.ndarray, offsets: np.ndarray, item: np.ndarray, segment: np.ndarray, uniform: np.ndarray
) -> np.ndarray:
    """An entry of each segment ``offsets[s]:offsets[s + 1]`` by weights whose running sums are `ends`; -1 if empty."""
    first, stop = offsets[segment], offsets[segment + 1]
    there = stop > first
    if not there.any():
        return np.full(len(segment), -1, np.int64)
    point = ends[first] + uniform * (ends[stop] - ends[first])
    at = np.clip(np.searchsorted(ends, point, "right") - 1, first, np.maximum(stop - 1, first))
    return np.where(there, item[np.minimum(at, len(item) - 1)], -1)
