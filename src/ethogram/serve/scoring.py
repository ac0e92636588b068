"""How a served model judges: one function from questions to scores, behind which a faster one may stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from ethogram.log import Candidates, Features, Histories, Vocabulary
from ethogram.serve import questions as asking
from ethogram.serve.questions import Items, Question

ROOM = 256
"""Events read beyond those that a model wants: its history is cut between groups of equal time."""
FIND = ("features", "design.features", "ranker.features", "known", "model.known", "items", "vocabulary")


class Scorer(Protocol):
    """Judges candidates for histories.

    Attributes
    ----------
    last : events of a user's ring that it wants to see, None for all.
    """

    items: Items
    last: int | None

    @property
    def plain(self) -> Plain:
        """The system's own way of reading questions."""
        ...

    def score(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """Scores of each question's candidates, float64."""
        ...


class Plain:
    """The system's own `score`, for several questions at once."""

    def __init__(self, system: Any):
        self.system = system
        found = features(system)
        self.items = Items(known_items(system))
        self.last = None if found is None or found.last is None else found.last + ROOM
        self.columns = frozenset(c.name for c in found.of("event")) if found is not None else frozenset({"value"})

    @property
    def plain(self) -> Plain:
        return self

    def score(self, questions: Sequence[Question]) -> list[np.ndarray]:
        answers: list[np.ndarray] = [np.empty(0)] * len(questions)
        for rows in alike(questions):
            some = [questions[i] for i in rows]
            histories, candidates = self.asked(some)
            found = np.asarray(self.system.score(histories, candidates, asking.context(some)), np.float64)
            assert candidates.offsets is not None
            for i, part in zip(rows, np.split(found.reshape(-1), candidates.offsets[1:-1]), strict=True):
                answers[i] = part
        return answers

    def asked(self, questions: Sequence[Question]) -> tuple[Histories, Candidates]:
        return asking.asked(questions, self.items, self.columns)


def alike(questions: Sequence[Question]) -> Iterator[list[int]]:
    """Numbers of the questions that may stand in one call: all with times, or all without."""
    for timed in (True, False):
        rows = [i for i, q in enumerate(questions) if q.timed == timed]
        if rows:
            yield rows


def features(system: Any) -> Features | None:
    """The features that a fitted system reads, if it has any."""
    for path in FIND[:3]:
        found = _dig(system.fitted, path)
        if isinstance(found, Features):
            return found
    base = getattr(system, "base", None)
    return features(base) if getattr(base, "fitted", None) is not None else None


def known_items(system: Any) -> Vocabulary | None:
    """The items that training met, if the system tells."""
    for path in FIND:
        found = _dig(system.fitted, path)
        for vocabulary in (found, getattr(found, "items", None)):
            if isinstance(vocabulary, Vocabulary):
                return vocabulary
    for part in ("ranker", "retriever", "base"):
        inner = getattr(system, part, None)
        if getattr(inner, "fitted", None) is not None:
            return known_items(inner)
    return None


def _dig(held: Any, path: str) -> Any:
    for name in path.split("."):
        held = getattr(held, name, None)
    return held
