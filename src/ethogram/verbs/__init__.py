"""The verbs that systems declare, as small protocols, and the data that goes through them.

The area of a system is where people look for it; its verbs are what a program can rely on. The CLI, the
service, the studio and the contract tests dispatch by verb.
"""

from __future__ import annotations

from ethogram.log import Candidates, Histories, Log, Questions, Sequences, Vocabulary
from ethogram.verbs.acting import Acts, Environment, Seen
from ethogram.verbs.answering import Explains, Forecasts, Recommends, Scores, ScoresGoals, SimilarItems
from ethogram.verbs.auditing import Audits, Interval, Item, Planted, Report, Transcript
from ethogram.verbs.cases import Assesses, Assigns
from ethogram.verbs.people import Anticipates, Simulates
from ethogram.verbs.routing import Routes
from ethogram.verbs.system import Enough, Fits, State, System, Table, Updates, Watch

__all__ = [
    "VERBS", "Acts", "Anticipates", "Assesses", "Assigns", "Audits", "Candidates", "Enough", "Environment",
    "Explains", "Fits", "Forecasts", "Histories", "Interval", "Item", "Log", "Planted", "Questions", "Recommends",
    "Report", "Routes", "Scores", "ScoresGoals", "Seen", "Sequences", "SimilarItems", "Simulates", "State", "System",
    "Table", "Transcript", "Updates", "Vocabulary", "Watch",
]  # fmt: skip

VERBS: dict[str, type] = {
    "anticipate": Anticipates, "score": Scores, "score_goals": ScoresGoals, "recommend": Recommends, "update": Updates,
    "explain": Explains, "forecast": Forecasts, "similar_items": SimilarItems, "act": Acts, "assess": Assesses,
    "assign": Assigns, "audit": Audits, "route": Routes, "simulate": Simulates,
}  # fmt: skip
"""Verb name as declared in `@system(verbs=...)` -> the protocol that it promises."""
