"""How sure is a share? Wilson's interval, and whether two shares differ; counts may be sums of weights.

    centre +- half:   (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)      Wilson (1927)
    difference:       z = (p1 - p2) / sqrt(p (1 - p) (1 / n1 + 1 / n2)),  p the share of both together

An interval by Wilson stays within [0, 1] and says something where nothing or everything was counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.evaluate.bootstrap import LEVEL, Interval


def wilson(hits: Any, trials: Any, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(share, low, high), each in the shape of `hits`; NaN where nothing was tried.

    >>> [round(float(v), 4) for v in wilson(3, 10)]
    [0.3, 0.1078, 0.6032]
    """
    from scipy.special import ndtri

    n = np.asarray(trials, np.float64)
    z = float(ndtri((1 + level) / 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        p = np.asarray(hits, np.float64) / n
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # at 0 and at all of them the end is exact, which rounding would miss
    return p, np.where(p == 0, 0.0, centre - half), np.where(p == 1, 1.0, centre + half)


def share(of: Any, weight: Any = None, level: float = LEVEL) -> Interval:
    """Weighted share of true rows with Wilson's interval; with weights the trials are those of equal information.

    ``n = (sum w)^2 / sum w^2`` (Kish), the number of rows of equal weight that say as much.
    """
    y = np.asarray(of, np.float64)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    total = w.sum()
    if total <= 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    n = effective(w)
    return Interval(*(float(v) for v in wilson((w * y).sum() / total * n, n, level)))


def effective(weight: Any) -> float:
    """Rows of equal weight that say as much as these: ``(sum w)^2 / sum w^2``; 0 without any."""
    w = np.asarray(weight, np.float64)
    square = float((w * w).sum())
    return float(w.sum() ** 2 / square) if square > 0 else 0.0


def differ(hits: Any, trials: Any, other_hits: Any, other_trials: Any) -> np.ndarray:
    """Two-sided p-values of equal shares (pooled z-test); NaN where a side is empty, 1 where both are constant.

    >>> round(float(differ(45, 100, 30, 100)), 4)
    0.0285
    """
    from scipy.special import ndtr

    a, n, b, m = (np.asarray(v, np.float64) for v in (hits, trials, other_hits, other_trials))
    with np.errstate(invalid="ignore", divide="ignore"):
        p = (a + b) / (n + m)
        spread = np.sqrt(p * (1 - p) * (1 / n + 1 / m))
        z = np.abs(a / n - b / m) / spread
    made = np.where(spread == 0, 1.0, 2 * (1 - ndtr(z)))
    return np.asarray(np.where((n > 0) & (m > 0), made, np.nan))
