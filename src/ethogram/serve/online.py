"""Error memories that learn while they serve: what `ethogram.serve.compensating` needs from the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ethogram.log.histories import Questions
from ethogram.serve import questions as asking
from ethogram.serve.compensating import HISTORY, Asked, Compensating
from ethogram.serve.questions import Question
from ethogram.serve.scoring import Plain
from ethogram.serve.state import Store

WINDOW = 30 * 60.0
"""Seconds within which an event answers a decision, if nothing else is said."""


def online(store: Store, name: str, system: Any, window: float) -> Compensating | None:
    """The loop of a served system; None where it has no error memory.

    Parameters
    ----------
    name : of the model and its version. window : seconds.
    """
    if not hasattr(system.fitted, "reveal"):
        return None
    plain = Plain(system)
    return Compensating(
        store, name, system, lambda asked: questions(plain, asked), window=round(window * 1e6),
        last=HISTORY if plain.last is None else plain.last,
    )  # fmt: skip


def questions(plain: Plain, asked: Sequence[Asked]) -> Questions:
    """Decisions as the questions that a ranking system learns from."""
    made = [
        Question(
            a.decision.user or None, a.events, [str(c) for c in a.decision.content["candidates"]],
            a.decision.content.get("context") or {}, a.decision.time,
        )
        for a in asked
    ]  # fmt: skip
    histories, candidates = plain.asked(made)
    if "time" not in histories.columns:
        histories = replace(histories, time=np.array([q.asked for q in made], np.int64))
    label = np.concatenate([a.label for a in asked]).astype(np.float32)
    context: dict[str, np.ndarray] = {}
    vocabularies = dict(histories.vocabularies)
    counts = candidates.counts(len(made))
    for name in sorted({k for q in made for k in q.context}):
        values, known = asking.column([q.context.get(name) for q in made])
        context[name] = np.repeat(values, counts)
        if known is not None:
            vocabularies[name] = known
    histories = replace(histories, vocabularies=vocabularies)
    return Questions(histories, candidates, label, np.ones(len(label), np.float32), context)
