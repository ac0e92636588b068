"""Points by cells around some of them, so that whole cells are ruled out by the triangle inequality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ethogram.numeric.density.metric import answering, asking, squared
from ethogram.numeric.topk import TopK

BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Cells:
    """Every point belongs to one of some points, nearly always the nearest.

    Attributes
    ----------
    cell : int32[n]. centres : float64[C, d]. reach : float64[n], distance of each point to the centre of its cell.
    """

    cell: np.ndarray
    centres: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, count: int, seed: int) -> Cells:
        """`count` cells, n at most; the centres are drawn among the points."""
        centres = x[np.sort(np.random.default_rng(seed).choice(len(x), count, replace=False))].astype(np.float64)
        middle = centres.mean(0)
        search, cell = TopK(answering(centres - middle)), np.empty(len(x), np.int32)
        for a in range(0, len(x), BLOCK):
            cell[a : a + BLOCK] = search.search(asking(x[a : a + BLOCK] - middle), 1)[1][:, 0]
        return cls(cell, centres, _reaches(x, centres, cell))


@njit(cache=True, nogil=True)
def _reaches(x, centres, cell):  # type: ignore[no-untyped-def]
    out = np.empty(len(x))
    for i in range(len(x)):
        out[i] = np.sqrt(squared(x, i, centres, cell[i]))
    return out
