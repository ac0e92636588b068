"""What a world consists of beside its state: verbs, policies, minds, commands. Never saved; forks share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ethogram.errors import WorldError, unknown
from ethogram.world.actions import Action
from ethogram.world.acts import NOTHING, Acts
from ethogram.world.draws import Luck
from ethogram.world.rules import Rule
from ethogram.world.state import Frozen, State

COMMAND, NOTE = "command", "note"
ENGINE = (NOTHING, COMMAND, NOTE)
"""Verbs that every world has."""
PEOPLE = "people"
OWNER = "world"
"""The policy under whose name the world's own events stand."""
SET, BIND, PROMOTE, DEMOTE = "set", "bind", "promote", "demote"
BUILT_IN = (SET, BIND, PROMOTE, DEMOTE)


class VectorPolicy(Protocol):
    """Decides for many at once.

    May also have ``every: int`` (ticks until its people are awake again, 1 if absent), or ``wait(rows, seen, luck)``
    that returns ticks, one or one each; `copy()`, where it learns during a run; and what `Prepares` says.
    """

    def act(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> Acts | Sequence[Acts] | None:
        """What some of the people do, seen the frozen state. Called with any part of those who are awake: what one
        does must not hang on who else is asked."""
        ...


class Prepares(Protocol):
    """A vector policy that asks a language model before it acts.

    It acts without an answer, too. Where that was for want of budget it says so in ``refused: BudgetSpent | None``, of
    the last `prepare`: a world with ``spent="stop"`` then ends before the tick.
    """

    async def prepare(self, rows: np.ndarray, seen: Frozen, lm: Any) -> list[str]:
        """Ask what is not known yet for all who are awake; notes of what was learned, which are logged."""
        ...

    def recall(self, notes: Sequence[str], rows: np.ndarray, seen: Frozen) -> None:
        """Learn from the notes of a run that is repeated, without asking."""
        ...


Plain = Callable[[np.ndarray, Frozen, Luck], Acts | Sequence[Acts] | None]


class Function:
    """A function as a vector policy; what it carries as attributes (`every`, `wait`) counts."""

    def __init__(self, act: Plain):
        self.__dict__.update(getattr(act, "__dict__", {}))
        self.act = act


@dataclass(frozen=True)
class Declared:
    """See `World` for what each part means."""

    actions: Mapping[str, Action]
    policies: Mapping[str, VectorPolicy]
    minds: Mapping[str, Any]
    commands: Mapping[str, Callable[..., None]]
    names: Mapping[str, Sequence[str]]
    observe: Callable[[Frozen, int], str] | None
    lm: Any
    master: Any
    fallback: str
    deadline: float | None
    spent: str
    batch: int
    workers: int
    sequential: bool
    start: int
    length: int
    run: str
    ids: Any
    reach: Any
    verbs: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    rules: tuple[tuple[Rule, frozenset[int]], ...] = field(default=())
    order: tuple[int, ...] = ()
    "Priority by code of verb."

    def thing(self, verb: str) -> str:
        """What a verb is done on, "" where it needs no object."""
        return self.actions[verb].on if verb in self.actions else ""

    def sizes(self, seen: Frozen) -> dict[str, int | None]:
        """Verb -> number of objects, None where any number is kept."""
        made: dict[str, int | None] = dict.fromkeys(self.verbs)
        for name, action in self.actions.items():
            if action.on:
                made[name] = seen.people if action.on == PEOPLE else seen.size(action.on)
        return made

    def time(self, tick: int) -> int:
        """Microseconds since 1970 at which a tick begins."""
        return self.start + tick * self.length


def checked(
    arrays: Mapping[str, np.ndarray], actions: Sequence[Action], policies: Mapping[str, Any], minds: Mapping[str, Any],
    commands: Mapping[str, Any], **rest: Any,
) -> Declared:  # fmt: skip
    """The declaration, all names of which exist.

    Raises
    ------
    WorldError
        A name is there twice, missing, or is one of the engine's.
    """
    verbs = list(ENGINE)
    things = {n.partition(".")[0] for n in arrays if "." in n} | {PEOPLE}
    for action in actions:
        if action.name in verbs:
            raise WorldError(f"two actions are called '{action.name}' (the engine has {', '.join(ENGINE)}).")
        if action.on and action.on not in things:
            raise WorldError(f"action '{action.name}': " + unknown("thing", action.on, things))
        verbs.append(action.name)
    if len(verbs) > 256:
        raise WorldError(f"{len(verbs)} verbs; there is room for 256.")
    owners = [OWNER, *policies, *minds]
    if twice := {o for o in owners if owners.count(o) > 1}:
        raise WorldError(f"policies and kinds of minds share one list of names; '{min(twice)}' is there twice.")
    if len(owners) > 256:
        raise WorldError(f"{len(owners)} policies and minds; there is room for 256.")
    if taken := [c for c in commands if c in BUILT_IN]:
        raise WorldError(f"command '{taken[0]}' is the engine's own; name yours otherwise.")
    if rest["fallback"] and rest["fallback"] not in policies:
        raise WorldError("fallback: " + unknown("policy", rest["fallback"], policies))
    if rest["spent"] not in ("degrade", "stop"):
        raise WorldError(f"spent='{rest['spent']}': 'degrade' (to the fallback) or 'stop'.")
    if rest["batch"] < 1 or rest["workers"] < 1:
        raise WorldError(f"batch = {rest['batch']} and workers = {rest['workers']} must be 1 or more.")
    rules: dict[int, tuple[Rule, set[int]]] = {}
    for action in actions:
        assert action.rule is not None
        rules.setdefault(id(action.rule), (action.rule, set()))[1].add(verbs.index(action.name))
    made = {name: p if hasattr(p, "act") else Function(p) for name, p in policies.items()}
    order = [0] * len(ENGINE) + [a.priority for a in actions]
    return Declared(
        {a.name: a for a in actions}, made, dict(minds), dict(commands), verbs=tuple(verbs), owners=tuple(owners),
        rules=tuple((r, frozenset(v)) for r, v in rules.values()), order=tuple(order), **rest,
    )  # fmt: skip


def built_in(name: str, state: State, arguments: Mapping[str, Any], policies: Sequence[str]) -> None:
    """Do one of the engine's commands that write columns: `set` and `bind`."""
    if name == SET:
        column, value, rows = (arguments.get(n) for n in ("column", "value", "rows"))
        if rows is None:
            state[str(column)] = value
        else:
            _rows(rows, state, str(column))
            state[str(column)][rows] = value
    else:
        policy, rows = str(arguments.get("policy")), arguments.get("rows")
        if policy not in policies:
            raise WorldError(unknown("policy", policy, policies))
        state["policy"][slice(None) if rows is None else rows] = list(policies).index(policy)


def _rows(rows: Any, state: State, column: str) -> None:
    places, n = np.atleast_1d(rows), len(state[column])
    if len(places) and (places.min() < 0 or places.max() >= n):
        raise WorldError(f"set '{column}': row {places.max()}; there are 0 to {n - 1}.")
