"""What changes while a world runs, and copies of it that share every column until one of them writes it."""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ethogram.errors import WorldError, unknown
from ethogram.text.table import TextTable
from ethogram.world.agenda import Agenda, Command
from ethogram.world.calendar import Calendar
from ethogram.world.columns import UID, WAKE
from ethogram.world.declared import BUILT_IN, DEMOTE, PROMOTE, Declared, built_in
from ethogram.world.draws import Draws
from ethogram.world.mapped import Stored, owned
from ethogram.world.minds import Overlay
from ethogram.world.state import Frozen, State
from ethogram.world.tape import Tape


@dataclass
class Live:
    """The state of a run.

    Attributes
    ----------
    shared : columns that a snapshot, a fork or a file also holds. stored : large columns as the newest checkpoint has
    them. draws : random numbers. overlay : minds. policies : vector policies; those that learn are this run's own.
    tick : the next tick. texts : what columns of codes stand for. commanded : commands that were done at this tick and
    are not logged yet.
    seconds, decisions : what each part of the work took, and how many decisions of each source there were.
    """

    arrays: dict[str, np.ndarray]
    draws: Draws
    calendar: Calendar
    agenda: Agenda
    tape: Tape
    overlay: Overlay
    policies: dict[str, Any]
    tick: int = 0
    shared: set[str] = field(default_factory=set)
    stored: dict[str, Stored] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    decisions: Counter[str] = field(default_factory=Counter)
    commanded: list[Command] = field(default_factory=list)
    broken: str = ""
    texts: TextTable = field(default_factory=TextTable)
    plain: bool = True
    "Whether identities are the row numbers."

    def __post_init__(self) -> None:
        self.dated(self.calendar)

    def dated(self, calendar: Calendar) -> None:
        """Take a calendar over the column of wake ticks, which is this run's own when it is written."""
        # bound to what holds the columns, not to this object: `at_once` gives it other ones
        calendar.own = partial(owned, self.arrays, WAKE, self.shared, self.stored)
        self.calendar = calendar

    @classmethod
    def begin(cls, arrays: dict[str, np.ndarray], world: Declared, seed: int, tape: Tape, agenda: Agenda) -> Live:
        policies = {n: own(p) for n, p in world.policies.items()}
        made = cls(arrays, Draws(seed), Calendar(arrays[WAKE]), agenda, tape, Overlay(world.minds), policies)
        made.plain = bool((arrays[UID] == np.arange(len(arrays[UID]))).all())
        return made

    def frozen(self, tick: int | None = None) -> Frozen:
        """The state as everybody sees it at the beginning of a tick."""
        return Frozen(self.arrays, self.tick if tick is None else tick, self.draws, self.texts)

    def writable(self, world: Declared, tick: int | None = None) -> State:
        """The state for effects of a tick."""
        now = self.tick if tick is None else tick

        def schedule(name: str, after: int, arguments: dict[str, Any]) -> None:
            if after < 1:
                raise WorldError(f"schedule '{name}' after {after} ticks; give 1 or more.")
            check(name, world)
            self.agenda.inner(Command(name, arguments, "world"), now + int(after))

        def wake(rows: np.ndarray, ticks: Any) -> None:
            self.calendar.set(rows, now, ticks)

        return State(self.arrays, now, self.draws, self.shared, wake, schedule, self.texts, self.stored)

    def do(self, command: Command, world: Declared) -> None:
        """Do a command now."""
        check(command.name, world)
        state = self.writable(world)
        arguments = dict(command.arguments)
        if command.name == PROMOTE:
            self.overlay.put(self.row(_whom(command)), str(arguments.get("kind")), arguments.get("persona", {}))
        elif command.name == DEMOTE:
            row = self.row(_whom(command))
            self.overlay.of(row)
            del self.overlay.held[row]
        elif command.name in BUILT_IN:
            built_in(command.name, state, arguments, list(world.policies))
        else:
            made = world.commands[command.name]
            try:
                inspect.signature(made).bind(state, **arguments)
            except TypeError as error:
                raise WorldError(f"command '{command.name}': {error}.") from None
            made(state, **arguments)

    def at_once(self, command: Command, world: Declared) -> None:
        """Do a command now, whole or not at all."""
        shared, before = set(self.shared), self.copy(minds=False)
        try:
            self.do(command, world)
        except BaseException:
            keep = {n: getattr(self, n) for n in ("tape", "agenda", "seconds", "decisions")}
            self.__dict__.update(before.__dict__ | keep)
            raise
        self.shared &= shared  # what was kept to return to is gone
        self.commanded.append(command)

    def settle(self, world: Declared) -> None:
        """Do all commands that are due; one that cannot be done is dropped, and raises."""
        while (command := self.agenda.take(self.tick)) is not None:
            self.at_once(command, world)

    def next(self) -> int | None:
        """The next tick at which anything happens, None where all sleep and nothing is planned."""
        found = [t for t in (self.calendar.next(), self.agenda.next()) if t is not None]
        if self.commanded:
            found.append(self.tick)
        return max(self.tick, min(found)) if found else None

    def row(self, uid: int) -> int:
        """The row of a person."""
        uids = self.arrays[UID]
        if 0 <= uid < len(uids) and uids[uid] == uid:
            return int(uid)
        found = np.flatnonzero(uids == uid)
        if not len(found):
            raise WorldError(f"there is no person {uid}; there are {len(uids)}.")
        return int(found[0])

    def copy(self, *, minds: bool = True) -> Live:
        """A branch: columns are shared until written, all else is copied; its tape is in memory.

        Parameters
        ----------
        minds : False shares minds and texts, and leaves the tape out: for a branch in which nobody decides.
        """
        self.shared |= set(self.arrays)
        kinds = self.overlay.kinds
        overlay = Overlay.restore(kinds, self.overlay.kept()) if minds else Overlay(kinds, dict(self.overlay.held))
        return Live(
            dict(self.arrays), self.draws, self.calendar.copy(), self.agenda.copy(),
            Tape(None, list(self.tape.entries) if minds else None), overlay,
            {n: own(p) for n, p in self.policies.items()}, self.tick,
            set(self.shared), dict(self.stored), commanded=list(self.commanded), broken=self.broken,
            texts=self.texts.copy() if minds else self.texts, plain=self.plain,
        )  # fmt: skip


def _whom(command: Command) -> int:
    uid = command.arguments.get("uid")
    if not isinstance(uid, int):
        raise WorldError(f"command '{command.name}' needs uid=, a whole number; it got {uid!r}.")
    return uid


def own(policy: Any) -> Any:
    """A policy that learns, as this run's own; others are shared."""
    return policy.copy() if hasattr(policy, "copy") else policy


def check(name: str, world: Declared) -> None:
    """WorldError where there is no such command."""
    if name not in world.commands and name not in BUILT_IN:
        raise WorldError(unknown("command", name, [*world.commands, *BUILT_IN]))
