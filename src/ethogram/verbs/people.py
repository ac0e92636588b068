"""Simulating people, and knowing what receivers of messages do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

from ethogram.log import Log
from ethogram.verbs.system import Table, Watch


@runtime_checkable
class Simulates(Protocol):
    """Runs a world of simulated people."""

    def world(self, *, seed: int = 0, minds: int | None = None, lm: Any = None) -> Any:
        """The system's world (`ethogram.world.World`) at its beginning, by the system's options.

        `minds` people are played by the language model `lm` (None: by the system's own rules); None is as many as the
        system has. Raises EthogramError where there are not so many people.
        """
        ...

    def example(self, *, seed: int = 0) -> Any:
        """A small world of the system's own, ready to run: what demonstrations and tests are given."""
        ...

    def plan(self, world: Any) -> Mapping[str, Any] | None:
        """The map that the people of a world live on, as `world.town.Town.json` tells it; None where there is none."""
        ...

    def run(self, world: Any, until: int, *, seed: int = 0) -> Log:
        """What happens in the first `until` ticks of a world, as a log; the world that was given stays as it is.

        Roles `user`, `time`, `kind`, `actor` (how it was decided) and `source`, which begins with "simulated:".
        The same world and seed give the same log, and a longer run begins with the shorter one.
        """
        ...


@runtime_checkable
class Anticipates(Protocol):
    """Knows messages together with what receivers do: the one from the other, in both directions.

    All logs here are logs of messages; see `ethogram.log.messages`.
    """

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from messages and the behaviour that they met."""
        ...

    def anticipate(self, messages: Log, *, known: bool = False) -> Table:
        """What receivers will do.

        Columns `item`, `scene` (null for the message as a whole), `behaviour`, `predicted`, `low`, `high` (80%).
        Behaviour that the log holds is not read; with `known` it is, and only what is missing is predicted.
        """
        ...

    def recognise(self, messages: Log, options: Mapping[Any, Sequence[Any]]) -> Table:
        """Which of several contents a message had, judged by how it was received: item -> options.

        Hidden is a message's empty title, or the empty ones of its scenes; an option is a text, or one text for each
        hidden scene. Messages without options are left out. Columns `item`, `option` (place in its list), `score`
        (higher is more likely), `rank` (from 1).
        """
        ...

    def reasons(self, messages: Log) -> Table:
        """What lies behind a response that was observed.

        Columns `item`, `about` (sentiment, reason), `value`, `share` (probability), `rank` (from 1). No row where the
        system knows nothing of reasons.
        """
        ...
