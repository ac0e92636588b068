"""The items of a service: an id's row in every array that holds something of each item.

Row 0 is no item, row 1 an item that nobody knows, row 2 the first of the catalogue.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.log import Vocabulary

NOTHING, STRANGE, FIRST = 0, 1, 2
HELD = 8
"""Vocabularies of callers whose codes are kept as rows: those of logs come again with every request."""


class Catalogue:
    """Ids and their rows.

    Examples
    --------
    >>> catalogue = Catalogue(Vocabulary([10, 20]))
    >>> catalogue.rows([20, "10", 30, None]).tolist()
    [3, 2, 1, 0]
    """

    def __init__(self, ids: Vocabulary) -> None:
        self.ids = ids
        self.places: dict[Any, int] = {x: i + FIRST for i, x in enumerate(ids.ids.to_pylist())}
        if ids.is_integer:  # ids come as text over the wire
            self.places |= {str(x): i + FIRST for i, x in enumerate(ids.ids.to_pylist())}
        self._held: OrderedDict[int, tuple[Vocabulary, np.ndarray]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.ids) + FIRST

    def rows(self, ids: Sequence[Any]) -> np.ndarray:
        """Rows of ids, int64 of the same length."""
        places = self.places
        try:
            return np.array([places[x] for x in ids], np.int64)
        except (KeyError, TypeError):
            codes = self.ids.encode(list(ids)).astype(np.int64)
            found = np.where(codes < 0, STRANGE, codes + FIRST)
            return np.where([x is None for x in ids], NOTHING, found)

    def moved(self, codes: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        """Rows of the codes of a vocabulary, -1 no item."""
        if vocabulary is self.ids:
            return np.asarray(codes, np.int64) + np.where(codes < 0, 1, FIRST)
        held = self._held.get(id(vocabulary))
        if held is None or held[0] is not vocabulary:
            self._held[id(vocabulary)] = held = (vocabulary, self._rows_of(vocabulary))
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return held[1][codes]  # type: ignore[no-any-return]

    def _rows_of(self, vocabulary: Vocabulary) -> np.ndarray:
        """By code, the row of code -1 last."""
        few = len(vocabulary) < 2_048
        rows = self.rows(vocabulary.ids.to_pylist()) if few else self._known(vocabulary.ids)
        return np.append(rows, NOTHING)

    def _known(self, ids: pa.Array) -> np.ndarray:
        codes = self.ids.encode(ids).astype(np.int64)
        return np.where(codes < 0, STRANGE, codes + FIRST)
