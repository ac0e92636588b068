"""The k nearest points of every point, exactly: fast in single precision, then a proof in double.

A few more than k are kept, their distances are computed again in double precision, and a row is believed only if no
point left out can be nearer, given what rounding can do; the others are searched again, all in double precision. So
results do not depend on block sizes or on the order of rows.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ethogram.numeric.density.metric import SLACK, answering, asking, roughly, share, squared, squares
from ethogram.numeric.density.sweep import candidates
from ethogram.numeric.topk import TopK

SPARE = 4
"""Points kept beyond k, so that rounding rarely leaves doubt."""
SMALL = 4096
"""Points up to which all pairs are multiplied."""


def nearest(x: np.ndarray, k: int, asked: np.ndarray | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(distance float64[m, k], row int32[m, k]) of the k nearest rows of x, by ascending (distance, row).

    Parameters
    ----------
    x : float[n, d]. k : at least 1; below n without `asked`, at most n with it.
    asked : float[m, d]; without it every row of x is asked for its neighbours, itself left out.
    seed : of the cells, which change the time only.
    """
    n, width = x.shape
    own = asked is None
    rows = x if asked is None else asked
    kept = min(n, k + own + SPARE)
    middle = x.mean(0, dtype=np.float64)
    near = (x - middle).astype(np.float32)
    query = near if asked is None else (asked - middle).astype(np.float32)
    if own and n > SMALL:
        worst, code = candidates(near, kept, seed)
    else:
        score, code = TopK(answering(near)).search(asking(query), kept)
        worst = score[:, -1]
    norm = squares(query)
    del near, query
    distance, found = np.empty((len(rows), k)), np.empty((len(rows), k), np.int32)
    doubted = _settled(x, rows, own, worst, code, norm, kept == n, share(width), distance, found)
    _searched(x, rows, own, np.flatnonzero(doubted), distance, found)
    return distance, found


@njit(cache=True, nogil=True)
def insert(length, k, far, who, value, code):  # type: ignore[no-untyped-def]
    """Put (value, code) in its place among the `length` least so far; the new length, k at most."""
    if length == k and (value > far[k - 1] or (value == far[k - 1] and code > who[k - 1])):
        return length
    j = length if length < k else k - 1
    while j > 0 and (far[j - 1] > value or (far[j - 1] == value and who[j - 1] > code)):
        far[j], who[j] = far[j - 1], who[j - 1]
        j -= 1
    far[j], who[j] = value, code
    return min(length + 1, k)


@njit(cache=True, nogil=True)
def _settled(x, rows, own, worst, code, norm, everything, share, distance, found):  # type: ignore[no-untyped-def]
    """Exact distances of what was kept, sorted; true where a point that was left out could be nearer."""
    m, k = found.shape
    doubted = np.zeros(m, np.bool_)
    for i in range(m):
        far, who, length = distance[i], found[i], 0
        for j in range(code.shape[1]):
            if not (own and code[i, j] == i):
                length = insert(length, k, far, who, squared(rows, i, x, code[i, j]), code[i, j])
        last = far[k - 1]
        # whoever is nearer than `last` is no longer than this, so that rounding moves its score by less than `slip`
        size = math.sqrt(norm[i])
        longest = size + math.sqrt(last)
        slip = share * (size * longest + longest * longest)
        doubted[i] = not everything and last > 0 and norm[i] - 2.0 * worst[i] < last + slip
        for j in range(k):
            far[j] = math.sqrt(far[j])
    return doubted


@njit(cache=True, nogil=True)
def _searched(x, rows, own, doubted, distance, found):  # type: ignore[no-untyped-def]
    """Rows searched again, every distance in double precision."""
    k = found.shape[1]
    for i in doubted:
        far, who, length = distance[i], found[i], 0
        for j in range(len(x)):
            if not (own and i == j) and (length < k or roughly(rows, i, x, j) <= SLACK * far[k - 1]):
                length = insert(length, k, far, who, squared(rows, i, x, j), j)
        for j in range(k):
            far[j] = math.sqrt(far[j])
