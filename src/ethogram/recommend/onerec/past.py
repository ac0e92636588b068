"""What lies before each list that is to be written, and the lists that were shown: rows of known items, laid flat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ethogram.log import Histories
from ethogram.numeric.sessions import begins


@dataclass(frozen=True, eq=False)
class Past:
    """n pasts, each a slice of shared rows, oldest first.

    Attributes
    ----------
    item : int64[T], trained rows. group : int64[T], number of each row's group of equal times.
    start, stop : int64[n].
    """

    item: np.ndarray
    group: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def of(cls, histories: Histories, rows: np.ndarray, length: int | None = None) -> Past:
        """Histories (their last `length` events), without items that have no row."""
        cut = histories if length is None else histories.last(length)
        places, spans = cut.flat()
        item = rows[np.asarray(cut.item)[places]].astype(np.int64)
        kept = item >= 0
        ends = np.append(0, np.cumsum(kept))[spans]
        group = np.cumsum(np.asarray(cut.starts)[places])
        return cls(item[kept], group[kept], ends[:-1], ends[1:])

    def __getitem__(self, which: np.ndarray | slice) -> Past:
        return Past(self.item, self.group, self.start[which], self.stop[which])

    def read(self, codes: np.ndarray, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """(letters int64[n, T, levels], distance int64[n, T], there bool[n, T]) of the last rows, newest first.

        Distances count groups, so that the rows of one group are alike.
        """
        width = int(min(np.max(self.stop - self.start, initial=0), length))
        row = self.stop[:, None] - 1 - np.arange(width)
        there = row >= self.start[:, None]
        row = np.where(there, row, 0)
        if not len(self.item):
            none = torch.zeros(len(self), 0, dtype=torch.int64)
            return none[..., None].expand(-1, -1, codes.shape[1]), none, none.bool()
        last = self.group[np.maximum(self.stop - 1, 0)]
        distance = np.where(there, last[:, None] - self.group[row], 0)
        letters = codes[self.item[row]].astype(np.int64)
        return torch.from_numpy(letters), torch.from_numpy(distance), torch.from_numpy(there)


@dataclass(frozen=True, eq=False)
class Shown:
    """Lists that were shown (or chosen): what came before, which items, what each was worth.

    Attributes
    ----------
    past : n pasts. items : int64[n, m], -1 behind the end. value : float32[n, m], NaN where nothing is known.
    """

    past: Past
    items: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(cls, histories: Histories, rows: np.ndarray, size: int, pause: float | None, seed: int) -> Shown:
        """The sessions of whole histories, their first `size` distinct items; equal times in an order drawn by seed."""
        places, spans = histories.flat()
        begin = begins(histories, pause)
        item = rows[np.asarray(histories.item)[places]].astype(np.int64)
        group = np.cumsum(np.asarray(histories.starts)[places])
        value = np.full(len(item), np.nan, np.float32)
        if "value" in histories.columns:
            value = np.asarray(histories.columns["value"])[places].astype(np.float32)
        kept = item >= 0
        session = np.cumsum(begin) - 1
        owner = np.repeat(np.arange(len(histories)), np.diff(spans))[kept]
        item, group, session, value = item[kept], group[kept], session[kept], value[kept]
        if not len(item):
            return cls(Past(item, group, item, item), np.empty((0, size), np.int64), np.empty((0, size), np.float32))
        order = np.lexsort((np.random.default_rng(seed).random(len(item)), group))
        first = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])
        place = np.searchsorted(first, order, side="right") - 1
        # the first time that a session holds an item, in its order
        _, met = np.unique(place * (item.max() + 1) + item[order], return_index=True)
        met = np.sort(met)
        order, place = order[met], place[met]
        turn = np.arange(len(place)) - np.searchsorted(place, place)
        fits = turn < size
        items, worth = np.full((len(first), size), -1), np.full((len(first), size), np.nan, np.float32)
        items[place[fits], turn[fits]] = item[order[fits]]
        worth[place[fits], turn[fits]] = value[order[fits]]
        begun = np.searchsorted(owner, owner[first])
        return cls(Past(item, group, begun, first), items, worth)
