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
    """Every point belongs to the nearest of some points.

    Attributes
    ----------
    cell : int32[n]. centres : float64[C, d]. reach : float64[n], distance of each point to the centre of its cell.
    """

    cell: np.ndarray
    centres: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, seed: int) -> Cells:
        """About n / `POINTS` centres, drawn among the points."""
        count = int(np.clip(len(x) // POINTS, 1, MOST))
        centres = x[np.random.default_rng(seed).choice(len(x), count, replace=False)].astype(np.float64)
        reach, cell = nearest(centres, 1, x)
        return cls(cell[:, 0], centres, reach[:, 0])
