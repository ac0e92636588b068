"""Is a risk worth acting on? Thresholds, costs, drift, groups, and outcomes that are not known yet."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ethogram.evaluate.risk.approval import Approval, applied, threshold_at
    from ethogram.evaluate.risk.cases import Cases, cases_of
    from ethogram.evaluate.risk.censoring import Weights, inverse_probability
    from ethogram.evaluate.risk.costs import cheapest, cost_curve, expected_cost
    from ethogram.evaluate.risk.groups import group_errors
    from ethogram.evaluate.risk.judging import Judgement, judge
    from ethogram.evaluate.risk.shift import Bins, drift, psi
    from ethogram.evaluate.risk.top import at_top, recall_at_approval, recall_at_top

_WHERE = {
    "Approval": "approval", "Bins": "shift", "Cases": "cases", "Judgement": "judging", "Weights": "censoring",
    "applied": "approval", "at_top": "top", "cases_of": "cases", "cheapest": "costs", "cost_curve": "costs",
    "drift": "shift", "expected_cost": "costs", "group_errors": "groups", "inverse_probability": "censoring",
    "judge": "judging", "psi": "shift", "recall_at_approval": "top", "recall_at_top": "top",
    "threshold_at": "approval",
}  # fmt: skip

__all__ = [
    "Approval", "Bins", "Cases", "Judgement", "Weights", "applied", "at_top", "cases_of", "cheapest", "cost_curve",
    "drift", "expected_cost", "group_errors", "inverse_probability", "judge", "psi", "recall_at_approval",
    "recall_at_top", "threshold_at",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"ethogram.evaluate.risk.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'ethogram.evaluate.risk' has no attribute '{name}'")
