"""Losses of triples (u, i, j) one by one, and the gradient of their weighted mean.

pairwise (BPR)    l = softplus(x_uj - x_ui)
pointwise (BCE)   l = softplus(-x_ui) + softplus(x_uj)           x_ui = p_u . q_i
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ethogram.numeric.pairwise import Pair


def losses(triples: np.ndarray, vectors: Pair) -> np.ndarray:
    """float32[n, 2]: pairwise loss of each triple, and the loss -ln sigmoid(x_ui) of its taken item alone."""
    out = np.empty((len(triples), 2), np.float32)
    _losses(triples, *vectors, out)
    return out


def weighted(
    triples: np.ndarray, weight: np.ndarray | None, vectors: Pair, slopes: Pair, *, pointwise: bool = False
) -> float:
    """Weighted mean loss of int32[n, 3] triples (weights float[n], None for ones); adds its gradient to `slopes`."""
    share = np.ones(len(triples), np.float32) if weight is None else np.asarray(weight, np.float32)
    total = float(share.sum())
    if total <= 0:
        return 0.0
    return float(_weighted(triples, share / np.float32(total), *vectors, *slopes, pointwise))


@njit(cache=True, nogil=True, inline="always")
def softplus(x):  # type: ignore[no-untyped-def]
    return np.log(np.float32(1) + np.exp(-abs(x))) + max(x, np.float32(0))


@njit(cache=True, nogil=True, inline="always")
def _sigmoid(x):  # type: ignore[no-untyped-def]
    gone = np.exp(-abs(x))
    return (np.float32(1) if x > 0 else gone) / (np.float32(1) + gone)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _losses(triples, users, vectors, out):  # type: ignore[no-untyped-def]
    for t in range(len(triples)):
        u, i, j = triples[t]
        p, q, o = users[u], vectors[i], vectors[j]
        own, other = np.float32(0), np.float32(0)
        for k in range(len(p)):
            own += p[k] * q[k]
            other += p[k] * o[k]
        out[t, 0] = softplus(other - own)
        out[t, 1] = softplus(-own)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _weighted(triples, share, users, vectors, to_users, to_items, pointwise):  # type: ignore[no-untyped-def]
    d, total = users.shape[1], 0.0
    for t in range(len(triples)):
        u, i, j = triples[t]
        p, q, o = users[u], vectors[i], vectors[j]
        own, other = np.float32(0), np.float32(0)
        for k in range(d):
            own += p[k] * q[k]
            other += p[k] * o[k]
        if pointwise:
            total += share[t] * (softplus(-own) + softplus(other))
            up, down = share[t] * _sigmoid(-own), share[t] * _sigmoid(other)
        else:
            total += share[t] * softplus(other - own)
            up = share[t] * _sigmoid(other - own)
            down = up
        gp, gq, go = to_users[u], to_items[i], to_items[j]
        for k in range(d):
            a = p[k]
            gp[k] -= up * q[k] - down * o[k]
            gq[k] -= up * a
            go[k] += down * a
    return total
