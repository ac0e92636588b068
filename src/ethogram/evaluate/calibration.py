"""Is a probability true? Losses per row, the reliability table, and the expected calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError


def checked(label: Any, score: Any, weight: Any = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label, score and weight as float64[N], or the error that says which row is wrong.

    Raises
    ------
    OptionError
        Lengths differ, a score is NaN, a label is outside [0, 1], a weight is negative or not finite.
    """
    y, s = np.asarray(label, np.float64).ravel(), np.asarray(score, np.float64).ravel()
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64).ravel()
    if not len(y) == len(s) == len(w):
        raise OptionError(f"{len(y)} labels, {len(s)} scores and {len(w)} weights: give one of each per row.")
    for name, values, wrong, right in (
        ("label", y, ~((y >= 0) & (y <= 1)), "a number in [0, 1]"),
        ("score", s, np.isnan(s), "a number"),
        ("weight", w, ~((w >= 0) & (w < np.inf)), "a finite number of at least 0"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise OptionError(f"{name} {values[row]} at row {row} is not {right}.")
    return y, s, w


def mean(values: np.ndarray, weight: np.ndarray) -> float:
    """Weighted mean; NaN where there is no weight."""
    total = weight.sum()
    return float((values * weight).sum() / total) if total > 0 else float("nan")


def log_losses(label: Any, score: Any) -> np.ndarray:
    """``-y log p - (1 - y) log(1 - p)`` of each row, in nats; p kept off 0 and 1 by the eps of its type."""
    kind = np.asarray(score).dtype
    eps = float(np.finfo(kind if kind.kind == "f" else np.float64).eps)
    y, p = _probabilities(label, score)
    p = np.clip(p, eps, 1 - eps)
    return np.asarray(-y * np.log(p) - (1 - y) * np.log1p(-p))


def brier_losses(label: Any, score: Any) -> np.ndarray:
    """``(p - y)^2`` of each row."""
    y, p = _probabilities(label, score)
    return np.asarray((p - y) ** 2)


def bins_of(score: Any, weight: Any = None, *, bins: int = 15, equal: str = "mass") -> np.ndarray:
    """Bin of each row, int64[N] in [0, bins).

    ``mass``: bins hold equal weight. A row's place is the weight below its score plus half the weight at its
    score, so that equal scores share a bin and the order of rows does not matter; a score that many rows share
    makes its bin heavier and its neighbours lighter. ``width``: bins are equal intervals of [0, 1].

    Raises
    ------
    OptionError
        `bins` is below 1, or `equal` neither of the two.
    """
    if bins < 1:
        raise OptionError(f"ece: bins = {bins}; give 1 or more.")
    s = np.asarray(score, np.float64).ravel()
    if equal == "width":
        return np.clip((s * bins).astype(np.int64), 0, bins - 1)
    if equal != "mass":
        raise OptionError(f"ece: bins of equal '{equal}' are not known; choose mass or width.")
    w = np.ones(len(s)) if weight is None else np.asarray(weight, np.float64).ravel()
    order = np.argsort(s, kind="stable")
    first = np.flatnonzero(np.r_[len(s) > 0, s[order][1:] != s[order][:-1]]) if len(s) else np.zeros(0, np.int64)
    at = np.add.reduceat(w[order], first) if len(s) else w
    middle = np.cumsum(at) - at / 2
    place = np.minimum((middle / max(at.sum(), np.finfo(float).tiny) * bins).astype(np.int64), bins - 1)
    out = np.empty(len(s), np.int64)
    out[order] = np.repeat(place, np.diff(np.append(first, len(s))))
    return out


def reliability(label: Any, score: Any, weight: Any = None, *, bins: int = 15, equal: str = "mass") -> pa.Table:
    """The reliability table: per non-empty bin its `weight`, mean `score` and mean `label`."""
    y, p, w = checked(label, score, weight)
    place = bins_of(p, w, bins=bins, equal=equal)
    total = np.bincount(place, w, bins)
    used = total > 0
    return pa.table(
        {
            "bin": np.flatnonzero(used),
            "weight": total[used],
            "score": np.bincount(place, w * p, bins)[used] / total[used],
            "label": np.bincount(place, w * y, bins)[used] / total[used],
        }
    )


def ece(label: Any, score: Any, weight: Any = None, *, bins: int = 15, equal: str = "mass") -> float:
    """Expected calibration error: ``sum_b W_b / W |mean score of b - mean label of b|``.

    Naeini et al. (2015). Bins of equal mass by default: with rare positives nearly all rows fall into the first
    few bins of equal width. NaN without any weight; see `bins_of`.
    """
    y, p = _probabilities(label, score)
    _, _, w = checked(y, p, weight)
    place = bins_of(p, w, bins=bins, equal=equal)
    gap = np.abs(np.bincount(place, w * (p - y), bins)).sum() if len(y) else 0.0
    return float(gap / w.sum()) if w.sum() > 0 else float("nan")


def _probabilities(label: Any, score: Any) -> tuple[np.ndarray, np.ndarray]:
    y, p, _ = checked(label, score)
    wrong = (p < 0) | (p > 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise OptionError(f"score {p[row]} at row {row} is no probability: it lies outside [0, 1].")
    return y, p
