"""Logistic regression on hashed features, learned online: FTRL-Proximal with a rate per coordinate.

    w_i = 0 if |z_i| <= l1, else -(z_i - sign(z_i) l1) / ((beta + sqrt(n_i)) / alpha + l2)
    g   = weight (sigmoid(sum of w over the row) - label)
    s_i = (sqrt(n_i + g^2) - sqrt(n_i)) / alpha;   z_i <- z_i + g - s_i w_i;   n_i <- n_i + g^2

Reference: H. B. McMahan et al.: Ad Click Prediction: a View from the Trenches. KDD 2013, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ethogram.numeric.hashing import NOTHING


@dataclass(frozen=True)
class Rates:
    """`alpha` scales the steps, `beta` tames the first ones; `l1` makes weights exactly 0, `l2` shrinks them."""

    alpha: float = 0.05
    beta: float = 1.0
    l1: float = 0.0
    l2: float = 1.0


@dataclass(frozen=True, eq=False)
class Learner:
    """Sums z, n and weights w of every place, float64[buckets]."""

    z: np.ndarray
    n: np.ndarray
    w: np.ndarray

    @classmethod
    def fresh(cls, buckets: int) -> Learner:
        return cls(np.zeros(buckets), np.zeros(buckets), np.zeros(buckets))

    def learn(self, places: np.ndarray, order: np.ndarray, label: np.ndarray, weight: np.ndarray, rates: Rates) -> None:
        """One pass over the rows in the given order, in place.

        Parameters
        ----------
        places : int32[N, W], places of each row; `NOTHING` is skipped. order : int64[M] rows.
        label : bool[N]. weight : float64[N].
        """
        _learn(places, order, label, weight, self.z, self.n, self.w, rates.alpha, rates.beta, rates.l1, rates.l2)


def logits(places: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Sum of the weights of each row's places, float64[N]."""
    out = np.empty(len(places))
    _logits(places, w, out)
    return out


@njit(cache=True, nogil=True)
def _logits(places: np.ndarray, w: np.ndarray, out: np.ndarray) -> None:
    for r in range(len(places)):
        total = 0.0
        for j in range(places.shape[1]):
            if places[r, j] != NOTHING:
                total += w[places[r, j]]
        out[r] = total


@njit(cache=True, nogil=True)
def _learn(
    places: np.ndarray,
    order: np.ndarray,
    label: np.ndarray,
    weight: np.ndarray,
    z: np.ndarray,
    n: np.ndarray,
    w: np.ndarray,
    alpha: float,
    beta: float,
    l1: float,
    l2: float,
) -> None:
    for r in order:
        total = 0.0
        for j in range(places.shape[1]):
            if places[r, j] != NOTHING:
                total += w[places[r, j]]
        p = 1.0 / (1.0 + np.exp(-min(max(total, -35.0), 35.0)))
        g = weight[r] * (p - (1.0 if label[r] else 0.0))
        for j in range(places.shape[1]):
            i = places[r, j]
            if i == NOTHING:
                continue
            before = np.sqrt(n[i])
            n[i] += g * g
            after = np.sqrt(n[i])
            z[i] += g - (after - before) / alpha * w[i]
            if abs(z[i]) <= l1:
                w[i] = 0.0
            else:
                w[i] = -(z[i] - np.sign(z[i]) * l1) / ((beta + after) / alpha + l2)
