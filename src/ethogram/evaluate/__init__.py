"""Is a number good, is an effect real? Metrics, protocols, bootstrap, records, claims."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ethogram.evaluate.bootstrap import Difference, Interval
    from ethogram.evaluate.comparison import Comparison, compare
    from ethogram.evaluate.deleting import Deletion, deletion
    from ethogram.evaluate.evaluation import Evaluation
    from ethogram.evaluate.logged import Decisions
    from ethogram.evaluate.machine import Cost, measure
    from ethogram.evaluate.off_policy import OffPolicy, policy_value
    from ethogram.evaluate.protocol import evaluate
    from ethogram.evaluate.record import Record, RecordStore
    from ethogram.evaluate.running import run
    from ethogram.evaluate.slates import evaluate_slates

_WHERE = {
    "Comparison": "comparison", "Cost": "machine", "Decisions": "logged", "Deletion": "deleting",
    "Difference": "bootstrap", "Evaluation": "evaluation", "Interval": "bootstrap", "OffPolicy": "off_policy",
    "Record": "record", "RecordStore": "record", "compare": "comparison", "deletion": "deleting",
    "evaluate": "protocol", "evaluate_slates": "slates", "measure": "machine", "policy_value": "off_policy",
    "run": "running",
}  # fmt: skip

__all__ = [
    "Comparison", "Cost", "Decisions", "Deletion", "Difference", "Evaluation", "Interval", "OffPolicy", "Record",
    "RecordStore", "compare", "deletion", "evaluate", "evaluate_slates", "measure", "policy_value", "run",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"ethogram.evaluate.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'ethogram.evaluate' has no attribute '{name}'")
