"""How sure is a number? The bootstrap over users: people are drawn with replacement, with all that they did.

Every resample is a multinomial count per user, drawn by a seeded generator: with the same seed and number of
users, two systems are judged on the same resamples, so that the difference of their draws is the paired
bootstrap of their difference. Means and ratios need only each user's sums; AUC and average precision run over
all rows once, with the counts as weights, many resamples at a time. Nothing depends on the block size.

Intervals are percentiles. The two-sided p-value of a difference inverts them:
``p = min(1, 2 (1 + min(#{d <= 0}, #{d >= 0})) / (1 + B))``, never below ``2 / (B + 1)``; two equal systems
have p = 1. Efron and Tibshirani (1993), chapters 13, 15.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate import kernels
from ethogram.evaluate.calibration import checked

RESAMPLES = 1000
LEVEL = 0.95


class Interval(NamedTuple):
    """A value and the ends of its confidence interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """A difference, the ends of its interval, and the two-sided p-value of no difference."""

    value: float
    low: float
    high: float
    p: float


def resample(units: int, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of (which resamples, counts uint16[units, width]): how often each unit was drawn."""
    if units < 1 or resamples < 1:
        raise OptionError(f"bootstrap: {resamples} resamples of {units} units; both must be at least 1.")
    rng = np.random.default_rng(seed)
    width = max(1, min(64, 2**24 // units))
    for at in range(0, resamples, width):
        size = min(width, resamples - at)
        counts = np.zeros((units, size), np.uint16)
        for b in range(size):
            kernels.tally(rng.integers(0, units, units), counts[:, b])
        yield slice(at, at + size), counts


def sums(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Sums over the units drawn: float64[resamples, m] from values [units, m], added in the order of units."""
    values = np.ascontiguousarray(values, np.float64)
    out = np.zeros((resamples, values.shape[1]))
    for rows, counts in resample(len(values), resamples, seed):
        kernels.resampled_sums(counts, values, out[rows])
    return out


def by_unit(values: Any, units: Any, weight: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Each unit's weighted sum and weight of values [N] or [N, m]; NaN values count for nothing.

    `units` are places 0 ... U - 1 of each row's unit; see `places`.
    """
    x = np.asarray(values, np.float64)
    flat = x.reshape(len(x), int(np.prod(x.shape[1:])))
    w = np.ones(len(x)) if weight is None else np.asarray(weight, np.float64)
    number = int(np.max(units)) + 1 if len(x) else 0
    there = ~np.isnan(flat)
    filled = np.where(there, flat, 0.0)
    over = [np.bincount(units, w * filled[:, j], number) for j in range(flat.shape[1])]
    under = [np.bincount(units, w * there[:, j], number) for j in range(flat.shape[1])]
    return np.stack(over, 1), np.stack(under, 1)


def places(units: Any) -> tuple[np.ndarray, np.ndarray]:
    """(place 0 ... U - 1 of each row's unit, in ascending order of the ids; the distinct ids)."""
    ids, place = np.unique(np.asarray(units), return_inverse=True)
    return place, ids


def ratio_draws(over: np.ndarray, under: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """``sum over / sum under`` of every resample, float64[resamples, m], from each unit's sums [U, m].

    Equal columns of `under` are drawn once. NaN where nothing was drawn to divide by.
    """
    over, under = np.asarray(over, np.float64), np.asarray(under, np.float64)
    distinct, which = np.unique(under, axis=1, return_inverse=True)
    drawn = sums(np.concatenate([over, distinct], 1), resamples, seed)
    below = drawn[:, over.shape[1] :][:, which.ravel()]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(below > 0, drawn[:, : over.shape[1]] / below, np.nan))


def curve_draws(
    label: Any, score: Any, units: Any, weight: Any = None, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(AUC, average precision) of every resample, float64[resamples] each; `units` are places of each row."""
    y, s, w = checked(label, score, weight)
    order = np.argsort(-s, kind="stable")
    last = np.ones(len(s), bool)
    last[:-1] = s[order][1:] != s[order][:-1]
    unit = np.asarray(units, np.int64)[order]
    yes, no = (w * y)[order], (w * (1 - y))[order]
    area, precision = np.empty(resamples), np.empty(resamples)
    for rows, counts in resample(int(unit.max()) + 1 if len(unit) else 0, resamples, seed):
        kernels.resampled_curves(yes, no, last, unit, counts, area[rows], precision[rows])
    return area, precision


def interval(value: float, draws: np.ndarray, level: float = LEVEL) -> Interval:
    """Percentile interval; resamples in which the metric is undefined (NaN) are left out."""
    kept = draws[~np.isnan(draws)]
    if not len(kept):
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def difference(value: float, draws: np.ndarray, level: float = LEVEL) -> Difference:
    """Interval and p-value of a difference from its paired draws."""
    kept = draws[~np.isnan(draws)]
    if not len(kept):
        return Difference(float(value), *(float("nan"),) * 3)
    p = min(1.0, 2 * (1 + min(int((kept <= 0).sum()), int((kept >= 0).sum()))) / (1 + len(kept)))
    return Difference(*interval(value, kept, level), p)


def mean(
    values: Any, *, units: Any = None, weight: Any = None, resamples: int = RESAMPLES, seed: int = 0,
    level: float = LEVEL,
) -> Interval:  # fmt: skip
    """Weighted mean of values [N] with its interval, resampling `units` (ids per row; default each row alone)."""
    place = np.arange(len(values)) if units is None else places(units)[0]
    over, under = by_unit(values, place, weight)
    total = under.sum()
    value = over.sum() / total if total > 0 else float("nan")
    return interval(value, ratio_draws(over, under, resamples, seed)[:, 0], level)


def mean_difference(
    a: Any, b: Any, *, units: Any = None, weight: Any = None, resamples: int = RESAMPLES, seed: int = 0,
    level: float = LEVEL,
) -> Difference:  # fmt: skip
    """Mean of a - b, paired by row, with interval and p-value; a row where either is NaN counts for nothing."""
    gap = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    place = np.arange(len(gap)) if units is None else places(units)[0]
    over, under = by_unit(gap, place, weight)
    total = under.sum()
    value = over.sum() / total if total > 0 else float("nan")
    return difference(value, ratio_draws(over, under, resamples, seed)[:, 0], level)


def auc(
    label: Any, score: Any, *, units: Any = None, weight: Any = None, resamples: int = RESAMPLES, seed: int = 0,
    level: float = LEVEL,
) -> Interval:  # fmt: skip
    """Weighted AUC with its interval, resampling `units`."""
    from ethogram.evaluate import classification

    place = np.arange(len(label)) if units is None else places(units)[0]
    draws, _ = curve_draws(label, score, place, weight, resamples, seed)
    return interval(classification.auc(label, score, weight), draws, level)


def auc_difference(
    label: Any, a: Any, b: Any, *, units: Any = None, weight: Any = None, resamples: int = RESAMPLES,
    seed: int = 0, level: float = LEVEL,
) -> Difference:  # fmt: skip
    """AUC of scores a minus AUC of scores b on the same rows, resampling `units`."""
    from ethogram.evaluate import classification

    place = np.arange(len(label)) if units is None else places(units)[0]
    left, _ = curve_draws(label, a, place, weight, resamples, seed)
    right, _ = curve_draws(label, b, place, weight, resamples, seed)
    value = classification.auc(label, a, weight) - classification.auc(label, b, weight)
    return difference(value, left - right, level)
