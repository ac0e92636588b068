"""Sending prompts to models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

from ethogram.log import Log
from ethogram.verbs.system import Table, Watch


@runtime_checkable
class Routes(Protocol):
    """Sends each prompt to the model of a library that will do best on it, as far as its user's wishes allow."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from runs of the library: an event is a prompt (`text`) put to a model (`item`), its loss (`value`).

        `user` names the prompt; not every model must have been asked. The log's items table is the library: what is
        known of each model.
        """
        ...

    def route(self, prompts: Sequence[str], *, flags: Sequence[str] = ()) -> Table:
        """The library ranked for each prompt; rank 1 is where it goes.

        Columns `question` (int64), `model`, `rank` (null where a constraint removed the model), `predicted` (loss),
        `penalty` (of the wishes), `score` (their sum, lower is better), `why`. Rows by question, then rank.
        `flags` are wishes for all prompts; those that a prompt holds itself are added and taken out of its text.
        """
        ...
