"""Rates of answers by value, shrunk towards what is known when little is: empirical Bayes.

    rate(v) = (hits(v) + a * mean) / (trials(v) + a)

the mean of a Beta(a * mean, a * (1 - mean)) prior after the trials of v. The strength a is 1/rho - 1, with rho the
correlation of two answers about the same value, estimated from the spread of the rates by moments:

    rho = (S / (mean (1 - mean)) - sum_v (1 - n_v / N)) / sum_v (n_v - 1) (1 - n_v / N)
    S = sum_v n_v (rate_v - mean)^2

(J. Kleinman: Proportions with extraneous variance: single and independent samples. JASA 1973, weights n_v.)

A rate must not contain the answer that it is to predict: see `ethogram.numeric.folds`.
"""

from __future__ import annotations

import numpy as np

from ethogram.log.kernels import ragged_rows
from ethogram.numeric.values import Values

STRENGTHS = (1e-2, 1e6)
"""Bounds of the estimated prior strength."""


def concentration(trials: np.ndarray, hits: np.ndarray) -> float:
    """Strength a of the Beta prior by moments; the upper bound where values do not differ more than chance has it.

    Parameters
    ----------
    trials, hits : float[V], with 0 <= hits <= trials; weights may be fractional. Values without trials do not count.
    """
    there = trials > 0
    n, k = np.asarray(trials, np.float64)[there], np.asarray(hits, np.float64)[there]
    total = n.sum()
    mean = k.sum() / total if total else 0.0
    if not 0 < mean < 1 or len(n) < 2:
        return STRENGTHS[1]
    rest = 1 - n / total
    spread = (n * (k / n - mean) ** 2).sum() / (mean * (1 - mean))
    pairs = (np.maximum(n - 1, 0) * rest).sum()
    rho = (spread - rest.sum()) / pairs if pairs > 0 else 0.0
    return float(np.clip(1 / rho - 1 if rho > 0 else np.inf, *STRENGTHS))


def log_odds(trials: np.ndarray, hits: np.ndarray, mean: np.ndarray | float, strength: float) -> np.ndarray:
    """``log(rate / (1 - rate))`` of the smoothed rate, elementwise; `mean` in (0, 1)."""
    return np.log(hits + strength * mean) - np.log(trials - hits + strength * (1 - np.asarray(mean)))


def precision(owner: np.ndarray, item: np.ndarray, values: Values) -> float:
    """Strength s of the Dirichlet prior of people's shares: share of category c = (n_c + s * share_c) / (n + s).

    Two values in one history are the same with probability ``(1 - rho) sum_c share_c^2 + rho``, so the observed
    frequency of that gives rho, and s = 1/rho - 1.

    Parameters
    ----------
    owner, item : int[N], person and item of each event, -1 for nobody and nothing. values : by item code plus one.
    """
    event, spans = ragged_rows(values.bounds[item + 1], values.bounds[item + 2])
    value, who = values.rows[event], np.repeat(owner.astype(np.int64) + 1, np.diff(spans))
    held = np.unique(who * values.size + value, return_counts=True)[1].astype(np.float64)
    total = np.bincount(who).astype(np.float64)
    share = np.bincount(value, minlength=values.size) / max(len(value), 1)
    chance, possible = float(np.square(share).sum()), float((total * (total - 1)).sum())
    if possible <= 0 or chance >= 1:
        return STRENGTHS[1]
    rho = (float((held * (held - 1)).sum()) / possible - chance) / (1 - chance)
    return float(np.clip(1 / rho - 1 if rho > 0 else np.inf, *STRENGTHS))
