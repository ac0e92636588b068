"""Distinct ids of a column that is read in blocks: a set of bits for whole numbers, merged lists for text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.log import kernels
from ethogram.log.typed import is_text
from ethogram.log.vocabulary import Vocabulary

WIDEST = 1 << 33
"""Numbers that a set of bits spans at most (1 GiB)."""
ROOM = 1 << 18
"""New ids that are gathered before they are merged with the known ones."""


class Distinct:
    """Gathers the ids of one column.

    Parameters
    ----------
    most : once there are more ids than this, none are gathered any more and `full` holds.
    """

    def __init__(self, most: int | None = None):
        self.most, self.full = most, False
        self._low, self._bits = 0, np.zeros(0, np.uint64)
        self._known: pa.Array | None = None
        self._fresh: list[pa.Array] = []
        self._waiting = 0

    def add(self, column: pa.ChunkedArray) -> None:
        """The ids of a block; null is none."""
        if self.full or column.null_count == len(column):
            return
        if pa.types.is_integer(column.type) and self._mark(column):
            return
        fresh = pc.unique(column.cast(pa.large_string()) if is_text(column.type) else column).drop_null()
        self._fresh.append(fresh)
        self._waiting += len(fresh)
        if self.most is not None or self._waiting > max(ROOM, len(self._known) if self._known is not None else 0):
            self._merge()
            self.full = self.most is not None and self._known is not None and len(self._known) > self.most

    def vocabulary(self, kind: pa.DataType) -> Vocabulary:
        """All ids in ascending order, as ids of that type."""
        self._merge()
        parts = [] if self._known is None else [self._known.cast(kind)]
        if len(self._bits):
            ranks = kernels.ranks(self._bits)
            parts.append(pa.array(kernels.members(self._bits, ranks, self._low)).cast(kind))
        ids = pc.unique(pa.concat_arrays(parts)) if parts else pa.array([], kind)
        return Vocabulary(ids.take(pc.sort_indices(ids)))

    def _mark(self, column: pa.ChunkedArray) -> bool:
        ids = (column.drop_null() if column.null_count else column).to_numpy()
        low, high = map(int, kernels.span(ids))
        if len(self._bits):
            low, high = min(low, self._low), max(high, self._low + 64 * len(self._bits) - 1)
        if high - low > WIDEST:
            return False
        if not len(self._bits) or low < self._low or high >= self._low + 64 * len(self._bits):
            low -= low % 64  # words of the old set stay words
            grown = np.zeros((high - low) // 64 + 1, np.uint64)
            if len(self._bits):
                at = (self._low - low) // 64
                grown[at : at + len(self._bits)] = self._bits
            self._low, self._bits = low, grown
        kernels.mark(ids, self._low, self._bits)
        return True

    def _merge(self) -> None:
        if self._fresh:
            parts = [*([self._known] if self._known is not None else []), *self._fresh]
            self._known = pc.unique(pa.concat_arrays(parts) if len({p.type for p in parts}) == 1 else
                                    pa.concat_arrays([p.cast(pa.large_string()) for p in parts]))  # fmt: skip
            self._fresh, self._waiting = [], 0
