"""What a history says about the candidates of one request: the interests of a slate network as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numba import njit
from torch import nn

from ethogram.errors import OptionError
from ethogram.log import ItemColumn
from ethogram.nn.buckets import BucketTable
from ethogram.nn.decoupled import Decoupled
from ethogram.nn.interest import Attended, Pooled, Several
from ethogram.nn.lsh import Hashed, SimHash
from ethogram.nn.prepared.attended import Attending
from ethogram.nn.prepared.dense import FAST, F
from ethogram.nn.prepared.past import Past
from ethogram.nn.prepared.searched import Searching


class Reading(Protocol):
    """One interest."""

    def read(self, past: Past, candidates: np.ndarray, rows: np.ndarray, table: BucketTable | None) -> np.ndarray:
        """[C, width] of candidates, or [width] if it is the same for all."""
        ...


@dataclass(frozen=True)
class Pool:
    """Mean or sum of the events."""

    mean: bool

    def read(self, past: Past, candidates: np.ndarray, rows: np.ndarray, table: BucketTable | None) -> np.ndarray:
        if not len(past):
            return np.zeros(candidates.shape[1], F)
        return np.asarray(past.vectors.mean(0) if self.mean else past.vectors.sum(0))


@dataclass(frozen=True)
class Attend:
    """Attention over the last events, or over all."""

    unit: Attending

    def read(self, past: Past, candidates: np.ndarray, rows: np.ndarray, table: BucketTable | None) -> np.ndarray:
        return self.unit.read(past, candidates)


@dataclass(frozen=True)
class Buckets:
    """Hash buckets: of a table that is there already, or made of the history."""

    hash: SimHash
    codes: np.ndarray
    normalise: bool
    memory: float | None
    by_item: bool = True
    "An event's signature is its item's: nothing else is known of it."

    def read(self, past: Past, candidates: np.ndarray, rows: np.ndarray, table: BucketTable | None) -> np.ndarray:
        if table is None:
            mine = self.signatures(past)
            fades = self.memory is not None and past.time is not None
            how: dict[str, Any] = {"memory": self.memory, "time": past.time} if fades else {}
            table = BucketTable.of(mine, past.vectors, self.hash.buckets, **how)
        out = np.empty((len(rows), candidates.shape[1]), F)
        _gather(out, rows, self.codes, table.rows(self.normalise))
        return out

    def signatures(self, past: Past) -> np.ndarray:
        """int32[L, G] of events."""
        return self.codes[past.rows] if self.by_item else self.hash.codes(past.vectors)


@njit(**FAST)
def _gather(out, rows, codes, held):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[i, k] = F(0)
        for g in range(codes.shape[1]):
            b = codes[rows[i], g]
            for k in range(out.shape[1]):
                out[i, k] += held[g, b, k]


def interests(
    part: nn.Module, items: np.ndarray, columns: Mapping[str, ItemColumn], order: np.ndarray, by_item: bool
) -> list[Reading]:
    """The parts of a fitted network's interest, in their order.

    Parameters
    ----------
    items : float32[rows, width], vectors of all items. columns, order : what they are made of, and its codes by row.
    by_item : nothing is known of an event but its item.

    Raises
    ------
    OptionError
        One of them is not here.
    """
    if isinstance(part, Several):
        return [one for p in part.parts for one in interests(p, items, columns, order, by_item)]
    if isinstance(part, Pooled):
        return [Pool(part.how == "mean")]
    if isinstance(part, Attended):
        return [Attend(Attending.of(part))]
    if isinstance(part, Hashed):
        return [Buckets(part.hash, part.hash.codes(items), part.normalise, part.memory, by_item)]
    if isinstance(part, Decoupled):
        return [Searching.of(part, columns, order)]
    raise OptionError(f"prepared: no arrays for the interest {type(part).__name__}.")
