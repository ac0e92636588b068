"""Nearly every point's nearest others, in time that grows little faster than their number.

A tree halves the points by the median along the difference of two of them, until few are left in a leaf; all pairs of a
leaf are multiplied (`metric`). Several random trees give every point a first list. Then neighbours introduce their
neighbours: in a round every point meets the first of the lists of those in its own list, as far as one of the two
entries is new. Those whose lists a second or later round still changes, who lie where few others are, get trees of
their own.

Where a region has few dimensions, as a cluster has, nearly all neighbours are found; of evenly strewn noise in many
dimensions some are missed, and more with more points.

References: W. Dong, M. Charikar, K. Li: Efficient k-nearest neighbor graph construction for generic similarity
measures. WWW 2011 (NN-descent). S. Dasgupta, Y. Freund: Random projection trees. STOC 2008.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numba import njit

from ethogram.numeric.density.metric import answering, asking, squares

LEAF, TREES, ROUNDS = 1024, 16, 8
"""Points of a leaf at most, trees at a time, and rounds at most: the first round costs as much as two trees."""
MET = 12
"""Of the list of a neighbour so many are met, the nearest; the others are rarely near."""
RUN = 32


def neighbours(x: np.ndarray, k: int, seed: int, enough: Callable[[np.ndarray, np.ndarray], bool]) -> np.ndarray:
    """int32[n, k], nearest first by single precision; the point itself is not among them, -1 where nobody was found.

    Parameters
    ----------
    x : float[n, d]. k : below n. seed : of the trees.
    enough : asked before every round with order int32[n] and code int32[n, k]: the neighbours of row order[i] are
        order[code[i]], or nobody where code is -1.
    """
    near = (x - x.mean(0, dtype=np.float64)).astype(np.float32)
    rng = np.random.default_rng(seed)
    order, _ = _tree(near, rng)
    near = near[order]  # near points near each other in memory
    query, item, norm = asking(near), answering(near), squares(near).astype(np.float32)
    n = len(x)
    far, code, new = np.full((n, k), np.inf, np.float32), np.full((n, k), -1, np.int32), np.ones((n, k), np.bool_)

    def plant(some: np.ndarray) -> None:
        for _ in range(TREES):
            line, starts = _tree(near[some], rng)
            for a, b in itertools.pairwise(starts):
                leaf = some[line[a:b]]
                _meet_all(query[leaf] @ item[leaf].T, leaf, norm, far, code, new)

    plant(np.arange(n))
    for turn in range(ROUNDS):
        if enough(order, code) or not _round(near, far, code, new):
            break
        if turn:
            plant(np.flatnonzero(new.any(1)))
    out = np.full((n, k), -1, np.int32)
    out[order] = np.where(code >= 0, order[code], -1)
    return out


def _tree(near: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(order int32[n], where leaves begin, and n)."""
    n, depth = len(near), 0
    while n > LEAF << depth:
        depth += 1
    starts = np.linspace(0, n, (1 << depth) + 1).astype(np.int64)
    order = np.arange(n, dtype=np.int32)
    _halve(near, order, starts, depth, rng.random((1 << depth, 2)))
    return order, starts


@njit(cache=True, nogil=True)
def _halve(near, order, starts, depth, drawn):  # type: ignore[no-untyped-def]
    key = np.empty(len(order), np.float32)
    for level in range(depth):
        step = 1 << (depth - level)
        for node in range(1 << level):
            a, b = starts[node * step], starts[(node + 1) * step]
            chance = drawn[(1 << level) + node]
            one, other = near[order[a + int(chance[0] * (b - a))]], near[order[a + int(chance[1] * (b - a))]]
            along = one - other
            for i in range(a, b):
                key[i] = _inner(near[order[i]], along)
            _select(key, order, a, b - 1, starts[node * step + step // 2])


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _inner(one, other):  # type: ignore[no-untyped-def]
    total = np.float32(0.0)
    for c in range(len(one)):
        total += one[c] * other[c]
    return total


@njit(cache=True, nogil=True)
def _select(key, order, low, high, middle):  # type: ignore[no-untyped-def]
    """Hoare: the least keys before place `middle`, the largest from there on."""
    while low < high:
        pivot, i, j = key[(low + high) // 2], low, high
        while i <= j:
            while key[i] < pivot:
                i += 1
            while key[j] > pivot:
                j -= 1
            if i <= j:
                key[i], key[j] = key[j], key[i]
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


@njit(cache=True, nogil=True)
def _enter(far, code, new, distance, c):  # type: ignore[no-untyped-def]
    """Put c in its place in an ascending list; whether it has one and did not stand there already."""
    k = len(far)
    if not distance < far[k - 1]:
        return False
    for i in range(k):
        if code[i] == c:
            return False
    j = k - 1
    while j > 0 and far[j - 1] > distance:
        far[j], code[j], new[j] = far[j - 1], code[j - 1], new[j - 1]
        j -= 1
    far[j], code[j], new[j] = distance, c, True
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _meet_all(score, some, norm, far, code, new):  # type: ignore[no-untyped-def]
    m = len(some)
    whole = m // RUN * RUN
    for i in range(m):
        p = some[i]
        row, mine, who, mark = score[i], far[p], code[p], new[p]
        for a in range(0, m, RUN):
            b = a + RUN
            if a < whole:
                # an OR over a run of constant length, without a branch, is what the compiler turns into vectors
                least, run, found = np.float32(0.5) * (norm[p] - mine[-1]), row[a : a + RUN], np.int32(0)
                for j in range(RUN):
                    found |= np.int32(run[j] > least)
                if found == 0:
                    continue
            else:
                b = m
            for j in range(a, b):
                if j != i and row[j] > np.float32(0.5) * (norm[p] - mine[-1]):
                    _enter(mine, who, mark, max(norm[p] - np.float32(2.0) * row[j], np.float32(0.0)), some[j])


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _squared(x, i, j):  # type: ignore[no-untyped-def]
    total = np.float32(0.0)
    for c in range(x.shape[1]):
        gap = x[i, c] - x[j, c]
        total += gap * gap
    return total


@njit(cache=True, nogil=True)
def _round(near, far, code, new):  # type: ignore[no-untyped-def]
    """Entries that are new; `new` marks them."""
    n, k = code.shape
    before, fresh = code.copy(), new.copy()
    met, entered = np.full(n, -1, np.int32), 0
    new[:] = False
    for p in range(n):
        met[p] = p
        for j in range(k):
            if code[p, j] >= 0:
                met[code[p, j]] = p
        for j in range(k):
            q = before[p, j]
            if q < 0:
                continue
            for i in range(min(k, MET)):
                r = before[q, i]
                if r >= 0 and met[r] != p and (fresh[p, j] or fresh[q, i]):
                    met[r] = p
                    distance = _squared(near, p, r)
                    if distance < far[p, -1]:
                        entered += _enter(far[p], code[p], new[p], distance, r)
    return entered
