"""Which of a user's items a step learns from: pools, the choice among them by loss, and how often it should fall.

    pool   k items of a user (without replacement where there are enough), and one item j not taken, shared by them
    p_i  = exp(-l_i / tau) / sum over the pool of exp(-l / tau)

With m of the k items noisy, noisy ones of loss higher by `gap` and all else equal, noise is chosen with probability

    m e^(-gap / tau) / (m e^(-gap / tau) + k - m),        m ~ Binomial(k, share of noise)

which falls with the gap, with 1 / tau, and (where gap > 0) with k: see `pick_rate`.

Reference: K. Zhang et al.: Personalized Denoising Implicit Feedback for Robust Recommender System. WWW 2025.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numba import njit

from ethogram.numeric.interactions import Interactions
from ethogram.numeric.pairwise import Pair, below, other
from ethogram.numeric.weighted import softplus


class Pools:
    """Draws of users with pools of their items.

    Parameters
    ----------
    pairs : rows are users, columns items. rng : seeds the draws.
    """

    def __init__(self, pairs: Interactions, rng: np.random.Generator):
        self.pairs = pairs
        self.active = np.flatnonzero((pairs.lengths > 0) & (pairs.lengths < pairs.width)).astype(np.int32)
        self.state = rng.integers(0, 2**63, 1).astype(np.uint64)

    def draw(self, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(int32[m, k, 3] of (user, taken, not taken), int64[m, k] the pairs), m at most n; users uniformly.

        Users who took everything have nothing to be compared with and are never drawn.
        """
        pool, place = np.empty((n, k, 3), np.int32), np.empty((n, k), np.int64)
        if not len(self.active):
            return pool[:0], place[:0]
        p = self.pairs
        held = _draw(p.offsets, p.items, p.width, self.active, self.state, pool, place)
        return pool[:held], place[:held]

    def choose(
        self, pool: np.ndarray, place: np.ndarray, loss: np.ndarray, tau: float, offered: np.ndarray, chance: np.ndarray
    ) -> np.ndarray:
        """int32[n, 3], one of each pool by float32[n, k] losses; counts in float64[pairs] `offered` and `chance`."""
        chosen = np.empty((len(pool), 3), np.int32)
        _choose(pool, place, loss, np.float32(tau), self.state, offered, chance, chosen)
        return chosen


def softmin(loss: np.ndarray, tau: float) -> np.ndarray:
    """exp(-l / tau), normalised over the last axis; float64."""
    x = np.asarray(loss, np.float64) / -tau
    x = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(x / x.sum(axis=-1, keepdims=True))


def pool_losses(pool: np.ndarray, vectors: Pair, *, pointwise: bool) -> np.ndarray:
    """float32[n, k] of a drawn pool; pointwise, the loss of the taken item alone."""
    out = np.empty(pool.shape[:2], np.float32)
    _pool_losses(pool, *vectors, pointwise, out)
    return out


def pick_rate(gap: float, k: int, tau: float, share: float) -> float:
    """Expected share of noise among what is chosen: the closed form of the module's docstring."""
    weight, total = np.exp(-gap / tau), 0.0
    for m in range(k + 1):
        noisy, clean = m * weight, float(k - m)
        picked = noisy / (noisy + clean) if noisy + clean else 1.0
        total += comb(k, m) * share**m * (1 - share) ** (k - m) * picked
    return float(total)


@njit(cache=True, nogil=True)
def _draw(offsets, items, width, active, state, pool, place):  # type: ignore[no-untyped-def]
    held, k = 0, pool.shape[1]
    for _ in range(len(pool)):
        u = active[below(state, len(active))]
        low, high = offsets[u], offsets[u + 1]
        j = other(items, low, high, width, state)
        if j < 0:
            continue
        own = place[held]
        for c in range(k):
            while True:
                at = low + below(state, high - low)
                again = False
                if high - low >= k:
                    for b in range(c):
                        again = again or own[b] == at
                if not again:
                    break
            own[c] = at
            pool[held, c, 0], pool[held, c, 1], pool[held, c, 2] = u, items[at], j
        held += 1
    return held


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _pool_losses(pool, users, vectors, pointwise, out):  # type: ignore[no-untyped-def]
    d = users.shape[1]
    for n in range(len(pool)):
        p, o, other = users[pool[n, 0, 0]], vectors[pool[n, 0, 2]], np.float32(0)
        if not pointwise:
            for k in range(d):
                other += p[k] * o[k]
        for c in range(pool.shape[1]):
            q, own = vectors[pool[n, c, 1]], np.float32(0)
            for k in range(d):
                own += p[k] * q[k]
            out[n, c] = softplus(other - own)


@njit(cache=True, nogil=True, error_model="numpy")
def _choose(pool, place, loss, tau, state, offered, chance, chosen):  # type: ignore[no-untyped-def]
    k = loss.shape[1]
    share = np.empty(k, np.float32)
    for n in range(len(loss)):
        least = loss[n].min()
        total = np.float32(0)
        for c in range(k):
            share[c] = np.exp((least - loss[n, c]) / tau)
            total += share[c]
        left = np.float32(below(state, 2**32 - 1) / (2**32 - 1)) * total
        at = 0
        for c in range(k):
            offered[place[n, c]] += 1
            chance[place[n, c]] += share[c] / total
        while at < k - 1 and left > share[at]:
            left -= share[at]
            at += 1
        for c in range(3):
            chosen[n, c] = pool[n, at, c]
