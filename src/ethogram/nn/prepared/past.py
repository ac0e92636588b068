"""One person's history as a request reads it, and the vectors of its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ethogram.nn.embedding import ColumnEncoder
from ethogram.nn.prepared.dense import array


@dataclass(frozen=True, eq=False)
class Past:
    """Events, oldest first.

    Attributes
    ----------
    rows : int64[L], rows of the catalogue. columns : name -> encoded event column [L].
    starts : bool[L], event begins a group of equal time. time : int64[L] microseconds or None.
    vectors : float32[L, width], what the network makes of them.
    """

    rows: np.ndarray
    columns: Mapping[str, np.ndarray]
    starts: np.ndarray
    time: np.ndarray | None
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Vectors:
    """What a set of embedding tables says of all items, and of events: e_j = items[row] + sum_c by_c[value].

    Attributes
    ----------
    items : float32[rows, width]. events : event column -> float32[values, width], for a number [1, width].
    """

    items: np.ndarray
    events: Mapping[str, tuple[bool, np.ndarray]]

    @classmethod
    def of(cls, items: np.ndarray, columns: ColumnEncoder, event: torch.nn.Linear | None) -> Vectors:
        """From vectors of all items and what moves the vector of an event."""
        if event is None:
            return cls(items, {})
        made: dict[str, tuple[bool, np.ndarray]] = {}
        parts = array(event.weight).T
        first = 0
        for (name, table), width in zip(columns.columns.items(), columns.parts, strict=True):
            own = parts[first : first + width]
            made[name] = (table is None, own if table is None else array(columns.tables[table].weight) @ own)
            first += width
        return cls(items, made)

    def of_events(self, rows: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """float32[L, width]."""
        found: Any = self.items[rows]
        for name, (number, by) in self.events.items():
            value = columns[name]
            found += value[:, None] * by if number else by[value]
        return np.asarray(found)
