"""What became of what was shown: later events joined to decisions, in the order of the ledger.

A decision is an entry of kind ``decision`` whose content has `candidates`, item ids in the order shown. An event of the
same user answers it where it names it (`decision_id`), or where it is of one of its items and the decision is the
latest such: if it happened within the attribution window. Its answer is its own `label`, 0 or 1, else 1.

Time is that of the ledger: the latest time of any entry so far. A decision is closed when the window has passed by
it, or when all its candidates have a label of their own; in the order of their times, whatever their answers' order.
Everything follows from the entries alone, so that two who read the same ledger close the same decisions at the same
entries, wherever they stopped and went on in between (`state`, `restore`).
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ethogram.errors import OptionError, StateError
from ethogram.serve.state import Entry, Kept

DECISION = "decision"
NEVER = -(2**63)
_decoder = msgspec.msgpack.Decoder(
    tuple[int, list[tuple[int, str, str, str | None, str, int, dict[str, Any], list[float | None]]]]
)


class Slate(NamedTuple):
    """A closed decision: its entry, and float32 answers of its candidates, 0 where none came."""

    kept: Kept
    label: np.ndarray

    @property
    def candidates(self) -> list[str]:
        return list(self.kept.entry.content["candidates"])


class Joined(NamedTuple):
    """What an entry did: the decision that it answers, if any, and the decisions that were closed by it."""

    decision: Kept | None
    closed: list[Slate]


@dataclass(order=True)
class _Open:
    time: int
    seq: int
    kept: Kept = field(compare=False)
    labels: list[float | None] = field(compare=False)

    @property
    def answered(self) -> bool:
        return None not in self.labels

    @property
    def slate(self) -> Slate:
        return Slate(self.kept, np.array([label or 0.0 for label in self.labels], np.float32))


class Joiner:
    """Takes entries one by one.

    Parameters
    ----------
    window : microseconds within which an event answers a decision. kinds : of events that are answers; None for all.
    """

    def __init__(self, window: int, *, kinds: Collection[str] | None = None) -> None:
        if window <= 0:
            raise OptionError(f"attribution window: {window} microseconds are no time; give more than 0.")
        self.window, self.kinds = window, None if kinds is None else frozenset(kinds)
        self.clock = NEVER
        self._queue: list[_Open] = []
        self._open: dict[str, _Open] = {}
        self._of: dict[str, list[_Open]] = {}

    def __len__(self) -> int:
        """Decisions that are open."""
        return len(self._queue)

    def take(self, kept: Kept) -> Joined:
        """The next entry of the ledger."""
        entry, answered = kept.entry, None
        if entry.kind == DECISION:
            if shown := entry.content.get("candidates"):
                self._add(_Open(entry.time, kept.seq, kept, [None] * len(shown)))
        else:
            answered = self._answer(entry)
        self.clock = max(self.clock, entry.time)
        closed = []
        while self._queue and (self._queue[0].answered or self._queue[0].time < self.clock - self.window):
            closed.append(self._close().slate)
        return Joined(answered, closed)

    def _add(self, made: _Open) -> None:
        heapq.heappush(self._queue, made)
        self._open[made.kept.entry.id] = made
        self._of.setdefault(made.kept.entry.user, []).append(made)

    def _close(self) -> _Open:
        gone = heapq.heappop(self._queue)
        del self._open[gone.kept.entry.id]
        mine = self._of[gone.kept.entry.user]
        mine.remove(gone)
        if not mine:
            del self._of[gone.kept.entry.user]
        return gone

    def _answer(self, event: Entry) -> Kept | None:
        if event.item is None or (self.kinds is not None and event.kind not in self.kinds):
            return None
        named = event.content.get("decision_id")
        if named is not None:
            found = self._open.get(named) if isinstance(named, str) else None
            able = [found] if found is not None and found.kept.entry.user == event.user else []
        else:
            able = [o for o in reversed(self._of.get(event.user, ())) if o.time <= event.time]
        for one in able:
            shown = one.kept.entry.content["candidates"]
            if event.time <= one.time + self.window and event.item in shown:
                place, label = shown.index(event.item), event.content.get("label", 1)
                label = float(label) if label in (0, 1) else 1.0
                one.labels[place] = max(label, one.labels[place] or 0.0)
                return one.kept
        return None

    def state(self) -> bytes:
        """All that is needed to go on behind the last entry."""
        rows = [(o.seq, *_line(o.kept.entry), o.labels) for o in sorted(self._queue)]
        return msgspec.msgpack.encode((self.clock, rows))

    def restore(self, state: bytes) -> None:
        """The inverse of `state`.

        Raises
        ------
        StateError
        """
        try:
            self.clock, rows = _decoder.decode(state)
        except msgspec.MsgspecError as error:
            raise StateError(f"open decisions: {error}; begin anew.") from None
        self._queue, self._open, self._of = [], {}, {}
        for seq, id, user, item, kind, time, content, labels in sorted(rows, key=lambda row: row[0]):
            self._add(_Open(time, seq, Kept(seq, Entry(id, user, item, kind, time, content)), labels))


def _line(entry: Entry) -> tuple[Any, ...]:
    return entry.id, entry.user, entry.item, entry.kind, entry.time, dict(entry.content)
