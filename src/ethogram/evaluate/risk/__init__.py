"""Is a risk worth acting on? Thresholds, costs, drift, groups, and outcomes that are not known yet."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ethogram.evaluate.risk.approval import Approval, applied, threshold_at
    from ethogram.evaluate.risk.cases import Cases, cases
    from ethogram.evaluate.risk.censoring import Weights, inverse_probability
    from ethogram.evaluate.risk.costs import cheapest, cost_curve, expected_cost
    from ethogram.evaluate.risk.drift import Bins, drift, psi
    from ethogram.evaluate.risk.groups import group_errors
    from ethogram.evaluate.risk.judging import Judgement, judge
    from ethogram.evaluate.risk.top import at_top, recall_at_approval, recall_at_top

_WHERE = {
    "Approval": "approval", "Bins": "drift", "Cases": "cases", "Judgement": "judging", "Weights": "censoring",
    "applied": "approval", "at_top": "top", "cases": "cases", "cheapest": "costs", "cost_curve": "costs",
    "drift": "drift", "expected_cost": "costs", "group_errors": "groups", "inverse_probability": "censoring",
    "judge": "judging", "psi": "drift", "recall_at_approval": "top", "recall_at_top": "top",
    "threshold_at": "approval",
}  # fmt: skip

__all__ = [
    "Approval", "Bins", "Cases", "Judgement", "Weights", "applied", "at_top", "cases", "cheapest", "cost_curve",
    "drift", "expected_cost", "group_errors", "inverse_probability", "judge", "psi", "recall_at_approval",
    "recall_at_top", "threshold_at",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"ethogram.evaluate.risk.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'ethogram.evaluate.risk' has no attribute '{name}'")
