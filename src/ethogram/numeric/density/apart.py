"""How far groups of points lie apart at least.

Two bounds, of which the larger counts: balls, ``|c - c'| - R - R'``, and slabs. Of a group with centre c every point p
has ``p.u <= h`` along the direction u from c to c', and of the other every q has ``q.u >= h'``: no p is nearer to any q
than ``h' - h``. In many dimensions a ball around a group is far wider than the group along any one direction, so that
slabs part what balls cannot. One matrix product of all points with all centres gives every slab.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ethogram.numeric.density.cells import Cells
from ethogram.numeric.density.metric import ROUNDING, answering, asking, share, squares
from ethogram.numeric.density.sweep import Shells

CELLS = 1.2
"""Cells per square root of the number of points: more part better, and cost more to tell apart."""
BLOCK = 4096


class Groups(NamedTuple):
    """Points in groups, each group's in a row.

    Attributes
    ----------
    order : int32[n], rows of x. offsets : int64[G + 1]. query, item : float32[n, d + 1], see `metric`, in that order.
    norm : float64[n], squared. centre : float32[G, d]. reach : float64[n], to its own centre.
    apart : float32[G, G], no two points of two groups are nearer than that; negative where nothing is known.
    share, slip : what rounding may move a score by (see `metric.share`), and a distance.
    """

    order: np.ndarray
    offsets: np.ndarray
    query: np.ndarray
    item: np.ndarray
    norm: np.ndarray
    centre: np.ndarray
    reach: np.ndarray
    apart: np.ndarray
    share: float
    slip: float

    @classmethod
    def of(cls, x: np.ndarray, seed: int) -> Groups:
        near = (x - x.mean(0, dtype=np.float64)).astype(np.float32)
        shells = Shells.of(Cells.of(near, min(len(x), math.ceil(CELLS * math.sqrt(len(x)))), seed))
        near = near[shells.order]
        item, query = answering(near), asking(near)
        size = np.diff(shells.offsets)
        centre = np.add.reduceat(near, shells.offsets[:-1], axis=0, dtype=np.float64) / size[:, None]
        centre = centre.astype(np.float32)
        own, norm = np.repeat(np.arange(len(size)), size), squares(near)
        reach, high = np.empty(len(x)), np.full((len(size), len(size)), -np.inf, np.float32)
        _reaches(query, centre, own, reach)
        across = centre.T.copy()
        for a in range(0, len(x), BLOCK):
            _highest(near[a : a + BLOCK] @ across, own[a : a + BLOCK], high)
        far = np.sqrt(np.maximum.reduceat(norm, shells.offsets[:-1]))
        radius = np.maximum.reduceat(reach, shells.offsets[:-1])
        part, slip = share(near.shape[1]), 4 * ROUNDING * float(far.max())
        _parted(high, centre.astype(np.float64) @ centre.T, far, radius, part, slip)
        return cls(shells.order, shells.offsets, query, item, norm, centre, reach, high, part, slip)


@njit(cache=True, nogil=True)
def _reaches(query, centre, own, reach):  # type: ignore[no-untyped-def]
    for i in range(len(own)):
        total = 0.0
        for c in range(centre.shape[1]):
            gap = np.float64(query[i, c]) - np.float64(centre[own[i], c])
            total += gap * gap
        reach[i] = np.sqrt(total)


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _highest(product, own, high):  # type: ignore[no-untyped-def]
    """high[s, t] = max over p in s of p.(c_t - c_s)."""
    for i in range(len(own)):
        row, top, base = product[i], high[own[i]], product[i, own[i]]
        for t in range(len(row)):
            top[t] = max(top[t], row[t] - base)


@njit(cache=True, nogil=True)
def _parted(high, inner, far, radius, share, slip):  # type: ignore[no-untyped-def]
    """`high` becomes `apart`."""
    count = len(high)
    for s in range(count):
        for t in range(s, count):
            if s == t:
                high[s, t] = -np.inf
                continue
            scale = np.sqrt(inner[s, s]) + np.sqrt(inner[t, t])
            between = max(inner[s, s] + inner[t, t] - 2.0 * inner[s, t], 0.0)
            doubt = 1e-12 * scale * scale
            gap = np.sqrt(max(between - doubt, 0.0)) - radius[s] - radius[t]
            slab = -np.float64(high[s, t]) - np.float64(high[t, s]) - share * (far[s] + far[t]) * scale
            if between > doubt and slab > 0.0:
                gap = max(gap, slab / np.sqrt(between + doubt))
            high[s, t] = high[t, s] = np.float32((gap - slip) * (1 - 1e-6))
