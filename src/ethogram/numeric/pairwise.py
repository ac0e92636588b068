"""Bayesian personalised ranking: what a person took should score above what they did not.

    loss = - ln sigmoid(x_ui - x_uj) + L2,     x_ui = p_u . q_i,     i taken by u, j not

Triples are drawn as the paper draws them: a pair (u, i) uniformly among those that occurred, with replacement, then j
uniformly among the items that u never took. Draws come from a generator of ours (splitmix64, G. Steele, D. Lea,
C. Flood, OOPSLA 2014) that is part of the state: compiled loops share no global generator.

Reference: S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme: BPR: Bayesian Personalized Ranking from Implicit
Feedback. UAI 2009.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit

from ethogram.errors import OptionError
from ethogram.numeric.interactions import Interactions

TRIES = 64
"""Draws of j before a triple is given up: who took all but a few items is hardly asked."""
_GOLDEN, _A, _B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


Pair = tuple[np.ndarray, np.ndarray]
"""float32[U, d] of the users and float32[M, d] of the items."""


class Draws:
    """Triples from the pairs that occurred.

    Parameters
    ----------
    pairs : rows are users, columns the items that can be drawn. rng : seeds the draws.

    Raises
    ------
    OptionError
        There is no pair.
    """

    def __init__(self, pairs: Interactions, rng: np.random.Generator):
        if not len(pairs.items):
            raise OptionError("the training log holds no item to learn from.")
        self.pairs, self.owner = pairs, pairs.owner
        self.state = rng.integers(0, 2**63, 1).astype(np.uint64)

    def triples(self, n: int) -> np.ndarray:
        """int32[m, 3] of (user, taken, not taken), m at most n."""
        found = np.empty((n, 3), np.int32)
        held = _triples(self.pairs.offsets, self.pairs.items, self.owner, self.pairs.width, self.state, found)
        return found[:held]

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """As many triples as there are pairs, so many at a time."""
        n = len(self.pairs.items)
        for at in range(0, n, size):
            yield self.triples(min(size, n - at))

    def descend(self, users: np.ndarray, items: np.ndarray, n: int, lr: float, penalty: float) -> float:
        """n steps of plain stochastic descent on float32[U, d] and [M, d], in place; the mean loss without L2.

        w <- w - lr (d loss / d w),   with penalty / 2 (|p_u|^2 + |q_i|^2 + |q_j|^2) in the loss of a triple
        """
        p = self.pairs
        step, shrink = np.float32(lr), np.float32(penalty)
        return float(_descend(p.offsets, p.items, self.owner, p.width, self.state, users, items, n, step, shrink))


def gradient(triples: np.ndarray, tables: Pair, slopes: Pair) -> float:
    """Mean loss of the triples without L2; adds its gradient to `slopes`."""
    return float(_gradient(triples, *tables, *slopes))


def shrink(triples: np.ndarray, tables: Pair, slopes: Pair, penalty: float) -> None:
    """Add the gradient of the mean of penalty / 2 (|p_u|^2 + |q_i|^2 + |q_j|^2) over the triples."""
    if penalty:
        _shrink(triples, *tables, *slopes, np.float32(penalty / max(len(triples), 1)))


def xavier(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    """Normal float32[rows, width] of variance 2 / (rows + width) (X. Glorot, Y. Bengio, AISTATS 2010)."""
    return np.float32((2 / (rows + width)) ** 0.5) * rng.standard_normal((rows, width), np.float32)


class Adam:
    """Adam (D. Kingma, J. Ba, ICLR 2015) on whole arrays, in place.

    m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  w <- w - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
    """

    def __init__(self, weights: np.ndarray, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        self.weights, self.lr, self.betas, self.eps, self.steps = weights, lr, betas, eps, 0
        self.first, self.second = np.zeros_like(weights), np.zeros_like(weights)

    def step(self, grad: np.ndarray) -> None:
        """One step down `grad`, which is cleared for the next."""
        self.steps += 1
        (b1, b2), t = self.betas, self.steps
        numbers = self.lr / (1 - b1**t), b1, b2, self.eps, 1 / (1 - b2**t)
        flat = (a.reshape(-1) for a in (self.weights, self.first, self.second, grad))
        _adam(*flat, *(np.float32(x) for x in numbers))


@njit(cache=True, nogil=True, inline="always")
def below(state, n):  # type: ignore[no-untyped-def]
    """A whole number below n (at most 2^32), uniform to one part in 2^32 / n."""
    state[0] += _GOLDEN
    z = state[0]
    z = (z ^ (z >> _S30)) * _A
    z = (z ^ (z >> _S27)) * _B
    z ^= z >> _S31
    return np.int64(((z >> _S32) * np.uint64(n)) >> _S32)


@njit(cache=True, nogil=True, inline="always")
def other(items, low, high, width, state):  # type: ignore[no-untyped-def]
    """A column that is not among ascending items[low:high], -1 where none was found."""
    for _ in range(TRIES):
        j = below(state, width)
        a, b = low, high
        while a < b:
            middle = (a + b) // 2
            if items[middle] < j:
                a = middle + 1
            else:
                b = middle
        if a == high or items[a] != j:
            return j
    return np.int64(-1)


@njit(cache=True, nogil=True)
def _triples(offsets, items, owner, width, state, found):  # type: ignore[no-untyped-def]
    held = 0
    for _ in range(len(found)):
        e = below(state, len(items))
        u = owner[e]
        j = other(items, offsets[u], offsets[u + 1], width, state)
        if j >= 0:
            found[held, 0], found[held, 1], found[held, 2] = u, items[e], j
            held += 1
    return held


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _descend(offsets, items, owner, width, state, users, vectors, n, lr, penalty):  # type: ignore[no-untyped-def]
    d, total, held = users.shape[1], 0.0, 0
    for _ in range(n):
        e = below(state, len(items))
        u = owner[e]
        j = other(items, offsets[u], offsets[u + 1], width, state)
        if j < 0:
            continue
        p, q, o = users[u], vectors[items[e]], vectors[j]
        x = np.float32(0)
        for k in range(d):
            x += p[k] * (q[k] - o[k])
        gone = np.exp(-abs(x))
        total += np.log(1 + gone) + max(-x, np.float32(0))
        held += 1
        slope = lr * (np.float32(1) if x < 0 else gone) / (1 + gone)
        keep = np.float32(1) - lr * penalty
        for k in range(d):
            a, b, c = p[k], q[k], o[k]
            p[k] = keep * a + slope * (b - c)
            q[k] = keep * b + slope * a
            o[k] = keep * c - slope * a
    return total / max(held, 1)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _gradient(triples, users, vectors, to_users, to_items):  # type: ignore[no-untyped-def]
    n, d, total = len(triples), users.shape[1], 0.0
    for t in range(n):
        u, i, j = triples[t]
        p, q, o = users[u], vectors[i], vectors[j]
        x = np.float32(0)
        for k in range(d):
            x += p[k] * (q[k] - o[k])
        gone = np.exp(-abs(x))
        total += np.log(1 + gone) + max(-x, np.float32(0))
        slope = (np.float32(1) if x < 0 else gone) / (1 + gone) / np.float32(n)
        gp, gq, go = to_users[u], to_items[i], to_items[j]
        for k in range(d):
            a, b, c = p[k], q[k], o[k]
            gp[k] -= slope * (b - c)
            gq[k] -= slope * a
            go[k] += slope * a
    return total / max(n, 1)


@njit(cache=True, nogil=True, fastmath=True)
def _shrink(triples, users, vectors, to_users, to_items, penalty):  # type: ignore[no-untyped-def]
    for t in range(len(triples)):
        u, i, j = triples[t]
        p, q, o, gp, gq, go = users[u], vectors[i], vectors[j], to_users[u], to_items[i], to_items[j]
        for k in range(users.shape[1]):
            gp[k] += penalty * p[k]
            gq[k] += penalty * q[k]
            go[k] += penalty * o[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _adam(w, first, second, grad, lr, b1, b2, eps, fix):  # type: ignore[no-untyped-def]
    one = np.float32(1)
    for k in range(len(w)):
        g = grad[k]
        m = b1 * first[k] + (one - b1) * g
        v = b2 * second[k] + (one - b2) * g * g
        first[k] = m
        second[k] = v
        w[k] -= lr * m / (np.sqrt(v * fix) + eps)
        grad[k] = 0
