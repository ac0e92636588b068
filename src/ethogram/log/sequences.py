"""Behaviour in memory: compressed sparse rows by user, the form that kernels, models and metrics read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ethogram.log import facts, kernels, room
from ethogram.log.vocabulary import Vocabulary

CLOCKS = ("time", "order")


class Picked(Mapping[str, np.ndarray]):
    """Columns of some of the rows, each copied when it is first read: most readers want item and clock only.

    Parameters
    ----------
    columns : of all rows.
    pick : takes the rows from a column.
    """

    def __init__(self, columns: Mapping[str, np.ndarray], pick: Callable[[np.ndarray], np.ndarray]):
        self._columns, self._pick = columns, pick
        self._made: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._made:
            self._made[name] = self._pick(np.asarray(self._columns[name]))
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, (dict(self.items()),))


@dataclass(frozen=True, eq=False)
class Sequences:
    """All events of all users, sorted by (user, clock), users one after another.

    Attributes
    ----------
    users : int32[U], ascending codes of the users that have events.
    offsets : int64[U + 1]; user ``users[i]`` owns rows ``offsets[i]:offsets[i + 1]``.
    columns : name -> array[N] (or memory map). ``item`` holds int32 codes, ``time`` int64 microseconds UTC,
        ``order`` int64, ``event`` int64 ids; coded text columns int32; numbers float32 with NaN for missing.
    vocabularies : name -> Vocabulary for every coded column, and ``user``.
    """

    users: np.ndarray
    offsets: np.ndarray
    columns: Mapping[str, np.ndarray]
    vocabularies: Mapping[str, Vocabulary]
    _kept: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return int(self.offsets[-1]) if len(self.offsets) else 0

    @property
    def lengths(self) -> np.ndarray:
        """Events per user, int64[U]."""
        return np.diff(self.offsets)

    @property
    def clocks(self) -> tuple[str, ...]:
        """Which of time and order the events have; together they tell equal from later."""
        return tuple(c for c in CLOCKS if c in self.columns)

    @property
    def user(self) -> np.ndarray:
        """Code of each row's user, int32[N]."""
        if "user" not in self._kept:
            self._kept["user"] = facts.repeat(np.asarray(self.users), np.asarray(self.offsets))
        return self._kept["user"]

    @property
    def starts(self) -> np.ndarray:
        """bool[N]: the row begins a new group, that is, a new user or a later clock than the row before."""
        if "starts" not in self._kept:
            clocks = [self.columns[c] for c in self.clocks]
            self._kept["starts"] = kernels.group_starts(self.offsets, clocks)
        return self._kept["starts"]

    @property
    def groups(self) -> np.ndarray:
        """First row of every equal-time group, int64[G]."""
        if "groups" not in self._kept:
            self._kept["groups"] = facts.places(self.starts)
        return self._kept["groups"]

    @property
    def group(self) -> np.ndarray:
        """Number of each row's group, counted over the whole log, int64[N]."""
        if "group" not in self._kept:
            self._kept["group"] = facts.numbered(self.starts)
        return self._kept["group"]

    def find(self, users: np.ndarray) -> np.ndarray:
        """Place of each user code in `users`, -1 where the user has no events; int64."""
        if not len(self.users):
            return np.full(len(users), -1, np.int64)
        if users is self.users:
            return np.arange(len(users))
        place = np.searchsorted(self.users, users)
        place = np.minimum(place, len(self.users) - 1)
        return np.where(self.users[place] == users, place, -1)

    def keep(self, rows: np.ndarray) -> Sequences:
        """The events where `rows` (bool[N]) holds; users left without events disappear."""
        rows = np.asarray(rows, bool)
        if rows.all():
            return self
        counts = kernels.count_kept(self.offsets, rows)
        there = counts > 0
        offsets = np.append(0, np.cumsum(counts[there]))
        return Sequences(
            self.users[there], offsets, Picked(self.columns, lambda c: room.taken(c, rows)), self.vocabularies
        )

    def cut(self, start: np.ndarray, stop: np.ndarray) -> Sequences:
        """Of each user the rows ``start[u]:stop[u]``; users left without events disappear.

        Parameters
        ----------
        start, stop : int64[U], within the user's own rows.
        """
        lengths = stop - start
        if int(lengths.sum()) == len(self):
            return self
        there = np.flatnonzero(lengths > 0)
        start, offsets = start[there], np.append(0, np.cumsum(lengths[there]))
        columns = Picked(self.columns, lambda c: kernels.copy_runs(c, start, offsets))
        return Sequences(self.users[there], offsets, columns, self.vocabularies)

    def before(self, clock: str, value: int) -> np.ndarray:
        """Row behind each user's last event whose clock is less than `value`, int64[U]; rows are sorted by it."""
        asked = np.full(len(self.users), value, np.int64)
        return kernels.strictly_before(self.offsets[:-1], self.offsets[1:], [np.asarray(self.columns[clock])], [asked])

    def with_column(self, name: str, values: np.ndarray, vocabulary: Vocabulary | None = None) -> Sequences:
        """A copy with one more column (the others are shared)."""
        known = dict(self.vocabularies)
        if vocabulary is not None:
            known[name] = vocabulary
        return replace(self, columns={**self.columns, name: values}, vocabularies=known, _kept={})

    def canonical(self) -> Sequences:
        """The same events with the rows of each equal-time group in order of item, then of what else they say.

        Row order inside a group carries no information (a basket may be stored sorted by product), so that
        whatever reads a `Sequences` gives the same answer however the source was stored. Event ids decide only
        between rows that are equal in everything.
        """
        n = len(self)
        if len(self.groups) == n:
            return self
        tied, begins = facts.tied_rows(self.groups, n)
        item = room.taken(self.columns["item"], tied) if "item" in self.columns else room.zeros(len(tied), np.int32)
        moved = kernels.order_in_groups(begins, item, len(tied))
        placed = item if moved is None else room.taken(item, moved)
        same = room.zeros(len(tied), bool)  # the row before is of the same group and item
        same[1:] = placed[1:] == placed[:-1]
        same[begins] = False
        if same.any():
            rows = np.arange(len(tied)) if moved is None else moved
            moved = self._by_content(tied, rows, same)
        if moved is None or (np.diff(moved) == 1).all():
            return self
        order = room.taken(tied, moved)

        def picked(column: np.ndarray) -> np.ndarray:
            if any(column is self.columns[c] for c in self.clocks):
                return column  # equal times are equal in any order
            out = room.empty(n, column.dtype)
            out[:] = column
            out[tied] = room.taken(column, order)
            return out

        return replace(self, columns=Picked(self.columns, picked), _kept=self._frame())

    def _frame(self) -> dict[str, np.ndarray]:
        """What is remembered of users and groups; whatever moves inside groups leaves it."""
        return {k: v for k, v in self._kept.items() if k in ("user", "starts", "groups", "group")}

    def _by_content(self, tied: np.ndarray, order: np.ndarray, same: np.ndarray) -> np.ndarray:
        """`order` of the rows `tied` with runs of rows of one group and item sorted by the other columns.

        Parameters
        ----------
        same : bool, in the new order: the row is of the group and item of the row before.
        """
        run = same.copy()
        run[:-1] |= same[1:]
        places = np.flatnonzero(run)
        rows, which = order[places], np.cumsum(~same[places])
        others = sorted(c for c in self.columns if c not in ("item", "event", *CLOCKS))
        keys = [np.asarray(self.columns[c])[tied[rows]] for c in ("event", *reversed(others)) if c in self.columns]
        order[places] = rows[np.lexsort((*keys, which))]
        return order
