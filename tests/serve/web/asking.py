"""Questions as the service makes them."""

from __future__ import annotations

from ethogram.serve.questions import TIMELESS, Question
from ethogram.serve.state import Entry


def question(items: list[str], candidates: list[str] | None = None, user: str | None = None) -> Question:
    events = [Entry(str(n), user or "", item, "view", TIMELESS) for n, item in enumerate(items)]
    return Question(user, events, candidates or [])
