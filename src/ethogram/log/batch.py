"""What models read: integers and floats beside each other, ragged, without copies of histories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from ethogram.log import kernels

PADDING, UNSEEN = 0, 1
"""Row 0 of every embedding table stands for missing values, row 1 for values that training did not see."""


@dataclass(frozen=True, eq=False)
class ItemColumn:
    """One column of the items, as a table over the batch's own item codes shifted by one (row 0: no item).

    `values` is int32[V + 1] rows of embedding table `table` (categorical), float32[V + 1] (numeric), or, with
    `offsets` int64[V + 2], the flat int32 rows of every item's several values (multi).
    """

    kind: Literal["categorical", "numeric", "multi"]
    values: np.ndarray
    table: str | None = None
    offsets: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Slices:
    """Ragged rows: question i owns rows ``start[i]:stop[i]`` of shared columns.

    `item` is int32[N], the item's code plus one. `starts` marks the first row of each equal-time group, `time`
    is int64 microseconds (or None). `columns` holds the encoded event columns, `tables` their embedding tables
    (None for numeric ones).
    """

    item: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    tables: Mapping[str, str | None] = field(default_factory=dict)
    starts: np.ndarray | None = None
    time: np.ndarray | None = None

    @property
    def lengths(self) -> np.ndarray:
        return self.stop - self.start

    def __getitem__(self, rows: slice | np.ndarray) -> Slices:
        return replace(self, start=self.start[rows], stop=self.stop[rows])

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows int64[total], offsets int64[n + 1]) of the slices, one after another."""
        return self._flat

    @cached_property
    def _flat(self) -> tuple[np.ndarray, np.ndarray]:
        return kernels.ragged_rows(self.start, self.stop)


@dataclass(frozen=True, eq=False)
class Batch:
    """n encoded questions; ``batch[rows]`` is a view of some of them.

    Attributes
    ----------
    items : name -> ItemColumn; ``items["item"]`` is the identity.
    sequences : name -> Slices, the histories. candidates : Slices or None.
    users : name -> array[n]. user_tables : name -> embedding table (None for numeric).
    time : int64[n], when each question is asked. people : int32[n], who asks, -1 for strangers.
    label, weight : float32, flat beside the candidates, or None.
    """

    items: Mapping[str, ItemColumn]
    sequences: Mapping[str, Slices]
    candidates: Slices | None
    users: Mapping[str, np.ndarray]
    user_tables: Mapping[str, str | None]
    time: np.ndarray
    label: np.ndarray | None = None
    weight: np.ndarray | None = None
    people: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, rows: slice | np.ndarray) -> Batch:
        """Some of the questions. Label and weight stay shared: find them through ``candidates.flat()``."""
        return replace(
            self,
            sequences={k: s[rows] for k, s in self.sequences.items()},
            candidates=None if self.candidates is None else self.candidates[rows],
            users={k: v[rows] for k, v in self.users.items()},
            time=self.time[rows],
            people=None if self.people is None else self.people[rows],
        )
