"""What do mistakes cost? Expected cost over thresholds, and Drummond and Holte's cost curve over what may be true.

A bad case that is approved costs c_a (a false approval: the money that is lost), a good one that is declined costs c_d
(a false decline: the margin and the customer). With cases approved where risk <= t, the cost per case is

    cost(t) = (sum of w c_a over bad cases with risk <= t + sum of w c_d over good ones with risk > t) / sum of w

Costs may differ by case. Where neither the bad rate nor the costs of tomorrow are known, they enter as one number

    x = p c_a / (p c_a + (1 - p) c_d)      the share of the possible cost that bad cases hold, in [0, 1]
    NEC(t, x) = FNR(t) x + FPR(t) (1 - x)

and the curve is the least NEC over t for each x; approving all has NEC = x, declining all 1 - x. Drummond and Holte:
Cost curves: an improved method for visualizing classifier performance (Machine Learning 65, 2006).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate.calibration import checked


class Cheapest(NamedTuple):
    """The threshold of least expected cost, its cost per case, and those of approving all and of declining all."""

    threshold: float
    cost: float
    approve_all: float
    decline_all: float


def expected_cost(label: Any, risk: Any, false_approval: Any, false_decline: Any, weight: Any = None) -> pa.Table:
    """Cost per case of every threshold that makes a difference, ascending, from declining all (-inf).

    Columns `threshold`, `approved` (share), `from_approvals`, `from_declines`, `cost` (their sum).

    Parameters
    ----------
    label, risk, weight : [N]; labels 0 good, 1 bad. false_approval, false_decline : a number, or one per case.

    Raises
    ------
    OptionError
        As `classification.auc`; a cost below 0 or not finite.
    """
    y, s, w = checked(label, risk, weight)
    total = w.sum()
    loss, lost = _cost("false approval", false_approval, len(y)), _cost("false decline", false_decline, len(y))
    values, at = np.unique(s, return_inverse=True)
    parts = [np.bincount(at, w * part, len(values)) for part in (y * loss, (1 - y) * lost, np.ones(len(y)))]
    approvals, declines, cases = (np.r_[0.0, np.cumsum(part)] for part in parts)
    with np.errstate(invalid="ignore"):
        made = (cases / total, approvals / total, (declines[-1] - declines) / total)
    return pa.table(
        {
            "threshold": np.r_[-np.inf, values],
            "approved": made[0],
            "from_approvals": made[1],
            "from_declines": made[2],
            "cost": made[1] + made[2],
        }
    )


def cheapest(costs: pa.Table) -> Cheapest:
    """The row of least cost of `expected_cost`; of several, the one that approves most."""
    cost = costs["cost"].to_numpy()
    best = len(cost) - 1 - int(np.argmin(cost[::-1]))
    return Cheapest(float(costs["threshold"][best].as_py()), float(cost[best]), float(cost[-1]), float(cost[0]))


def cost_at(costs: pa.Table, threshold: float) -> float:
    """Cost per case of a threshold chosen elsewhere."""
    place = int(np.searchsorted(costs["threshold"].to_numpy(), threshold, side="right")) - 1
    return float(costs["cost"][max(place, 0)].as_py())


def cost_curve(label: Any, risk: Any, weight: Any = None, *, points: int = 101) -> pa.Table:
    """Drummond and Holte's curve: `x`, `cost` (least NEC), `trivial` (the better of all or none), `threshold`.

    NaN costs where a class is missing.
    """
    y, s, w = checked(label, risk, weight)
    values, at = np.unique(s, return_inverse=True)
    bad = np.r_[0.0, np.cumsum(np.bincount(at, w * y, len(values)))]
    good = np.r_[0.0, np.cumsum(np.bincount(at, w * (1 - y), len(values)))]
    with np.errstate(invalid="ignore", divide="ignore"):
        missed, alarms = bad / bad[-1], 1 - good / good[-1]  # approved bad, declined good
    x = np.linspace(0, 1, points)
    best = np.array([np.argmin(missed * place + alarms * (1 - place)) for place in x])
    return pa.table(
        {
            "x": x,
            "cost": missed[best] * x + alarms[best] * (1 - x),
            "trivial": np.minimum(x, 1 - x),
            "threshold": np.r_[-np.inf, values][best],
        }
    )


def _cost(name: str, given: Any, n: int) -> np.ndarray:
    cost = np.asarray(given, np.float64)
    if cost.ndim and cost.shape != (n,):
        raise OptionError(f"cost of a {name}: {cost.size} numbers for {n} cases; give one, or one per case.")
    if not ((cost >= 0) & (cost < np.inf)).all():
        wrong = cost.ravel()[~((cost >= 0) & (cost < np.inf)).ravel()][0]
        raise OptionError(f"cost of a {name}: {wrong:g} is no finite number of at least 0.")
    return np.broadcast_to(cost, (n,))
