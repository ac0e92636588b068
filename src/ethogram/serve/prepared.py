"""A slate network held ready: arrays instead of a graph, and of a long history its bucket table instead of its events.

Same scores as the system's own `score`; what has no arrays is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.log.goals import FIRST
from ethogram.nn import serving
from ethogram.nn.prepared.catalogue import STRANGE
from ethogram.nn.prepared.interests import Attend, Buckets
from ethogram.nn.prepared.past import Past
from ethogram.serve import questions as asking
from ethogram.serve.derived import Derived
from ethogram.serve.questions import TIMELESS, Question
from ethogram.serve.scoring import Plain, Scorer
from ethogram.serve.state import Entry, Store
from ethogram.serve.tables import BucketTables, Held

SPARE = 14
"""Events read beyond those that are attended to; where too many of them were only shown, more are read."""


class Ready:
    """Scores question by question, which for these arrays costs no more than together.

    Raises
    ------
    OptionError
        The system has no such form.
    """

    def __init__(self, system: Any, store: Store):
        if not hasattr(system, "prepared"):
            raise OptionError(f"prepared: {system.info.key} has no arrays.")
        self.plain, self.strange = Plain(system), STRANGE
        self.items = self.plain.items
        self.ready = system.prepared()
        self.columns = tuple(c.name for c in self.ready.ranker.features.of("event"))
        self._people = {str(p): p for p in self.ready.asking.people}
        self.tables: BucketTables | None = None
        self.derived: Derived | None = None
        self.last, self.attended, self.store = self.plain.last, 0, store
        attended = _attended(self.ready)
        if attended is None or self.ready.asking.hashes:
            return
        self.tables = BucketTables(serving.nobody(self.ready.ranker), self._moves)
        self.derived, self.attended, self.last = Derived(store, self.tables), attended, attended + SPARE

    def score(self, questions: Sequence[Question]) -> list[np.ndarray]:
        if self.derived is None or self.tables is None:
            return [self._one(q, None) for q in questions]
        # one look-up for all whose table is stored
        stored = [q for q in questions if q.user is not None and q.revision is not None]
        users, revisions = [str(q.user) for q in stored], [q.revision or 0 for q in stored]
        kept = self.store.derived(self.tables.version, users, revisions) if stored else []
        missing = [u for u, k in zip(users, kept, strict=True) if k is None]
        made = dict(zip(missing, self.derived.read(missing), strict=True)) if missing else {}
        held = {id(q): made[str(q.user)] if k is None else k for q, k in zip(stored, kept, strict=True)}
        return [self._one(q, held.get(id(q))) for q in questions]

    def _one(self, question: Question, kept: bytes | None) -> np.ndarray:
        rows = self.ready.catalogue.rows(question.candidates)
        table, events = None, question.done
        if kept is not None and self.tables is not None:
            found = self.tables.load(kept)
            table, events = found.table, self._recent(question, found)
        past = self.past(events)
        if self.ready.asking.hashes and ((rows == self.strange).any() or (past.rows == self.strange).any()):
            return self.plain.score([question])[0]
        user = self._people.get(question.user) if question.user is not None else None
        context = asking.context([question])
        return np.asarray(self.ready.answer(past, rows, table=table, user=user, context=context), np.float64)

    def past(self, events: Sequence[Entry], *, cut: bool = True) -> Past:
        """Events as the model reads them; `cut` leaves out what it does not."""
        timed = bool(events) and events[0].time != TIMELESS
        return self.ready.past(
            [e.item for e in events],
            time=[e.time for e in events] if timed else None,
            columns={name: [_value(e, name) for e in events] for name in self.columns},
            cut=cut,
        )

    def _recent(self, question: Question, held: Held) -> Sequence[Entry]:
        """The last events of those that the table holds, at least as many as are attended to if there are."""
        # which events are history is decided by the whole ring, of which only the end was read
        ring, last = question.events, self.last or 0
        while True:
            events = [e for e in ring if e.item and (FIRST in e.content) != bool(held.plain)]
            if len(events) >= min(self.attended + 1, held.table.events) or len(ring) < last:
                return events
            last *= 4
            ring = [k.entry for k in self.store.user(str(question.user), last).ring]

    def _moves(self, lists: Sequence[Sequence[Entry]]) -> tuple[np.ndarray, np.ndarray]:
        """Signatures and vectors of all events in turn."""
        past = self.past([e for events in lists for e in events], cut=False)
        hashed = next(one for one in self.ready.readings if isinstance(one, Buckets))
        return hashed.signatures(past), past.vectors


def scorer(system: Any, store: Store) -> Scorer:
    """The fastest way to score by a system that gives its own scores."""
    try:
        return Ready(system, store)
    except OptionError:
        return Plain(system)


def _attended(ready: Any) -> int | None:
    """Last events that are read beside a table; None where everything is read, or there is no table."""
    if ready.ranker.features.last is not None:
        return None
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
