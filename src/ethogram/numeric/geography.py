"""How near places are to each other on the globe, and what that makes of them: a kernel of few neighbours.

    dist = 2 R asin sqrt(sin^2((lat - lat') / 2) + cos lat cos lat' sin^2((lon - lon') / 2))        haversine, km
    G_ij = exp(-dist_ij / scale) / sum over the kept j of the same,       j among the nearest places of i and i itself

Distances are in kilometres: exp of a distance in metres is 0 for all but the place itself.
"""

from __future__ import annotations

import numpy as np

from ethogram.numeric.neighbours import Neighbours

EARTH = 6_371.0088
"""Mean radius R, km."""
CELLS = 2**22
"""Distances held at once."""


def distances(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """float64[n, m] kilometres between places given as (latitude, longitude) in degrees, [n, 2] and [m, 2]."""
    a, b = np.radians(np.asarray(here, np.float64)), np.radians(np.asarray(there, np.float64))
    half = np.sin((a[:, None] - b[None]) / 2) ** 2
    chord = half[..., 0] + np.cos(a[:, None, 0]) * np.cos(b[None, :, 0]) * half[..., 1]
    return np.asarray(2 * EARTH * np.arcsin(np.sqrt(np.clip(chord, 0, 1))))


def kernel(places: np.ndarray, *, scale: float = 1.0, nearest: int = 64) -> Neighbours:
    """G of the module; rows add up to 1. A place without coordinates (NaN) is its own only neighbour.

    Parameters
    ----------
    places : float[n, 2], latitude and longitude in degrees. scale : km at which the weight has fallen to 1 / e.
    nearest : neighbours kept of each, itself among them; ties go to the lower number.
    """
    own = np.asarray(places, np.float64).reshape(len(places), 2)
    located = np.isfinite(own).all(1)
    there = np.flatnonzero(located)
    kept = min(nearest, len(there))
    offsets = np.concatenate([[0], np.cumsum(np.where(located, kept, 1))])
    codes, weights = np.empty(offsets[-1], np.int32), np.ones(offsets[-1], np.float32)
    codes[offsets[:-1][~located]] = np.flatnonzero(~located)
    step = max(1, CELLS // max(len(there), 1))
    for at in range(0, len(there), step):
        rows = there[at : at + step]
        far = distances(own[rows], own[there])
        chosen = np.sort(np.argsort(far, axis=1, kind="stable")[:, :kept], axis=1)
        held = np.exp(-np.take_along_axis(far, chosen, 1) / scale)
        cells = offsets[rows][:, None] + np.arange(kept)
        codes[cells], weights[cells] = there[chosen], held / held.sum(1, keepdims=True)
    return Neighbours(offsets, codes, weights, kept)
