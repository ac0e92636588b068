"""The vector that a stranger would have under Bayesian personalised ranking, with the items as they are.

    w = argmin  sum over i in S [ mean over j in J outside S of - ln sigmoid(w . (q_i - q_j)) + penalty / 2 |w|^2 ]

is what training minimises in one user's vector, with the expectation over j in the place of draws (J: all items, or a
fixed sample of them). It is convex. As sigmoid's slope is at most 1/4,

    H = 1/4 sum over i of mean over j of (q_i - q_j)(q_i - q_j)' + |S| penalty I

bounds its second derivative, so that each step w <- w - H^-1 gradient, from w = 0, lowers it (D. Boehning, B. Lindsay:
Monotonicity of Quadratic-Approximation Algorithms. 1988). H is factored once per stranger; nothing is drawn.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ethogram.numeric.interactions import Interactions
from ethogram.numeric.leastsquares import factor, substitute

SAMPLE = 1_024
"""Most items that stand for all that were not taken."""
DEEP = np.float32(-60)
"""Scores further below the best than this weigh nothing."""


def fold(pairs: Interactions, vectors: np.ndarray, penalty: float, steps: int) -> np.ndarray:
    """float32[n, d]: w of each row after so many steps; zeros for an empty row, and for one that took all of J.

    Parameters
    ----------
    pairs : columns are the items. vectors : float32[M, d], q. penalty : as in training, above 0.
    """
    others = np.arange(len(vectors))
    if len(others) > SAMPLE:
        others = np.sort(np.random.default_rng(0).choice(others, SAMPLE, replace=False))
    against = np.ascontiguousarray(vectors[others], np.float32)
    place = np.full(len(vectors), -1, np.int32)
    place[others] = np.arange(len(others), dtype=np.int32)
    mean, square = against.mean(0), against.T @ against / np.float32(max(len(against), 1))
    out = np.zeros((len(pairs), vectors.shape[1]), np.float32)
    vectors = np.ascontiguousarray(vectors, np.float32)
    _fold(pairs.offsets, pairs.items, vectors, against, place, mean, square, np.float32(penalty), steps, out)
    return out


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _fold(offsets, items, vectors, against, place, mean, square, penalty, steps, out):  # type: ignore[no-untyped-def]
    d, m = vectors.shape[1], len(against)
    a, grad, counts = np.empty((d, d), np.float32), np.empty(d, np.float32), np.empty(m, np.float32)
    size = np.int64(1)
    for r in range(len(offsets) - 1):
        size = max(size, offsets[r + 1] - offsets[r])
    mine, other = np.empty((size, d), np.float32), np.empty(m, np.float32)
    for r in range(len(offsets) - 1):
        low, n = offsets[r], offsets[r + 1] - offsets[r]
        counts[:] = 1
        left = m
        for e in range(n):
            mine[e] = vectors[items[low + e]]
            at = place[items[low + e]]
            if at >= 0:
                counts[at] = 0
                left -= 1
        if n == 0 or left == 0:
            continue
        _bound(mine[:n], mean, square, np.float32(m) / np.float32(left), penalty, a)
        w = out[r]
        for _ in range(steps):
            _slope(mine[:n], against, counts, np.float32(left), penalty, w, other, grad)
            substitute(a, grad)
            for k in range(d):
                w[k] -= grad[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _bound(mine, mean, square, ratio, penalty, a):  # type: ignore[no-untyped-def]
    """The factor of H; the mean over J is scaled up to bound the one over J outside S."""
    n, d = mine.shape
    total = np.zeros(d, np.float32)
    a[:] = np.float32(n) * square
    for e in range(n):
        q = mine[e]
        for i in range(d):
            total[i] += q[i]
            for j in range(i, d):
                a[i, j] += q[i] * q[j]
    for i in range(d):
        for j in range(i, d):
            a[i, j] = np.float32(0.25) * ratio * (a[i, j] - total[i] * mean[j] - mean[i] * total[j])
        a[i, i] += np.float32(n) * penalty
    factor(a)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _slope(mine, against, counts, left, penalty, w, other, grad):  # type: ignore[no-untyped-def]
    """Gradient at w. With E = exp(score), sigmoid(s_j - s_i) = E_j / (E_j + E_i): no exponential per pair."""
    n, m, d = len(mine), len(against), len(w)
    own, pull = np.dot(mine, w), np.zeros(m, np.float32)
    theirs = np.dot(against, w)
    top = max(own.max(), theirs.max())
    for j in range(m):
        other[j] = np.exp(max(theirs[j] - top, DEEP))
    for k in range(d):
        grad[k] = np.float32(n) * penalty * w[k]
    for e in range(n):
        here, push = np.exp(max(own[e] - top, DEEP)), np.float32(0)
        for j in range(m):
            wrong = counts[j] * other[j] / (other[j] + here)
            push += wrong
            pull[j] += wrong
        for k in range(d):
            grad[k] -= push / left * mine[e, k]
    for j in range(m):
        f = pull[j] / left
        for k in range(d):
            grad[k] += f * against[j, k]
