"""The search and the sum of `ethogram.nn.decoupled` for one request: one product, then one compiled pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit

from ethogram.errors import OptionError
from ethogram.log import ItemColumn
from ethogram.nn.buckets import BucketTable
from ethogram.nn.decoupled import Decoupled
from ethogram.nn.prepared.dense import FAST, F, array
from ethogram.nn.prepared.past import Past, Vectors


@dataclass(frozen=True, eq=False)
class Searching:
    """s = ask . look / sqrt(d) + place; the K events of largest s; softmax of s over them times [tell ; place].

    `look` and `tell` are of events, None where they are the network's own vectors; `ask` is float32[rows, d] or None.
    """

    look: Vectors | None
    tell: Vectors | None
    ask: np.ndarray | None
    maps: tuple[np.ndarray, np.ndarray] | None
    means: np.ndarray
    bias: np.ndarray
    keep: int | None
    width: int

    @classmethod
    def of(cls, part: Decoupled, columns: Mapping[str, ItemColumn], order: np.ndarray) -> Searching:
        """Of a fitted part, for the items of these columns in this order.

        Raises
        ------
        OptionError
            It searches by category or by hashes.
        """
        if part.search not in ("dot", "all"):
            raise OptionError(f"prepared: no arrays for a search by {part.search}.")
        codes = torch.from_numpy(order)
        apart = {
            name: None if one is None else Vectors.of(array(one.items(columns, codes)), one.events, one.event)
            for name, one in (("look", part.look), ("ask", part.ask), ("tell", part.tell))
        }  # fmt: skip
        asks = apart["ask"] or apart["look"]
        finds = part.means if part.finds is None else part.finds
        maps = None if part.maps is None else tuple(np.ascontiguousarray(array(m.weight).T) for m in part.maps)
        return cls(
            apart["look"], apart["tell"], None if asks is None else asks.items, maps,  # type: ignore[arg-type]
            array(part.means), array(finds @ finds[0] * part.beside**-0.5),
            part.keep if part.search == "dot" else None, part.width + part.beside,
        )  # fmt: skip

    def read(self, past: Past, candidates: np.ndarray, rows: np.ndarray, table: BucketTable | None) -> np.ndarray:
        if not len(past):
            return np.zeros((len(rows), self.width), F)
        look = past.vectors if self.look is None else self.look.of_events(past.rows, past.columns)
        tell = past.vectors if self.tell is None else self.tell.of_events(past.rows, past.columns)
        ask = candidates if self.ask is None else self.ask[rows]
        if self.maps is not None:
            look, ask, tell = look @ self.maps[0], ask @ self.maps[0], tell @ self.maps[1]
        place = places(past.starts, len(self.means) - 1)
        scores = ask @ look.T
        scores *= F(look.shape[1] ** -0.5)
        scores += self.bias[place]
        _share(scores, min(self.keep or len(past), len(past)))
        return np.concatenate([scores @ tell, scores @ self.means[place]], 1)


def places(starts: np.ndarray, most: int) -> np.ndarray:
    """Groups from the end of the history to each event, 1 ... most, int64[L]; `ethogram.nn.decoupled.places`."""
    group = np.cumsum(starts)
    return np.clip(group[-1] - group + 1, 1, most)


@njit(**FAST)
def _share(scores, keep):  # type: ignore[no-untyped-def]
    """Softmax over the `keep` largest of each row, zero elsewhere, in place."""
    n, length = scores.shape
    best = np.empty(keep, scores.dtype)
    for i in range(n):
        row = scores[i]
        floor = row[0]
        if keep < length:
            for j in range(keep):  # the smallest that is kept lies first
                best[j] = row[j]
            low = 0
            for j in range(1, keep):
                if best[j] < best[low]:
                    low = j
            for j in range(keep, length):
                if row[j] > best[low]:
                    best[low] = row[j]
                    low = 0
                    for k in range(1, keep):
                        if best[k] < best[low]:
                            low = k
            floor = best[low]
        else:
            floor = row.min()
        top, more = row.max(), 0
        for j in range(length):
            more += row[j] > floor
        ties = keep - more  # of equal ones the latest, as many as there is room for
        total = F(0)
        for j in range(length - 1, -1, -1):
            if row[j] > floor:
                row[j] = np.exp(row[j] - top)
            elif row[j] == floor and ties > 0:
                row[j] = np.exp(row[j] - top)
                ties -= 1
            else:
                row[j] = F(0)
            total += row[j]
        for j in range(length):
            row[j] /= total
