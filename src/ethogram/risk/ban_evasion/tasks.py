"""The questions of a ban's life, as cases with matched controls.

    T1   at the ban         who will come back?       parents; other banned accounts, banned at the same time
    T2   3 edits later      is it a returning one?    (parent, child); (parent, benign account made at the same time)
    T3a  when reported      is it the same person?    (parent, child); (parent, other banned account made then)
    T3b  when reported      whose account is it?      the parent among accounts banned closest before the child was made

A control is made within `CALIPER` of its case, and nearer than half of the time that has passed since the parent's ban:
so it too was made after that ban, and the window is symmetric. Who has no control is left out, with its case, and told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ethogram.errors import StepError
from ethogram.evaluate.matching import match
from ethogram.risk.ban_evasion.accounts import EARLY, Accounts
from ethogram.risk.ban_evasion.pairs import COLUMN_FAMILY, COLUMNS, pair_columns
from ethogram.risk.ban_evasion.profiles import ATTRIBUTES, FAMILY, Idf, Profiles, Reader

CALIPER = 3 * 86_400.0
CANDIDATES = 50
T1, T2, T3A = "T1", "T2", "T3a"


@dataclass(frozen=True, eq=False)
class Task:
    """Rows to learn from or to be judged by.

    Attributes
    ----------
    parent, child : rows of the accounts (child -1 in T1). label : bool[n]. groups : the person behind each case, and
        behind the case of each control: nobody, and no matched pair, stands on both sides of a fold. columns :
        float64[n, d], named by `names`, each of a family.
    matched : float64[n, m], what cases and controls were matched on; it must not tell them apart. alone : cases that
        found no control.
    """

    key: str
    parent: np.ndarray
    child: np.ndarray
    label: np.ndarray
    groups: np.ndarray
    columns: np.ndarray
    names: tuple[str, ...]
    families: tuple[str, ...]
    matched: np.ndarray
    alone: int

    def __len__(self) -> int:
        return len(self.label)

    def of(self, families: Sequence[str]) -> list[int]:
        """Places of the columns of some families."""
        return [i for i, f in enumerate(self.families) if f in families]


class Tasks:
    """Makes the tasks of the accounts of a log; `idf` is what was learned of others before."""

    def __init__(self, accounts: Accounts, idf: Idf | None = None):
        self.accounts = accounts
        self.reader = Reader(accounts)
        own = Idf.learn(self.reader)
        self.idf = own if idf is None else own.joined(idf)
        self.n = np.arange(len(accounts))

    def old(self, rows: np.ndarray) -> Profiles:
        """Banned accounts up to their ban."""
        return self.reader.profiles(rows, self.accounts.stops(rows, self.accounts.blocked[rows]), self.idf)

    def early(self, rows: np.ndarray) -> Profiles:
        """New accounts with their first three edits."""
        forever = np.full(len(rows), np.nan)
        return self.reader.profiles(rows, self.accounts.stops(rows, forever, EARLY), self.idf)

    def reported(self, rows: np.ndarray) -> Profiles:
        """Accounts with everything up to their own ban (all, where there is none)."""
        return self.old(rows)

    def seen(self, key: str, rows: np.ndarray) -> Profiles:
        """New accounts as T2 (`early`) or T3a (`reported`) sees them."""
        return self.early(rows) if key == T2 else self.reported(rows)

    def make(self, key: str) -> Task:
        """One of T1, T2, T3a.

        Raises
        ------
        StepError
            The log has too few cases or controls to match.
        """
        return self._returns() if key == T1 else self._pairs(key)

    def _returns(self) -> Task:
        a = self.accounts
        cases, pool = self.n[a.is_parent], self.n[a.kind == 1]
        made = match(a.blocked[cases], a.blocked[pool], CALIPER)
        self._enough(T1, len(made.cases), "parents", "other banned accounts")
        rows = np.r_[cases[made.cases], pool[made.controls]]
        label = np.arange(len(rows)) < len(made.cases)
        seen = self.old(rows)
        return Task(
            T1, rows, np.full(len(rows), -1), label, np.tile(a.master[rows[label]], 2), seen.numbers, ATTRIBUTES,
            tuple(FAMILY[n] for n in ATTRIBUTES), a.blocked[rows][:, None], len(made.alone),
        )  # fmt: skip

    def _pairs(self, key: str) -> Task:
        a = self.accounts
        cases = self.n[(a.parent >= 0) & (np.isfinite(a.blocked) if key == T3A else True)]
        pool = self.n[(a.kind == (1 if key == T3A else 2)) & np.isfinite(a.created)]
        lag = a.created[cases] - a.blocked[a.parent[cases]]
        made = match(a.created[cases], a.created[pool], CALIPER, reach=lag / 2 / CALIPER)
        self._enough(key, len(made.cases), "children", "accounts made at the same time")
        child = np.r_[cases[made.cases], pool[made.controls]]
        parent = np.tile(a.parent[cases[made.cases]], 2)
        label = np.arange(len(child)) < len(made.cases)
        times = np.column_stack([a.created[child], a.created[child] - a.blocked[parent]])
        return Task(
            key, parent, child, label, a.master[parent], self.columns(key, parent, child), COLUMNS, COLUMN_FAMILY,
            times, len(made.alone),
        )  # fmt: skip

    def columns(self, key: str, parent: np.ndarray, child: np.ndarray) -> np.ndarray:
        """Columns of pairs as T2 (first three edits of the child) or T3a (all up to its report) sees them."""
        old, i = np.unique(parent, return_inverse=True)
        new, j = np.unique(child, return_inverse=True)
        return checked_columns(key, self.old(old), self.seen(key, new), i, j, self.idf)

    def candidates(self, child: np.ndarray, among: np.ndarray, k: int = CANDIDATES) -> np.ndarray:
        """The true parent first, then the accounts banned closest before each child was made; int64[n, k], -1 where
        there are no more."""
        a = self.accounts
        order = among[np.argsort(a.blocked[among], kind="stable")]
        end = np.searchsorted(a.blocked[order], a.created[child], "left")
        found = np.full((len(child), k), -1, np.int64)
        found[:, 0] = a.parent[child]
        for row, (true, stop) in enumerate(zip(a.parent[child].tolist(), end.tolist(), strict=True)):
            near = order[max(0, stop - k) : stop][::-1]
            near = near[near != true][: k - 1]
            found[row, 1 : 1 + len(near)] = near
        return found

    @staticmethod
    def _enough(key: str, pairs: int, cases: str, controls: str) -> None:
        if pairs < 20:
            raise StepError(
                f"ban_evasion {key}: {pairs} of the log's {cases} have a control ({controls}); it takes 20 or more. "
                "Give more accounts of both kinds, over the same time."
            )


def checked_columns(key: str, old: Profiles, new: Profiles, i: np.ndarray, j: np.ndarray, idf: Idf) -> np.ndarray:
    """`pair_columns`, after it was made sure that early detection sees no more than it may.

    Raises
    ------
    StepError
        A profile of a new account holds more than three edits in T2.
    """
    if key == T2 and (new.count > EARLY).any():
        at = int(np.flatnonzero(new.count > EARLY)[0])
        raise StepError(
            f"early detection reads {EARLY} edits of a new account; the profile of '{new.names[at]}' holds "
            f"{int(new.count[at])}. Right: make it with Tasks.early, or ask T3a."
        )
    return pair_columns(old, new, i, j, idf)
