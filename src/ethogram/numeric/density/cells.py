"""Points by cells around some of them, so that whole cells are ruled out by the triangle inequality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethogram.numeric.density.exact import nearest

POINTS = 160
"""Points of a cell, about: fewer make bounds tighter, and more of them."""
MOST = 4096


@dataclass(frozen=True, eq=False)
class Cells:
    """`order` lists the points cell by cell.

    Attributes
    ----------
    order : int32[n]. offsets : int64[C + 1]. centres : float64[C, d].
    reach : float64[n], distance of ``order[i]`` to the centre of its cell, ascending within a cell.
    """

    order: np.ndarray
    offsets: np.ndarray
    centres: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, seed: int) -> Cells:
        n = len(x)
        count = int(np.clip(n // POINTS, 1, MOST))
        centres = x[np.random.default_rng(seed).choice(n, count, replace=False)].astype(np.float64)
        far, cell = nearest(centres, 1, x)
        order = np.lexsort((far[:, 0], cell[:, 0])).astype(np.int32)
        offsets = np.append(0, np.cumsum(np.bincount(cell[:, 0], minlength=count)))
        return cls(order, offsets, centres, far[order, 0])
