"""Is a predicted rating near the true one? Error and correlation, with intervals over people.

    rmse = sqrt(mean (y - r)^2)      mae = mean |y - r|
    pearson = cov(y, r) / (sd(y) sd(r))      spearman = pearson of the mid-ranks

Every metric is a function of sums over people, so that the bootstrap draws people and adds up their sums. The draws of
Spearman's keep the ranks of the whole sample: people are drawn, not ranked anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap as boot

NAMES = ("rmse", "mae", "pearson", "spearman")


class Rated(NamedTuple):
    """The metrics by name, and each on every resample, float64[B]."""

    metrics: dict[str, float]
    draws: dict[str, np.ndarray]


def checked(true: Any, said: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two columns of numbers of one length.

    Raises
    ------
    OptionError
        Lengths differ, nothing is there, or a number is not finite; the row is told.
    """
    y, r = np.asarray(true, np.float64).ravel(), np.asarray(said, np.float64).ravel()
    if len(y) != len(r) or not len(y):
        raise OptionError(f"ratings: {len(y)} true and {len(r)} predicted ones: give one of each per row.")
    for name, values in (("true", y), ("predicted", r)):
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise OptionError(f"ratings: the {name} rating at row {row} is {values[row]}; give a number.")
    return y, r


def rmse(true: Any, said: Any) -> float:
    """Root of the mean squared error.

    >>> rmse([1, 2, 4], [1, 4, 4]) == (4 / 3) ** 0.5
    True
    """
    y, r = checked(true, said)
    return float(np.sqrt(np.mean((y - r) ** 2)))


def mae(true: Any, said: Any) -> float:
    """Mean absolute error."""
    y, r = checked(true, said)
    return float(np.mean(np.abs(y - r)))


def pearson(true: Any, said: Any) -> float:
    """Correlation; NaN where a column is constant."""
    y, r = checked(true, said)
    return float(_correlation(_moments(y, r, np.zeros(len(y), np.int64)))[0])


def spearman(true: Any, said: Any) -> float:
    """Correlation of mid-ranks; NaN where a column is constant."""
    y, r = checked(true, said)
    return pearson(ranks(y), ranks(r))


def ranks(values: Any) -> np.ndarray:
    """Mid-ranks from 1, equal values sharing theirs.

    >>> ranks([3, 1, 3]).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])


def evaluated(true: Any, said: Any, units: Any = None, *, resamples: int = boot.RESAMPLES, seed: int = 0) -> Rated:
    """All metrics and their draws.

    Parameters
    ----------
    units : places 0 ... U - 1 of each row's person (`bootstrap.places`); default each row alone.
    """
    y, r = checked(true, said)
    unit = np.arange(len(y)) if units is None else np.asarray(units, np.int64)
    whole = np.zeros(len(y), np.int64)

    def both(sums: Callable[[np.ndarray], np.ndarray], turn: Callable[[np.ndarray], np.ndarray]) -> Any:
        return float(turn(sums(whole))[0]), turn(boot.sums(sums(unit), resamples, seed))

    def errors(place: np.ndarray) -> np.ndarray:
        number = int(place.max()) + 1
        parts = ((y - r) ** 2, np.abs(y - r), np.ones(len(y)))
        return np.column_stack([np.bincount(place, part, number) for part in parts])

    rank = ranks(y), ranks(r)
    found = {
        "rmse": both(errors, lambda s: np.sqrt(_ratio(s[:, 0], s[:, 2]))),
        "mae": both(errors, lambda s: _ratio(s[:, 1], s[:, 2])),
        "pearson": both(lambda place: _moments(y, r, place), _correlation),
        "spearman": both(lambda place: _moments(*rank, place), _correlation),
    }
    return Rated({n: v for n, (v, _) in found.items()}, {n: d for n, (_, d) in found.items()})


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(under > 0, over / under, np.nan))


def _moments(y: np.ndarray, r: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Sums per place of 1, y, r, y y, r r, y r; both centred first, so that squares lose no digits."""
    y, r = y - y.mean(), r - r.mean()
    number = int(place.max()) + 1
    parts = (np.ones(len(y)), y, r, y * y, r * r, y * r)
    return np.column_stack([np.bincount(place, part, number) for part in parts])


def _correlation(sums: np.ndarray) -> np.ndarray:
    n, a, b, aa, bb, ab = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (aa - a * a / n) * (bb - b * b / n)
        return np.asarray(np.where(spread > 1e-18 * n * n, (ab - a * b / n) / np.sqrt(spread), np.nan))
