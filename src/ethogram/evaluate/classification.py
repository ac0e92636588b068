"""Is a score good at telling yes from no? Weighted, exact under ties, in the order of the rows or any other.

A row has a label y in [0, 1], a score s and a weight w >= 0. A label between 0 and 1 counts as y of a positive
and 1 - y of a negative: every metric equals the one on the data in which such rows are written out as both.
Whatever a metric needs and does not find (a second class, any weight at all) makes it NaN, never an error.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate import kernels
from ethogram.evaluate.calibration import brier_losses, checked, ece, log_losses, mean, reliability

__all__ = [
    "GroupAUC", "auc", "auc_by_group", "brier", "ece", "group_auc", "ks", "logloss", "pr_auc", "relaimpr",
    "reliability",
]  # fmt: skip


def auc(label: Any, score: Any, weight: Any = None) -> float:
    """Area under the ROC curve: how often a positive is scored above a negative, equal scores counting half.

    ``sum_ij w_i y_i w_j (1 - y_j) ([s_i > s_j] + [s_i = s_j] / 2) / (sum_i w_i y_i  sum_j w_j (1 - y_j))``, the
    Mann-Whitney statistic with mid-ranks. A constant score has 0.5; one class alone NaN.

    Parameters
    ----------
    label, score, weight : array[N]; weight defaults to ones.

    Raises
    ------
    OptionError
        Lengths differ, a score is NaN, a label is outside [0, 1], a weight is negative or not finite.

    Examples
    --------
    >>> auc([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1])
    0.875
    """
    positive, negative = _steps(label, score, weight)
    both = positive.sum() * negative.sum()
    return float((positive * (np.cumsum(negative) - negative / 2)).sum() / both) if both > 0 else float("nan")


def pr_auc(label: Any, score: Any, weight: Any = None) -> float:
    """Average precision: ``sum_t (R_t - R_{t-1}) P_t`` over distinct scores t, from the highest down.

    Rows of equal score enter together, so that their order does not matter; no interpolation. NaN without a
    positive. A score that knows nothing has the share of positives.
    """
    positive, negative = _steps(label, score, weight)
    hits = np.cumsum(positive[::-1])
    if not len(hits) or hits[-1] <= 0:
        return float("nan")
    asked = hits + np.cumsum(negative[::-1])
    precision = np.divide(hits, asked, out=np.zeros_like(hits), where=asked > 0)
    return float((positive[::-1] * precision).sum() / hits[-1])


def ks(label: Any, score: Any, weight: Any = None) -> float:
    """Kolmogorov-Smirnov distance of the scores of positives and of negatives: ``max_t |F+(t) - F-(t)|``."""
    positive, negative = _steps(label, score, weight)
    if positive.sum() * negative.sum() <= 0:
        return float("nan")
    gap = np.cumsum(positive) / positive.sum() - np.cumsum(negative) / negative.sum()
    return float(np.abs(gap).max())


def logloss(label: Any, score: Any, weight: Any = None) -> float:
    """Mean of ``-y log p - (1 - y) log(1 - p)`` in nats, weighted.

    Probabilities are kept within [eps, 1 - eps] with the eps of their own type (1.2e-7 for float32), as
    scikit-learn does: one row that was certain and wrong costs at most 16 nats in float32.

    Raises
    ------
    OptionError
        A score lies outside [0, 1].
    """
    _, _, w = checked(label, score, weight)
    return mean(log_losses(label, score), w)


def brier(label: Any, score: Any, weight: Any = None) -> float:
    """Weighted mean of ``(p - y)^2``."""
    _, _, w = checked(label, score, weight)
    return mean(brier_losses(label, score), w)


def relaimpr(value: float, base: float) -> float:
    """Relative improvement of an AUC over another: ``(value - 0.5) / (base - 0.5) - 1``; 0.05 is 5%.

    As defined by Yan et al. (Coupled Group Lasso, 2014) and used for DIN. NaN where the base knows nothing.
    """
    return (value - 0.5) / (base - 0.5) - 1 if base != 0.5 else float("nan")


class GroupAUC(NamedTuple):
    """What `group_auc` found."""

    value: float
    share_groups: float
    "Share of the groups that have both classes; the others say nothing and are left out."
    share_rows: float
    "Share of the rows that lie in those groups."


def group_auc(label: Any, score: Any, weight: Any = None, *, groups: Any = None, offsets: Any = None) -> GroupAUC:
    """AUC inside each group (user, slate, basket), averaged with the impressions as weights.

    ``sum_g W_g AUC_g / sum_g W_g`` over the groups g that have both classes, with W_g the weight of all rows of
    the group (their number where no weight is given): DIN's user-weighted AUC. A constant score has 0.5.

    Parameters
    ----------
    groups : an id per row, array[N]; or
    offsets : int[G + 1], group g is rows ``offsets[g]:offsets[g + 1]``; from 0 up to N.

    Raises
    ------
    OptionError
        As in `auc`; neither or both of groups and offsets; offsets that do not run from 0 to N.

    Examples
    --------
    >>> group_auc([1, 0, 1, 0, 1], [0.9, 0.1, 0.2, 0.4, 0.5], offsets=[0, 2, 4, 5])
    GroupAUC(value=0.5, share_groups=0.6666666666666666, share_rows=0.8)
    """
    values, weights, rows = auc_by_group(label, score, weight, groups=groups, offsets=offsets)
    used = ~np.isnan(values)
    if not used.any():
        return GroupAUC(float("nan"), 0.0, 0.0)
    return GroupAUC(mean(values[used], weights[used]), float(used.mean()), float(rows[used].sum() / rows.sum()))


def auc_by_group(
    label: Any, score: Any, weight: Any = None, *, groups: Any = None, offsets: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(AUC, NaN where a class is missing; weight of all rows; number of rows) of each group, float64[G] each.

    Groups given by ids come in ascending order of the ids.
    """
    y, s, w = checked(label, score, weight)
    if (groups is None) == (offsets is None):
        raise OptionError("group_auc: give either groups (an id per row) or offsets.")
    if groups is not None:
        order, ends = _gathered(np.asarray(groups), len(y))
        y, s, w = y[order], s[order], w[order]
    else:
        ends = np.asarray(offsets, np.int64)
        if not len(ends) or ends[0] != 0 or ends[-1] != len(y) or (np.diff(ends) < 0).any():
            raise OptionError(f"group_auc: offsets must run from 0 up to {len(y)}, the number of rows.")
    values, weights = kernels.group_aucs(y, s, w, ends)
    return values, weights, np.diff(ends).astype(np.float64)


def _gathered(groups: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(order of rows that brings equal ids together, offsets of the groups in that order)."""
    if groups.shape != (n,):
        raise OptionError(f"group_auc: groups has shape {groups.shape} where {n} rows need an id each.")
    order = np.argsort(groups, kind="stable")
    sorted_ids = groups[order]
    new = np.ones(n, bool)
    new[1:] = sorted_ids[1:] != sorted_ids[:-1]
    return order, np.append(np.flatnonzero(new), n)


def _steps(label: Any, score: Any, weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """Weight of positives and of negatives at each distinct score, ascending."""
    y, s, w = checked(label, score, weight)
    if not len(s):
        return np.zeros(0), np.zeros(0)
    order = np.argsort(s, kind="stable")
    s, y, w = s[order], y[order], w[order]
    first = np.flatnonzero(np.r_[True, s[1:] != s[:-1]])
    return np.add.reduceat(w * y, first), np.add.reduceat(w * (1 - y), first)
