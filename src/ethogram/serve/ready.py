"""The scorer for networks that can be held ready (`ethogram.nn.prepared`): a request reads arrays and its user's table.

A model that reads its whole history by hash buckets has a table of each user in the store (`ethogram.serve.tables`),
moved on with the ring; a request then needs the table and the last events that the model attends to, however long the
history is. Every other one reads the ring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.nn import serving
from ethogram.nn.prepared import Prepared
from ethogram.nn.prepared.interests import Attend, Buckets
from ethogram.nn.prepared.past import Past
from ethogram.serve import questions as asking
from ethogram.serve.derived import Derived
from ethogram.serve.questions import TIMELESS, Items, Question, behaviour
from ethogram.serve.scoring import ROOM, Plain, Scorer, known_items
from ethogram.serve.state import Entry, Moved, Store
from ethogram.serve.tables import BucketTables, Held

SPARE = 14
"""Events read beyond those that are attended to, where a table tells how many there are."""


def scorer(system: Any, store: Store) -> Scorer:
    """The fastest scorer whose answers are those of the system's own `score`."""
    if hasattr(system, "prepared"):
        try:
            return Ready(system, store)
        except OptionError:  # this model has no such form
            pass
    return Plain(system)


class Ready:
    """A `Scorer`.

    Parameters
    ----------
    system : with the method `prepared`. store : where rings and tables are.

    Raises
    ------
    OptionError
        The system has no prepared form.
    """

    def __init__(self, system: Any, store: Store) -> None:
        self.store, self.items = store, Items(known_items(system))
        self.prepared: Prepared = system.prepared()
        if self.prepared.asking.hashes:
            raise OptionError("ready: ids of items are hashed, so strange ones have vectors of their own.")
        self.columns = [c.name for c in self.prepared.ranker.features.of("event")]
        last = self.prepared.ranker.features.last
        self.last = None if last is None else last + ROOM
        self.derived: Derived | None = None
        self._tables: BucketTables | None = None
        short = self._short()
        if short is not None:
            self.last = short + SPARE
            self._tables = BucketTables(serving.nobody(self.prepared.ranker), self._events)
            self.derived = Derived(store, self._tables)

    def _short(self) -> int | None:
        """Last events that are attended to beside a table; None where there can be none."""
        if self.prepared.ranker.features.last is not None:
            return None
        short = [0]
        for one in self.prepared.readings:
            if isinstance(one, Attend) and one.unit.last is not None:
                short.append(one.unit.last)
            elif not isinstance(one, Buckets):
                return None
        return max(short) if any(isinstance(one, Buckets) for one in self.prepared.readings) else None

    # -- tables -------------------------------------------------------------------------------------------------------

    def follow(self, moved: Mapping[str, Moved]) -> None:
        """Move the tables of these users on."""
        if self.derived is not None and moved:
            self.derived.follow(moved)

    def prepare(self) -> None:
        """Make the tables of all users who have none of now."""
        if self.derived is not None:
            self.derived.build(self.store.users())

    def _events(self, lists: Sequence[Sequence[Entry]]) -> tuple[np.ndarray, np.ndarray]:
        """Signatures and vectors of all events in turn."""
        past = self.past([e for events in lists for e in events], cut=False)
        hashed = next(one for one in self.prepared.readings if isinstance(one, Buckets))
        return hashed.signatures(past), past.vectors

    def past(self, events: Sequence[Entry], *, cut: bool = True) -> Past:
        """A history as the model reads it."""
        given = {
            name: [e.kind or None for e in events] if name == "kind" else [e.content.get(name) for e in events]
            for name in self.columns
        }
        time = None if not events or events[0].time == TIMELESS else [e.time for e in events]
        return self.prepared.past([e.item for e in events], time=time, columns=given, cut=cut)

    # -- Scorer -------------------------------------------------------------------------------------------------------

    def score(self, questions: Sequence[Question]) -> list[np.ndarray]:
        return [self._score(q) for q in questions]

    def _score(self, question: Question) -> np.ndarray:
        table, events = None, question.events
        if self._tables is not None and question.revision is not None and question.user is not None:
            held = self._held(question.user, question.revision)
            table, events = held.table, self._recent(question, held)
        rows = self.prepared.catalogue.rows(question.candidates)
        context = asking.context([question]) if question.context else None
        found = self.prepared.answer(self.past(events), rows, table=table, user=question.user, context=context)
        return found.astype(np.float64)

    def _held(self, user: str, revision: int) -> Held:
        """The user's table at that revision of the ring, or, where it has moved on meanwhile, at the present one."""
        assert self.derived is not None
        assert self._tables is not None
        (kept,) = self.store.derived(self._tables.version, [user], [revision])
        return self._tables.load(self.derived.read([user])[0] if kept is None else kept)

    def _recent(self, question: Question, held: Held) -> Sequence[Entry]:
        """The last events of those that the table holds."""
        assert self.last is not None
        events = question.events
        shown = bool(events) and "label" in events[0].content and held.plain > 0
        if shown or len(events) < min(self.last - SPARE + 1, held.table.events):
            # among the last there were too many of the other kind
            events = behaviour([k.entry for k in self.store.user(str(question.user)).ring])
        return events
