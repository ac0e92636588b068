"""A scenario: all that a simulation of a habit needs to be told, in the sections of an ODD protocol, checked.

purpose   what it is for, and which habit spreads
entities  how many people, and shares of their groups by attribute
process   innovation, imitation, abandonment: chances per tick (see `habits`)
norms     quota: how many may take the habit up per tick; 0: nobody, null: everybody
input     campaigns: [{"at": tick, "strength": chance}]
schedule  until, length of a tick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ethogram.errors import OptionError, StepError, nearest
from ethogram.log.condition import duration

REQUIRED = ("habit", "people", "until")
SECTIONS = {
    "purpose": ("purpose", "habit"), "entities": ("people", "marginals"),
    "process": ("innovation", "imitation", "abandonment"), "norms": ("quota",), "input": ("campaigns",),
    "schedule": ("until", "length"),
}  # fmt: skip
MOST_PEOPLE, MOST_TICKS = 1_000_000, 10_000
CHANCES = ("innovation", "imitation", "abandonment")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """See the module.

    Raises
    ------
    OptionError
        A value out of range; it names the field and what would be right.
    """

    habit: str
    people: int
    until: int
    purpose: str = ""
    marginals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    innovation: float = 0.01
    imitation: float = 0.3
    abandonment: float = 0.02
    quota: int | None = None
    campaigns: tuple[Mapping[str, float], ...] = ()
    length: str = "1d"

    def __post_init__(self) -> None:
        if not str(self.habit).strip():
            raise OptionError("scenario: habit is empty; say what people take up.")
        for name, most in (("people", MOST_PEOPLE), ("until", MOST_TICKS)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 2 <= value <= most:
                raise OptionError(f"scenario: {name} = {value!r}; give a whole number from 2 to {most:,}.")
        for name in CHANCES:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise OptionError(f"scenario: {name} = {value!r} is no chance; give 0 to 1.")
        if self.quota is not None and (not isinstance(self.quota, int) or self.quota < 0):
            raise OptionError(f"scenario: quota = {self.quota!r}; give 0 or more people per tick, or null.")
        for shock in self.campaigns:
            if set(shock) != {"at", "strength"} or not (shock["at"] >= 0 and 0 <= shock["strength"] <= 1):
                raise OptionError(f"scenario: campaigns: {dict(shock)}; give at (a tick) and strength (0 to 1).")
        for name, shares in self.marginals.items():
            total = sum(shares.values())
            if not shares or min(shares.values()) < 0 or abs(total - 1) > 1e-6:
                raise OptionError(f"scenario: marginals: {name}: shares sum to {total:g}; they must sum to 1.")
        try:
            duration(self.length)
        except StepError as error:
            raise OptionError(f"scenario: length: {error}") from None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Scenario:
        """A scenario from what JSON holds; null is as if a field was not given.

        Raises
        ------
        OptionError
            A field is missing, unknown, or out of range.
        """
        known = {f.name for f in fields(cls)}
        for name in told:
            if name not in known:
                raise OptionError(f"scenario: there is no field '{name}'.{nearest(name, known)}")
        given = {n: v for n, v in told.items() if v is not None}
        if missing := [n for n in REQUIRED if n not in given]:
            raise OptionError(f"scenario: {', '.join(missing)} missing; a scenario needs {', '.join(REQUIRED)}.")
        if "campaigns" in given:
            given["campaigns"] = tuple(given["campaigns"])
        return cls(**given)

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "campaigns": [dict(c) for c in self.campaigns]}

    def sections(self) -> dict[str, dict[str, Any]]:
        """As the sections of an ODD protocol."""
        told = self.json()
        return {name: {f: told[f] for f in own} for name, own in SECTIONS.items()}
