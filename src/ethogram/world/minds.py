"""Minds: the few whose acts are thought about one by one, laid over rows of the columns.

A kind of minds is declared with a world: ``minds={"townsman": make}``, where ``make(persona)`` returns something with
``async act(seen) -> Decision``. A mind may also have

    remember(seen, acts)                           change what it knows: `acts` are its decisions, with `granted`
    state() -> dict, restore(dict)                 what it knows beyond its persona, as JSON can hold it
    prompt(seen) -> str                            what its model is told; `World.context` shows it
    async answer(seen, question, schema) -> value  for `World.ask`; must change nothing
    every                                          ticks until it is awake again, 1 if absent
    rests(seen) -> int                             the same, by what is seen; holds where the fallback decided, too

`act` may return several decisions. It changes nothing in the mind, as it may be too late, or be asked again: what it
learned on the way (an importance, a thought, a plan) goes into `Decision.notes`, onto the tape, and comes back in
`remember`. Where a run is repeated (forked, resumed), `act` is not called, and `remember` is given what the tape holds:
minds know again what they knew, without a call to a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ethogram.errors import WorldError, unknown
from ethogram.world.acts import Decision
from ethogram.world.columns import OWN, UID
from ethogram.world.declared import Declared
from ethogram.world.draws import Luck
from ethogram.world.state import Frozen


@dataclass(frozen=True)
class Context:
    """What one mind sees when it decides.

    Attributes
    ----------
    row, uid : who. persona : what is told of this person. state : the frozen state. world : the declaration.
    """

    row: int
    uid: int
    persona: Mapping[str, Any]
    state: Frozen
    world: Declared

    @property
    def tick(self) -> int:
        return self.state.tick

    @property
    def time(self) -> int:
        """Microseconds since 1970."""
        return self.world.time(self.tick)

    @property
    def lm(self) -> Any:
        """The world's language model."""
        if self.world.lm is None:
            raise WorldError("this world has no language model; give World(lm=LM.connect(...)).")
        return self.world.lm

    @property
    def luck(self) -> Luck:
        """This person's random numbers at this tick."""
        return self.state.luck([self.row])

    @property
    def seed(self) -> int:
        """A seed for calls of this person at this tick: the same in every repetition of the run."""
        return int(self.state.draws.words("lm", [self.uid], self.tick)[0, 0] >> 1)

    @property
    def text(self) -> str:
        """What is observed, in words: by the world's `observe`, else the person's own columns."""
        if self.world.observe is not None:
            return self.world.observe(self.state, self.row)
        own = [n for n in self.state if "." not in n and n not in OWN and self.state[n].ndim]
        told = [f"{n}: {self.state[n][self.row]:.4g}" for n in own if self.state[n].ndim == 1]
        facts = [f"{n}: {float(v):.4g}" for n, v in self.state.items() if not v.ndim]
        return "; ".join([*told, *facts])

    def named(self, thing: str) -> list[str]:
        """Names of the things of a kind: as declared, else "thing 0", "thing 1" ..."""
        if thing in self.world.names:
            return list(self.world.names[thing])
        n = self.state.people if thing == "people" else self.state.size(thing)
        return [f"{thing} {i}" for i in range(n)]


class Mind(Protocol):
    """See the module."""

    async def act(self, seen: Context) -> Decision | Sequence[Decision]:
        """Decide, seen the frozen state. What was decided at the same tick by others cannot be seen."""
        ...


@dataclass
class Held:
    """A mind in its place, and what it was made from."""

    kind: str
    persona: Mapping[str, Any]
    mind: Any

    def kept(self) -> dict[str, Any]:
        """As JSON can hold it."""
        state = self.mind.state() if hasattr(self.mind, "state") else None
        return {"kind": self.kind, "persona": dict(self.persona), "state": state}


@dataclass
class Overlay:
    """Minds by row."""

    kinds: Mapping[str, Any]
    held: dict[int, Held] = field(default_factory=dict)

    def put(self, row: int, kind: str, persona: Mapping[str, Any], state: Any = None) -> None:
        """Lay a new mind over a row; WorldError for a kind that was not declared."""
        if kind not in self.kinds:
            raise WorldError(unknown("kind of minds", kind, self.kinds))
        mind = self.kinds[kind](dict(persona))
        if state is not None:
            mind.restore(state)
        self.held[row] = Held(kind, dict(persona), mind)
        self.held = dict(sorted(self.held.items()))

    def of(self, row: int) -> Held:
        if row not in self.held:
            raise WorldError(
                f"row {row} has no mind (it follows a vector policy); promote it: world.promote({row}, kind). "
                f"Rows with minds: {', '.join(map(str, list(self.held)[:10])) or 'none'}."
            )
        return self.held[row]

    def kept(self) -> dict[str, Any]:
        return {str(row): held.kept() for row, held in self.held.items()}

    @classmethod
    def restore(cls, kinds: Mapping[str, Any], kept: Mapping[str, Any]) -> Overlay:
        made = cls(kinds)
        for row, one in kept.items():
            made.put(int(row), one["kind"], one["persona"], one["state"])
        return made


def context(row: int, held: Held | None, seen: Frozen, world: Declared) -> Context:
    """What a row sees now."""
    persona = held.persona if held else {}
    return Context(int(row), int(seen[UID][row]), persona, seen, world)
