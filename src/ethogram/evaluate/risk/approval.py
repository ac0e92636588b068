"""Approve or decline: a threshold that approves a fixed share of a validation window, and what it does elsewhere.

A case is approved where its risk is at most the threshold t. For a wanted approval rate a,

    t = the largest risk of the window with  share(risk <= t) <= a

so that at most a are approved there: cases of equal risk are approved together or not at all. On another window the
realised rate differs where the risks moved; that difference is told, never corrected by looking.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate.bootstrap import Interval
from ethogram.evaluate.calibration import checked
from ethogram.evaluate.shares import share


def threshold_at(risk: Any, rate: float, weight: Any = None) -> float:
    """The threshold that approves at most `rate` of these cases; -inf where not even the lowest risk may pass.

    Raises
    ------
    OptionError
        The rate is not within (0, 1], there is no case, or a risk is NaN.

    Examples
    --------
    >>> threshold_at([0.1, 0.2, 0.3, 0.9], 0.75)
    0.3
    """
    if not 0 < rate <= 1:
        raise OptionError(f"approval rate {rate:g}: give a share above 0 and at most 1, such as 0.9.")
    _, s, w = checked(np.zeros(np.size(risk)), risk, weight)
    if not len(s) or w.sum() <= 0:
        raise OptionError("approval rate: there is no case to choose a threshold on.")
    values, at = np.unique(s, return_inverse=True)
    below = np.cumsum(np.bincount(at, w)) / w.sum()
    # a share that is a up to rounding counts as a
    fits = np.flatnonzero(below <= rate + 1e-12)
    return float(values[fits[-1]]) if len(fits) else -float("inf")


class Approval(NamedTuple):
    """What a threshold does to cases; shares with Wilson's intervals, NaN where nothing is known."""

    threshold: float
    cases: int
    approved: int
    rate: Interval
    "Share of all cases that is approved."
    bad_rate: Interval
    "Share of bad ones among the approved whose outcome is known."
    declined_bad_rate: Interval
    recall: Interval
    "Share of the known bad ones that is declined."
    unknown: int
    "Cases without an outcome; they count for the rate only."


def applied(risk: Any, label: Any, threshold: float, weight: Any = None) -> Approval:
    """Apply a threshold.

    Parameters
    ----------
    risk : float64[N]. label : 0 good, 1 bad, NaN not known, [N].
    weight : of cases with an outcome, such as those of `censoring`; the rate counts every case as one.
    """
    s, y = np.asarray(risk, np.float64), np.asarray(label, np.float64)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    known, passed = ~np.isnan(y), s <= threshold
    checked(y[known], s[known], w[known])
    good = {name: known & rows for name, rows in (("yes", passed), ("no", ~passed), ("bad", y == 1))}
    return Approval(
        float(threshold), len(s), int(passed.sum()), share(passed),
        share(y[good["yes"]], w[good["yes"]]), share(y[good["no"]], w[good["no"]]),
        share(~passed[good["bad"]], w[good["bad"]]), int((~known).sum()),
    )  # fmt: skip


def trade_off(label: Any, risk: Any, weight: Any = None, *, points: int = 80) -> pa.Table:
    """What approving more or less would do: a row for each of about `points` approval rates that can be had.

    Columns `threshold`, `approved` (share), `bad_rate` (of the approved; null where none is), `recall` (share of the
    bad ones that is declined).
    """
    y, s, w = checked(label, risk, weight)
    values, at = np.unique(s, return_inverse=True)
    cases, bad = (np.r_[0.0, np.cumsum(np.bincount(at, part, len(values)))] for part in (w, w * y))
    wanted = np.linspace(0, cases[-1], points)
    rows = np.unique(np.searchsorted(cases, wanted, side="right") - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = bad[rows] / cases[rows]
        return pa.table(
            {
                "threshold": np.r_[-np.inf, values][rows],
                "approved": cases[rows] / cases[-1],
                "bad_rate": pa.array(rate, from_pandas=True),
                "recall": 1 - bad[rows] / bad[-1],
            }
        )
