"""Outcomes that are not known yet: left out and counted, and what was known is weighted for what was not.

A bad outcome is known on the day that it happens, a good one only when its time is over. Whoever looks at an instant
before that sees young cases only where they are bad already: leaving the rest out makes the bad rate too high, taking
the rest for good makes it too low. With u_i the time from a case's decision to its outcome, or to the end of the
observation where none is known, and G(u) = P(observed for longer than u) by Kaplan and Meier (the "event" being that
the observation ends first; at equal times outcomes come first),

    w_i = 1 / G(u_i-) where the outcome is known, else 0

gives the known cases the weight of those that are not: any weighted mean, AUC or rate then estimates what complete
observation would show. It rests on one assumption: how long a case could be observed has nothing to do with its
outcome or risk (Robins and Rotnitzky 1992; van der Laan and Robins, Unified methods for censored data, 2003). A good
outcome must be knowable within the observation; where none is known, no weight can tell.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate.shares import effective


class Weights(NamedTuple):
    """Weights of censored cases."""

    weight: np.ndarray
    "float64[N], 0 where the outcome is not known."
    known: int
    unknown: int
    effective: float
    "Cases of equal weight that say as much as the known ones do now."


def inverse_probability(follow: Any, known: Any) -> Weights:
    """Weights of cases.

    Parameters
    ----------
    follow : time from the decision to the outcome, or to the end of the observation, at least 0, in any unit, [N].
    known : whether the outcome is known, bool[N].

    Raises
    ------
    OptionError
        Lengths differ; a time that is below 0 or no number.

    Examples
    --------
    >>> inverse_probability([1, 2, 3, 4], [True, False, True, True]).weight.round(3).tolist()
    [1.0, 0.0, 1.5, 1.5]
    """
    u, seen = np.asarray(follow, np.float64), np.asarray(known, bool)
    if u.shape != seen.shape:
        raise OptionError(f"{u.size} times and {seen.size} marks of what is known: give one of each per case.")
    if not (u >= 0).all():
        raise OptionError(f"a case was observed for {u[~(u >= 0)][0]:g}: times must be numbers of at least 0.")
    if not len(u):
        return Weights(np.zeros(0), 0, 0, 0.0)
    times, at = np.unique(u, return_inverse=True)
    ends = np.bincount(at[~seen], minlength=len(times))
    outcomes = np.bincount(at[seen], minlength=len(times))
    here = np.cumsum((ends + outcomes)[::-1])[::-1] - outcomes  # an outcome at the same time came first
    left = np.cumprod(1 - np.divide(ends, here, out=np.zeros(len(times)), where=here > 0))
    before = np.r_[1.0, left[:-1]]
    weight = np.where(seen, 1 / np.maximum(before[at], np.finfo(float).tiny), 0.0)
    return Weights(weight, int(seen.sum()), int((~seen).sum()), effective(weight))
