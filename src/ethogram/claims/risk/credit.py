"""What a lender asks of the runs behind the claim of `lbsf`: who bears the mistakes, what moves between the windows.

The validation part chooses the threshold that approves a wanted share, the test part is judged by it. A gap is the rate
of one group minus that of all others; its interval resamples the people of the test part, the threshold stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ethogram.claims import Estimate
from ethogram.claims.risk.cells import DRAWS, Cell, cells
from ethogram.evaluate.bootstrap import interval

APPROVE = {"payments": 0.9, "credit cards": 0.8}
"""Share to approve: about all but twice those who default, and all but as many as default."""
GROUPS: dict[str, tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = {
    "sex": ("group", "women", lambda v: v == "women"),
    "age": ("age", "under 30", lambda v: v.astype(float) < 30),
    "education": ("education", "high school", lambda v: v == "3"),
    "group": ("group", "b", lambda v: v == "b"),
}
"""Protected attribute -> its column of the users, the group that is held against all others, who is in it."""


def valid_of(bench: Any, cell: Cell) -> np.ndarray:
    """Risks of the validation part, float64."""
    held = bench.__dict__.setdefault("_lbsf_valid", {})
    if id(cell) not in held:
        held[id(cell)] = cell.built.assess(cell.cut.valid)["risk"].to_numpy()
    return np.asarray(held[id(cell)])


def threshold(bench: Any, cell: Cell, data: str) -> float:
    from ethogram.evaluate.risk import threshold_at

    return threshold_at(valid_of(bench, cell), APPROVE[data])


def group_gap(bench: Any, arm: str, data: str, attribute: str, kind: str) -> Estimate:
    """Rate of declined good ones (`kind` 0) or approved bad ones (1) in a group minus that of all others."""
    data = "payments" if bench.quick else data
    attribute = "group" if bench.quick else attribute
    cell = cells(bench, arm, data)[0]
    column, _, inside = GROUPS[attribute]
    users = cell.cut.log.users
    told = dict(zip(users["user"].to_pylist(), users[column].to_pylist(), strict=True))
    mine = inside(np.array([told[u] for u in cell.user.tolist()], object))
    of = cell.label == float(kind == "missed")
    wrong = (cell.risk > threshold(bench, cell, data)) == (kind == "false alarms")

    def measure(rows: np.ndarray) -> float:
        own, rest = (wrong[rows][of[rows] & (mine[rows] == side)] for side in (True, False))
        return float(own.mean() - rest.mean()) if len(own) and len(rest) else float("nan")

    return _drawn(measure, len(cell.label), bench)


def moved(bench: Any, arm: str, data: str) -> Estimate:
    """Population stability index of the risks, the test part against the validation part."""
    from ethogram.evaluate.risk import psi

    cell = cells(bench, arm, data)[0]
    reference = valid_of(bench, cell)
    return _drawn(lambda rows: psi(reference, cell.risk[rows]), len(cell.risk), bench, plain=True)


def approved(bench: Any, arm: str, data: str = "payments") -> Estimate:
    """Share of the test part that the threshold approves, minus the wanted share."""
    cell = cells(bench, arm, data)[0]
    t = threshold(bench, cell, data)
    return _drawn(lambda rows: float((cell.risk[rows] <= t).mean()) - APPROVE[data], len(cell.risk), bench)


def caught(bench: Any, arm: str, share: float, data: str = "payments") -> Estimate:
    """Share of all bad ones among the riskiest `share`."""
    from ethogram.evaluate.risk import recall_at_top

    cell = cells(bench, arm, data)[0]
    return _drawn(lambda rows: float(recall_at_top(cell.label[rows], cell.risk[rows], share)), len(cell.risk), bench)


def over_the_rate(bench: Any, arm: str, data: str = "payments") -> Estimate:
    """Area under precision and recall minus what chance has, the share of the bad."""
    from ethogram.evaluate.classification import pr_auc

    cell = cells(bench, arm, data)[0]
    return _drawn(
        lambda rows: float(pr_auc(cell.label[rows], cell.risk[rows]) - cell.label[rows].mean()), len(cell.risk), bench
    )


def _drawn(measure: Callable[[np.ndarray], float], n: int, bench: Any, plain: bool = False) -> Estimate:
    """A measure of the test people with its interval; `plain` where resampling would push it up, and it has none."""
    random = np.random.default_rng(0)
    value = measure(np.arange(n))
    if plain:
        return Estimate(value, value, value, units=n, unit="people")
    draws = np.array([measure(random.integers(0, n, n)) for _ in range(20 if bench.quick else DRAWS)])
    found = interval(value, draws[~np.isnan(draws)])
    return Estimate(found.value, found.low, found.high, units=n, unit="people")
