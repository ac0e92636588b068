"""Judging what was recorded, case by case."""

from __future__ import annotations

from typing import Protocol, Self, runtime_checkable

from ethogram.log import Log
from ethogram.verbs.system import Table, Watch


@runtime_checkable
class Assesses(Protocol):
    """Judges recorded behaviour, with reasons."""

    def assess(self, log: Log) -> Table:
        """One row per case (a user, or a user's session): columns `user`, then the judgement and its reasons.

        What holds of the whole log is told in the schema's metadata, `summary`: rows as JSON.
        """
        ...


@runtime_checkable
class Assigns(Protocol):
    """Finds groups of cases in a log, and places further cases among them as they come."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Find the groups; a case is a user's session, or a visit where the log has no sessions."""
        ...

    def assign(self, log: Log) -> Table:
        """One row per case: columns `user`, `session`, `cluster` (int32, -1 for none), `probability` of belonging to
        it, `risk` in [0, 1], then whatever the system adds. A case of the fit stands where the fit put it.
        """
        ...

    def cards(self) -> Table:
        """One row per group: columns `cluster`, `size`, `risk`, `flagged`, then what is known of it."""
        ...
