"""The values of a column of items, one or several per item, as one ragged form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ethogram.log import Features, ItemColumn
from ethogram.log.batch import UNSEEN


@dataclass(frozen=True, eq=False)
class Values:
    """Values of item v (a row of the batch's item columns) are ``rows[bounds[v]:bounds[v + 1]]``, each below `size`.

    Missing values and values that training did not see are left out: two unknowns are not the same thing.
    """

    rows: np.ndarray
    bounds: np.ndarray
    size: int

    @classmethod
    def of(cls, column: ItemColumn, size: int) -> Values:
        """The values of a categorical or several-valued column as rows of its embedding table of `size` rows."""
        known = column.values > UNSEEN
        before = np.concatenate([[0], np.cumsum(known)])
        bounds = before if column.offsets is None else before[column.offsets]
        return cls(column.values[known].astype(np.int64), bounds, size)

    @classmethod
    def identity(cls, items: int) -> Values:
        """Every item its own value, seen in training or not; row 0 is no item."""
        return cls(np.arange(1, items), np.maximum(np.arange(items + 1) - 1, 0), items)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def owner(self) -> np.ndarray:
        """The item of each entry of `rows`."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def total(self, of_item: np.ndarray) -> np.ndarray:
        """Sum over the items that have a value, [..., size], of numbers [..., items]."""
        flat = of_item.reshape(-1, of_item.shape[-1])
        sums = [np.bincount(self.rows, one[self.owner], self.size) for one in flat]
        return np.stack(sums).reshape(*of_item.shape[:-1], self.size)

    def mean(self, of_value: np.ndarray, empty: float) -> np.ndarray:
        """Mean over the values of each item, [..., items], of numbers [..., size]; `empty` where it has none."""
        counts = np.diff(self.bounds)
        flat = of_value.reshape(-1, of_value.shape[-1])
        sums = [np.bincount(self.owner, one[self.rows], len(self)) for one in flat]
        means = np.where(counts > 0, np.stack(sums) / np.maximum(counts, 1), empty)
        return means.reshape(*of_value.shape[:-1], len(self))


def columns(features: Features, items: Mapping[str, ItemColumn]) -> dict[str, Values]:
    """Name -> Values of every column of the items that has categories (words of texts are none)."""
    sizes = features.tables
    return {
        c.name: Values.of(items[c.name], sizes[c.table])
        for c in features.of("item")
        if c.type in ("categorical", "multi")
    }
