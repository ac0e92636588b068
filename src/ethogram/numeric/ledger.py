"""What a system has read, kept with it, so that it can go on from there when more is known.

Sums over people (co-occurrence, transitions) cannot be continued from their results alone: what a user did before
decides what their next event adds. A ledger holds the training events as they were read, user by user; `extended` puts
later ones behind them, with new users and new items, and the system learns from the whole as it would from a log of
both. It costs 20 bytes an event (8 for each clock) where the system is saved, nothing before: the columns are those of
the log, which may be mapped from its files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, StepError
from ethogram.log import Histories, Log, Sequences, Vocabulary, facts, kernels
from ethogram.numeric.known import Known
from ethogram.verbs import State

CLOCKS = ("time", "order")


@dataclass(frozen=True, eq=False)
class Ledger:
    """Whole histories, one for each user, users one after another.

    Attributes
    ----------
    rows : columns item and clocks of all users with behaviour.
    """

    rows: Sequences

    @classmethod
    def of(cls, log: Log) -> Ledger:
        """The behaviour of a training log."""
        done = log.histories()
        keep = done.lengths > 0
        columns = {n: done.columns[n] for n in ("item", *CLOCKS) if n in done.columns}
        kept = done[keep]
        if kept.span is None and len(kept):
            places, offsets = kept.flat()
            columns = {n: np.asarray(c)[places] for n, c in columns.items()}
        else:
            offsets = np.append(kept.start, kept.stop[-1:]) if len(kept) else np.zeros(1, np.int64)
        return cls(Sequences(kept.users, offsets, columns, done.vocabularies).canonical())

    @property
    def histories(self) -> Histories:
        """One for each user, in order of their codes."""
        return Histories.at(self.rows, self.rows.users)

    def known(self) -> Known:
        """Items, users, counts and repeats of what was read."""

        def repeats() -> float:
            rows = self.rows
            found, _ = facts.met_before(rows.offsets, rows.starts, np.asarray(rows.columns["item"]))
            return float(np.mean(found)) if len(found) else 0.0

        return Known.read(self.histories, repeats)

    def extended(self, log: Log) -> Ledger:
        """With the behaviour of another log, none of which is earlier than what its user has here.

        Raises
        ------
        StepError
            The log has other clocks, or events earlier than some that were read before.
        """
        more = Ledger.of(log).rows
        if set(more.columns) != set(self.rows.columns):
            raise StepError(
                f"update: the log has {', '.join(more.columns)}, what was read before {', '.join(self.rows.columns)}."
            )
        known = {n: self.rows.vocabularies[n] for n in ("user", "item")}
        whole = {n: known[n].extend(more.vocabularies[n].ids) for n in known}
        user = np.concatenate([self.rows.user, more.vocabularies["user"].codes_in(whole["user"])[more.user]])
        place = np.append(more.vocabularies["item"].codes_in(whole["item"]), -1)
        columns = {
            n: np.concatenate([np.asarray(c), np.asarray(more.columns[n])]) for n, c in self.rows.columns.items()
        }
        columns["item"][len(self.rows) :] = place[np.asarray(more.columns["item"])]
        clocks = [columns[c] for c in CLOCKS if c in columns]
        order, offsets = kernels.sort_events(user, clocks, len(whole["user"]))
        self._later(user, order, offsets)
        there = np.flatnonzero(np.diff(offsets))
        ends = np.append(offsets[there], offsets[-1])
        rows = Sequences(there.astype(np.int32), ends, {n: c[order] for n, c in columns.items()}, whole)
        return Ledger(rows.canonical())

    def _later(self, user: np.ndarray, order: np.ndarray, offsets: np.ndarray) -> None:
        new = order >= len(self.rows)
        owner = user[order]
        # a new row before an old one of the same user came too late; equal times are one group in any order
        early = np.flatnonzero(new[:-1] & ~new[1:] & (owner[:-1] == owner[1:]))
        if len(early):
            raise StepError(
                f"update: events of {len(np.unique(owner[early])):,} users are earlier than what was learned from "
                "them; fit anew on the whole log."
            )

    def state(self) -> State:
        """As data."""
        arrays = {n: np.ascontiguousarray(c) for n, c in self.rows.columns.items()}
        frame = {"users": self.rows.users, "offsets": self.rows.offsets}
        tables = {n: pa.table({n: self.rows.vocabularies[n].ids}) for n in ("user", "item")}
        return State({**arrays, **{f"@{n}": np.asarray(a) for n, a in frame.items()}}, tables)

    @classmethod
    def restore(cls, state: State) -> Ledger:
        """From data."""
        arrays = {n: np.asarray(a) for n, a in state.arrays.items()}
        known = {n: Vocabulary(t.column(n)) for n, t in state.tables.items()}
        columns = {n: a for n, a in arrays.items() if not n.startswith("@")}
        return cls(Sequences(arrays["@users"], arrays["@offsets"], columns, known))


def remembered(system: Any, log: Log) -> Ledger:
    """The ledger of a fitted system with what is new.

    Raises
    ------
    OptionError
        It was fitted without `remember`.
    """
    ledger: Ledger | None = system.fitted.ledger
    if ledger is None:
        raise OptionError(
            f"{system.info.key}: to be updated, a system has to keep what it read; fit it with remember=True."
        )
    return ledger.extended(log)
