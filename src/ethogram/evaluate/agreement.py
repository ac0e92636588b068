"""Do two judges agree more than chance would have them? Cohen's kappa, plain and weighted, with its interval.

    kappa = 1 - sum_ij w_ij o_ij / sum_ij w_ij e_ij          e_ij = o_i. o_.j

with o the shares of items that one judge calls i and the other j, and w_ij = [i != j] (categories), |i - j| (linear)
or (i - j)^2 (quadratic) on ordered categories. Items on which a judge abstains count for nothing, and are counted.
The interval is the bootstrap's over items (or over `units`, where items hang together). Kappa is undefined (NaN) where
both judges use one category only.

Cohen (1960, 1968).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from ethogram.errors import OptionError, unknown
from ethogram.evaluate.bootstrap import LEVEL, RESAMPLES, interval, places, sums

Weights = Literal["none", "linear", "quadratic"]


class Agreement(NamedTuple):
    """Kappa with its interval, the share of equal answers, and how many of the items both judges answered."""

    kappa: float
    low: float
    high: float
    equal: float
    answered: int
    items: int


def kappa(
    one: Any, other: Any, *, weights: Weights = "none", units: Any = None, resamples: int = RESAMPLES, seed: int = 0,
    level: float = LEVEL,
) -> Agreement:  # fmt: skip
    """Agreement of two judges.

    Parameters
    ----------
    one, other : answers [n], texts or numbers; None (or NaN) where a judge abstains.
    weights : none, linear, quadratic; the latter two need numbers.
    units : ids per item, resampled as wholes; default each item alone.

    Raises
    ------
    OptionError
        Lengths differ, no item was answered by both, unknown weights, or weights on texts.

    Examples
    --------
    >>> round(kappa([1, 1, 2, 2], [1, 1, 2, 1]).kappa, 3)
    0.5
    """
    a, b = np.asarray(one, object), np.asarray(other, object)
    if len(a) != len(b):
        raise OptionError(f"{len(a)} answers of one judge and {len(b)} of the other: give both for each item.")
    if weights not in ("none", "linear", "quadratic"):
        raise OptionError(unknown("kind of weights", weights, ["none", "linear", "quadratic"]))
    there = np.array([not _missing(x) and not _missing(y) for x, y in zip(a, b, strict=True)], bool)
    if not there.any():
        raise OptionError("no item was answered by both judges.")
    found, place = np.unique(np.r_[a[there], b[there]], return_inverse=True)
    x, y = np.split(place.ravel(), 2)
    size = len(found)
    if weights == "none":
        worth = 1.0 - np.eye(size)
    else:
        try:
            numbers = found.astype(float)
        except ValueError:
            raise OptionError(f"weights='{weights}' needs numbers, not '{found[0]}'.") from None
        worth = np.abs(numbers[:, None] - numbers[None, :]) ** (1 if weights == "linear" else 2)
    unit = np.arange(len(x)) if units is None else places(np.asarray(units)[there])[0]
    cells = np.zeros((int(unit.max()) + 1, size * size))
    np.add.at(cells, (unit, x * size + y), 1.0)
    drawn = sums(cells, resamples, seed)
    value, low, high = interval(_kappa(cells.sum(0)[None], worth)[0], _kappa(drawn, worth), level)
    return Agreement(value, low, high, float((x == y).mean()), int(there.sum()), len(a))


def _kappa(cells: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """Kappa of each table, float64[b], from counts [b, size * size]."""
    size = len(worth)
    shares = cells.reshape(-1, size, size)
    total = shares.sum((1, 2))
    expected = np.einsum("bi,bj,ij->b", shares.sum(2), shares.sum(1), worth) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(expected > 0, 1 - np.einsum("bij,ij->b", shares, worth) / expected, np.nan))


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))
