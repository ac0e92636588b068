"""Accounts and what they did, as arrays: read from a log, and refused where they cannot be true.

The log's events are contributions: roles user, time, item (the page) and text (what was added), and, where there are
such columns, `deleted` (text taken away), `comment`, `ns` (namespace, a number; 0 are articles, odd ones talk, 2 and 3
people's own), `sizediff` (characters), `minor`. Its users are the accounts: `created`, `blocked` (null: never banned)
and, to learn from, `parent` (the banned account of the same person before; null: none is known) and `master` (the first
of them).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import RolesError, StepError
from ethogram.log import Vocabulary
from ethogram.verbs import Log

EARLY = 3
"""Contributions of a new account that early detection may read."""
GRACE = 86_400.0
"""Seconds before its creation from which an edit is taken for one: clocks and imports are not exact."""


@dataclass(frozen=True, eq=False)
class Accounts:
    """Accounts, one row each, and their edits by account and time.

    Attributes
    ----------
    ids : names. created, blocked : float64[n] seconds since 1970, NaN where not known. parent : int64[n], row of the
        known account before, -1. master : int64[n], equal for accounts of one person.
    offsets : int64[n + 1], edits of each account. time : float64[N] seconds. page : int32[N], -1 where none is told.
    """

    ids: Vocabulary
    created: np.ndarray
    blocked: np.ndarray
    parent: np.ndarray
    master: np.ndarray
    offsets: np.ndarray
    time: np.ndarray
    page: np.ndarray
    titles: list[str]
    ns: np.ndarray
    sizediff: np.ndarray
    minor: np.ndarray
    added: pa.Array
    deleted: pa.Array
    comment: pa.Array

    def __len__(self) -> int:
        return len(self.created)

    @cached_property
    def names(self) -> list[str]:
        return [str(i) for i in self.ids.ids.to_pylist()]

    @cached_property
    def is_parent(self) -> np.ndarray:
        """bool[n]: banned, and known to have come back."""
        made = np.zeros(len(self), bool)
        made[self.parent[self.parent >= 0]] = True
        return made

    @cached_property
    def kind(self) -> np.ndarray:
        """int[n]: 0 evading (its person came back), 1 malicious (banned; not known to belong to anybody who came back),
        2 benign (never banned, no parent known), 3 the last account of a person who came back."""
        banned = np.isfinite(self.blocked)
        return np.where(self.is_parent, 0, np.where(self.parent >= 0, 3, np.where(banned, 1, 2)))

    @classmethod
    def of(cls, log: Log) -> Accounts:
        """The accounts of a log: those with edits in the order of the log's users, then those without.

        Raises
        ------
        RolesError
            The log has no times, or no table of users with `created` and `blocked`.
        StepError
            An account was banned before it was made, an edit is older than its account, a parent is unknown, was never
            banned, or was banned after its child was made. Told with the first account and how many there are.
        """
        users = _users(log)
        table = log.table()
        if "time" not in table.column_names:
            raise RolesError("ban_evasion reads when edits were made: give the log a column with role time.")
        ids = log.vocabulary("user").extend(users["user"].combine_chunks())
        n = len(ids)
        place = ids.encode(users["user"].combine_chunks())
        created, blocked = (_spread(_seconds(users[c]), place, n) for c in ("created", "blocked"))
        parent = _spread(_rows(users, "parent", ids), place, n, -1).astype(np.int64)
        master = _masters(parent, _spread(_named(users, "master"), place, n, -1).astype(np.int64))
        code = ids.encode(table["user"].combine_chunks())
        time = _seconds(table["time"])
        order = np.lexsort([time, code])
        items = table["item"].combine_chunks().dictionary_encode() if "item" in table.column_names else None
        page = np.full(len(table), -1, np.int32) if items is None else pc.fill_null(items.indices, -1).to_numpy()
        titles = [] if items is None else [str(t) for t in items.dictionary.to_pylist()]
        rows = pa.array(order)
        made = cls(
            ids, created, blocked, parent, master,
            np.concatenate([[0], np.cumsum(np.bincount(code, minlength=n))]), time[order],
            page[order].astype(np.int32), titles, _numbers(table, "ns")[order], _numbers(table, "sizediff")[order],
            _numbers(table, "minor")[order], *(_texts(table, c).take(rows) for c in ("text", "deleted", "comment")),
        )  # fmt: skip
        made._check()
        return made

    def stops(self, rows: np.ndarray, until: np.ndarray, most: int | None = None) -> np.ndarray:
        """End (place in the edits) of what each account had done strictly before an instant, at most `most` edits."""
        found = _before(self.offsets, self.time, np.asarray(rows, np.int64), np.asarray(until, np.float64))
        return found if most is None else np.minimum(found, self.offsets[rows] + most)

    def _check(self) -> None:
        self._refuse(self.blocked < self.created, "was banned before it was made", "swap created and blocked, or null")
        # a comparison with NaN is false: what is not known is no contradiction
        first = np.full(len(self), np.nan)
        some = np.diff(self.offsets) > 0
        first[some] = self.time[self.offsets[:-1][some]]
        self._refuse(first < self.created - GRACE, "has edits from before it was made", "leave them out")
        child = self.parent >= 0
        before = np.where(child, self.blocked[self.parent], np.nan)
        self._refuse(child & np.isnan(before), "has a parent without a time of its ban", "give `blocked` of the parent")
        self._refuse(child & np.isnan(self.created), "has a parent and no time of creation", "give `created`")
        self._refuse(
            self.created <= before, "was made before its parent was banned (no evasion of that ban)",
            "set its `parent` to null",
        )  # fmt: skip

    def _refuse(self, wrong: np.ndarray, what: str, right: str) -> None:
        if wrong.any():
            name = self.names[int(np.flatnonzero(wrong)[0])]
            raise StepError(f"account '{name}' {what}; {int(wrong.sum())} of {len(self)} accounts do. Right: {right}.")


def _users(log: Log) -> pa.Table:
    users = log.users
    lacking = [c for c in ("created", "blocked") if users is None or c not in users.column_names]
    if users is None or lacking:
        raise RolesError(
            f"ban_evasion reads accounts from the log's table of users, which lacks {', '.join(lacking)}: give "
            "Log.open(..., users=table) with user, created, blocked (null: never banned) and, to learn, parent, master."
        )
    for name in ("created", "blocked"):
        if not (pa.types.is_timestamp(users[name].type) or pa.types.is_null(users[name].type)):
            raise RolesError(f"column '{name}' of the users is {users[name].type}; give instants (timestamps).")
    return users


def _rows(users: pa.Table, column: str, ids: Vocabulary) -> np.ndarray:
    """Rows of the accounts that a column names, -1 for null."""
    if column not in users.column_names or pa.types.is_null(users[column].type):
        return np.full(len(users), -1, np.int64)
    named = users[column].combine_chunks().cast(ids.ids.type)
    found = ids.encode(named)
    lost = (found < 0) & named.is_valid().to_numpy(zero_copy_only=False)
    if column == "parent" and lost.any():
        at = int(np.flatnonzero(lost)[0])
        raise StepError(
            f"account '{users['user'][at].as_py()}' names the parent '{named[at].as_py()}', which the table of users "
            f"does not have; {int(lost.sum())} such rows. Right: add its row, or set parent to null."
        )
    return found.astype(np.int64)


def _named(users: pa.Table, column: str) -> np.ndarray:
    """A number for each name in a column (that need not be an account of the table), -1 for null."""
    if column not in users.column_names or pa.types.is_null(users[column].type):
        return np.full(len(users), -1, np.int64)
    return pc.fill_null(users[column].combine_chunks().dictionary_encode().indices, -1).to_numpy().astype(np.int64)


def _masters(parent: np.ndarray, told: np.ndarray) -> np.ndarray:
    """One number per person: what is told joined with what parents imply (a child has its parent's person)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(parent)
    rows, size = np.arange(n), n + int(told.max(initial=-1)) + 1
    a, b = np.r_[rows[parent >= 0], rows[told >= 0]], np.r_[parent[parent >= 0], n + told[told >= 0]]
    joined = coo_matrix((np.ones(len(a)), (a, b)), (size, size))
    return connected_components(joined, directed=False)[1][:n].astype(np.int64)


def _spread(values: np.ndarray, place: np.ndarray, n: int, empty: float = np.nan) -> np.ndarray:
    made = np.full(n, empty)
    made[place] = values
    return made


def _seconds(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    micros = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    known = column.is_valid().to_numpy()
    return np.where(known, pc.fill_null(micros, 0).to_numpy() / 1e6, np.nan)


def _numbers(table: pa.Table, column: str) -> np.ndarray:
    if column not in table.column_names:
        return np.zeros(len(table))
    return pc.fill_null(table[column].cast(pa.float64()), 0.0).to_numpy()


def _texts(table: pa.Table, column: str) -> pa.Array:
    if column not in table.column_names:
        return pa.array([""] * len(table), pa.string())
    made = pc.fill_null(table[column].cast(pa.string()), "").combine_chunks()
    return made.chunk(0) if isinstance(made, pa.ChunkedArray) else made


def _before(offsets: np.ndarray, time: np.ndarray, rows: np.ndarray, until: np.ndarray) -> np.ndarray:
    """For each row the first edit that is not before the instant; NaN is never."""
    limit = np.where(np.isnan(until), np.inf, until)
    low, high = offsets[rows].copy(), offsets[rows + 1].copy()
    while (low < high).any():
        middle = (low + high) // 2
        early = (low < high) & (time[np.minimum(middle, max(len(time) - 1, 0))] < limit)
        late = (low < high) & ~early
        low = np.where(early, middle + 1, low)
        high = np.where(late, middle, high)
    return low
