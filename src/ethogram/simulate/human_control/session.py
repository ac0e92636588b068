"""`Session`: a simulation and the people who steer it; everything that is commanded stands in its journal.

What changes the world goes through `World.intervene` and so is an event of the run; what only looks (questions,
interviews, evaluations) stands in the journal alone: a simulation that is changed by being looked at is another one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ethogram.errors import OptionError, WorldError
from ethogram.simulate.human_control import controls  # noqa: F401  registers the commands
from ethogram.simulate.human_control.habits import world
from ethogram.simulate.human_control.registry import QUESTIONS, find
from ethogram.simulate.human_control.scenario import Scenario
from ethogram.world import World


@dataclass
class Session:
    """A simulation that is steered by commands.

    Attributes
    ----------
    scenario : what is simulated; None until a scriptwriter has said it. world : None until it has begun.
    seed, minds, lm, deadline : of the world. journal : every command, in order. stops : ticks at which it pauses.

    Examples
    --------
    >>> session = Session(Scenario(habit="cycling", people=50, until=20))
    >>> _ = session.do("begin"), session.do("step", ticks=5), session.do("edit_norm", quota=0)
    >>> [entry["control"] for entry in session.journal]
    ['begin', 'step', 'edit_norm']
    """

    scenario: Scenario | None = None
    seed: int = 0
    minds: int = 0
    lm: Any = None
    deadline: float | None = None
    world: World | None = None
    journal: list[dict[str, Any]] = field(default_factory=list)
    stops: set[int] = field(default_factory=set)
    first: Scenario | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.first = self.scenario

    def do(self, name: str, /, by: str = "", **arguments: Any) -> Any:
        """Do a command, whole or not at all; it is in the journal when it was done.

        Raises
        ------
        UnknownName, OptionError
            No such command, or an argument that it does not take. WorldError: it cannot be done now.
        """
        command = find(name)
        given = command.checked(arguments)
        at = self.world.tick if self.world is not None else None
        found = command.function(self, **given)
        self.journal.append(
            {"control": name, "arguments": _plain(given), "by": by or command.who[0], "tick": at,
             "changes": command.changes, **{q: list(getattr(command, q)) for q in QUESTIONS}}
        )  # fmt: skip
        return found

    @property
    def running(self) -> World:
        """The world; WorldError where it has not begun."""
        if self.world is None:
            raise WorldError("the simulation has not begun; do('begin') first.")
        return self.world

    def begin(self) -> World:
        """The world at its beginning."""
        if self.scenario is None:
            raise OptionError("there is no scenario; do('compile', text=...) or give Session(Scenario(...)).")
        self.world = world(self.scenario, seed=self.seed, minds=self.minds, lm=self.lm, deadline=self.deadline)
        return self.world

    def again(self) -> Session:
        """Everything that changed something, done once more from the beginning."""
        made = Session(self.first, self.seed, self.minds, self.lm, self.deadline)
        for entry in self.journal:
            if entry["changes"]:
                made.do(entry["control"], by=entry["by"], **entry["arguments"])
        return made

    def write(self, path: str | Path) -> Path:
        """The journal as lines of JSON."""
        place = Path(path)
        place.write_text("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in self.journal), "utf-8")
        return place


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON can hold it; what it cannot (a log) is told by its kind."""
    made = {}
    for name, value in arguments.items():
        try:
            made[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            made[name] = f"<{type(value).__name__}>"
    return made
