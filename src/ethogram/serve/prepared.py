"""A slate network held ready: arrays instead of a graph, and of a long history its bucket table instead of its events.

Same scores as the system's own `score`; what has no arrays is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.log.goals import FIRST
from ethogram.serve import questions as asking
from ethogram.serve.derived import Derived
from ethogram.serve.questions import Question
from ethogram.serve.scoring import ROOM, Plain, Scorer
from ethogram.serve.state import Store
from ethogram.serve.tables import BucketTables, bucket_tables


class Ready:
    """Scores question by question, which for these arrays costs no more than together.

    Raises
    ------
    OptionError
        The system has no such form.
    """

    def __init__(self, system: Any, store: Store):
        from ethogram.nn.prepared.catalogue import STRANGE

        if not hasattr(system, "prepared"):
            raise OptionError(f"prepared: {system.info.key} has no arrays.")
        self.plain, self.strange = Plain(system), STRANGE
        self.items = self.plain.items
        self.ready = system.prepared()
        self.columns = tuple(c.name for c in self.ready.ranker.features.of("event"))
        self._people = {str(p): p for p in self.ready.asking.people}
        self.tables: BucketTables | None = None
        self.derived: Derived | None = None
        self.last = self.plain.last
        attended = _attended(self.ready)
        if attended is None:
            return
        try:
            self.tables = bucket_tables(system, lambda lists: self.plain.asked([Question(None, e) for e in lists])[0])
        except OptionError:
            return
        self.derived, self.last = Derived(store, self.tables), attended + ROOM

    def score(self, questions: Sequence[Question]) -> list[np.ndarray]:
        # one look-up for all whose table is stored
        stored = [q.user for q in questions if q.user is not None and q.revision is not None]
        held = dict(zip(stored, self.derived.read(stored), strict=True)) if self.derived and stored else {}
        return [self._one(q, held.get(q.user) if q.revision is not None and q.user else None) for q in questions]

    def _one(self, question: Question, kept: bytes | None) -> np.ndarray:
        rows = self.ready.catalogue.rows(question.candidates)
        table, events = None, question.done
        if kept is not None and self.tables is not None:
            found = self.tables.load(kept)
            # which events are history is decided by the whole ring, of which only the end was read
            events = [e for e in question.events if e.item and (FIRST in e.content) != bool(found.plain)]
            table = found.table
        past = self.ready.past(
            [e.item for e in events],
            time=[e.time for e in events] if question.timed else None,
            columns={name: [_value(e, name) for e in events] for name in self.columns},
        )
        if self.ready.asking.hashes and ((rows == self.strange).any() or (past.rows == self.strange).any()):
            return self.plain.score([question])[0]
        user = self._people.get(question.user) if question.user is not None else None
        context = asking.context([question])
        return np.asarray(self.ready.answer(past, rows, table=table, user=user, context=context), np.float64)


def scorer(system: Any, store: Store) -> Scorer:
    """The fastest way to score by a system that gives its own scores."""
    try:
        return Ready(system, store)
    except OptionError:
        return Plain(system)


def _attended(ready: Any) -> int | None:
    """Last events that are read beside a table; None where everything is read, or there is no table."""
    from ethogram.nn.prepared.interests import Attend, Buckets

    most, tabled = 1, False
    for reading in ready.readings:
        if isinstance(reading, Buckets):
            tabled = True
        elif isinstance(reading, Attend) and reading.unit.last is not None:
            most = max(most, int(reading.unit.last))
        else:
            return None
    return most if tabled else None


def _value(event: Any, name: str) -> Any:
    return event.kind or None if name == "kind" else event.content.get(name)
