"""Controls like the cases: for each case the nearest unit of a pool on what must not tell them apart.

Every variable is divided by its caliper, the largest difference that still counts as alike:

    d(i, j) = max_v |case_iv - pool_jv| / caliper_v          a pair may stand if d <= 1

Pairs are taken nearest first, each unit of the pool once: the result does not depend on the order of the rows (ties go
to the lower rows). How well it went is told by each variable's standardised mean difference,

    smd_v = (mean case_v - mean control_v) / sqrt((var case_v + var control_v) / 2)

of which |smd| < 0.1 is the usual bound. Who has no partner stays without one and is told.

Stuart: Matching methods for causal inference (Statistical Science, 2010). Rosenbaum, Rubin (1985) for the smd.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import OptionError


class Matched(NamedTuple):
    """Rows of the cases that have a control, and which: row k of both is one pair."""

    cases: np.ndarray
    "int64[m], ascending."
    controls: np.ndarray
    "int64[m], rows of the pool, each once."
    alone: np.ndarray
    "int64, rows of the cases for which no control was left."
    distance: np.ndarray
    "float64[m], in calipers."


def match(cases: Any, pool: Any, caliper: Any, *, reach: Any = None, near: int = 64) -> Matched:
    """The nearest control of each case, without replacement.

    Parameters
    ----------
    cases : float[n] or float[n, v], pool : float[m] or float[m, v]. A NaN matches nothing.
    caliper : above 0, one number or one for each variable.
    reach : float[n], for each case the largest distance in calipers, where that is below 1.
    near : how many of its nearest units of the pool a case may choose from.

    Raises
    ------
    OptionError
        Shapes do not fit, a caliper is not above 0, or `near` is below 1.

    Examples
    --------
    >>> found = match([10.0, 20.0], [19.0, 11.0, 90.0], 5.0)
    >>> found.cases.tolist(), found.controls.tolist()
    ([0, 1], [1, 0])
    """
    from scipy.spatial import cKDTree

    x, y = _columns(cases), _columns(pool)
    width = np.broadcast_to(np.asarray(caliper, np.float64), (x.shape[1],))
    if x.shape[1] != y.shape[1] or not (width > 0).all() or near < 1:
        raise OptionError(
            f"match: cases {x.shape}, pool {y.shape}, caliper {width.tolist()}, near {near}; the same variables in "
            "both, calipers above 0, near 1 or more."
        )
    there, held = np.flatnonzero(np.isfinite(x).all(1)), np.flatnonzero(np.isfinite(y).all(1))
    taken, case, control, away = _Taken(len(x), len(y)), [], [], []
    k = min(near, len(held))
    if k and len(there):
        tree = cKDTree(y[held] / width)
        distance, place = tree.query(x[there] / width, k, p=np.inf, distance_upper_bound=np.nextafter(1.0, 2.0))
        distance, place = distance.reshape(len(there), k), place.reshape(len(there), k)
        limit = np.ones(len(x)) if reach is None else np.minimum(np.asarray(reach, np.float64), 1.0)
        row, column = np.nonzero(distance <= limit[there][:, None])
        i, j, d = there[row], held[place[row, column]], distance[row, column]
        for at in np.lexsort([j, i, d]):
            if taken.free(int(i[at]), int(j[at])):
                case.append(int(i[at]))
                control.append(int(j[at]))
                away.append(float(d[at]))
    order = np.argsort(case, kind="stable")
    left = np.setdiff1d(np.arange(len(x)), case)
    made = (np.array(v, t)[order] for v, t in ((case, np.int64), (control, np.int64), (away, np.float64)))
    first, second, third = made
    return Matched(first, second, left, third)


def balance(cases: Any, controls: Any) -> np.ndarray:
    """Standardised mean difference of each variable, float64[v]; 0 where a variable does not vary and is the same."""
    x, y = _columns(cases), _columns(controls)
    gap = x.mean(0) - y.mean(0)
    spread = np.sqrt((x.var(0, ddof=1) + y.var(0, ddof=1)) / 2) if min(len(x), len(y)) > 1 else np.zeros(x.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(gap == 0, 0.0, gap / spread))


class _Taken:
    """Which cases and controls are in a pair already."""

    def __init__(self, cases: int, pool: int):
        self._cases, self._pool = np.zeros(cases, bool), np.zeros(pool, bool)

    def free(self, case: int, control: int) -> bool:
        """Whether both were free; they are not afterwards."""
        if self._cases[case] or self._pool[control]:
            return False
        self._cases[case] = self._pool[control] = True
        return True


def _columns(values: Any) -> np.ndarray:
    made = np.asarray(values, np.float64)
    return made[:, None] if made.ndim == 1 else made
