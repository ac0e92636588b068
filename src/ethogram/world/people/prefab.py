"""People and scenes ready to use: ten seeds for an expansion, and where they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ethogram.errors import OptionError, unknown
from ethogram.world.people.persona import TRAITS, Persona


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where people meet, what happens there, and who takes part.

    Attributes
    ----------
    place : where it is. premise : what has happened before it begins, told to everybody. people : ids of personas.
    norms : what is done there, and what is not. start : hour of the day at which it begins.
    told : persona id to what only that person knows.
    """

    id: str
    place: str
    premise: str
    people: tuple[str, ...]
    norms: tuple[str, ...] = ()
    start: float = 9.0
    told: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.people or len(set(self.people)) < len(self.people):
            raise OptionError(f"scene '{self.id}': people must be one or more different ids.")
        if not 0 <= self.start < 24:
            raise OptionError(f"scene '{self.id}': start = {self.start} is no hour of a day.")
        for who in self.told:
            if who not in self.people:
                raise OptionError(f"scene '{self.id}': told: " + unknown("person", who, self.people))

    def cast(self, people: Sequence[Persona]) -> list[Persona]:
        """The personas that take part, in the order of the scene."""
        known = {p.id: p for p in people}
        for who in self.people:
            if who not in known:
                raise OptionError(f"scene '{self.id}': " + unknown("person", who, known))
        return [known[who] for who in self.people]


def _person(
    id: str, name: str, age: int, job: str, traits: Sequence[float], goals: str, interests: str, style: str,
    attributes: str, constraints: str = "",
) -> Persona:  # fmt: skip
    def listed(text: str) -> tuple[str, ...]:
        return tuple(t.strip() for t in text.split(";") if t.strip())

    return Persona(
        id=id, demographics={"name": name, "age": age, "occupation": job}, style=style, goals=listed(goals),
        traits=dict(zip(TRAITS, map(float, traits), strict=True)), attributes=listed(attributes),
        interests={t: round(1 / (i + 1), 2) for i, t in enumerate(listed(interests))},
        constraints=listed(constraints), provenance={"by": "prefab"},
    )  # fmt: skip


PEOPLE: tuple[Persona, ...] = (
    _person("ines", "Ines Costa", 34, "baker", (3, 4.5, 3.5, 4, 2), "wants to open a second shop", "bread; markets",
            "warm and quick", "gets up before dawn; knows her regulars by name", "never sells yesterday's bread"),
    _person("omar", "Omar Haas", 61, "retired teacher", (4.5, 3.5, 2, 4, 2.5), "wants to finish a local history",
            "local history; birds", "slow and exact", "walks the same path daily; keeps old newspapers"),
    _person("mei", "Mei Tanaka", 22, "student", (4.5, 2.5, 4.5, 3.5, 3), "wants to win the debating cup",
            "politics; films; noodles", "fast, with questions", "rents a room above the bakery; borrows bicycles"),
    _person("viktor", "Viktor Novak", 45, "electrician", (2.5, 4, 2.5, 2.5, 2), "wants to pay off the van",
            "engines; football", "blunt", "fixes the neighbours' heating; arrives on time"),
    _person("priya", "Priya Gupta", 39, "doctor", (3.5, 4.5, 3, 4.5, 3.5), "wants more sleep; hopes to run a marathon",
            "medicine; running", "calm and plain", "works night shifts at the clinic; carries a notebook"),
    _person("noah", "Noah Jensen", 28, "barista", (4, 2, 4, 4, 3), "wants to publish songs", "music; coffee; travel",
            "jokes a lot", "plays the guitar on Fridays; forgets appointments"),
    _person("wanda", "Wanda Zeman", 70, "gardener", (3, 4, 3, 3.5, 2), "wants to save the old orchard",
            "orchards; weather", "tells stories", "grows forty kinds of apples; distrusts forecasts",
            "never uses poison"),
    _person("kofi", "Kofi Usman", 31, "shop owner", (3.5, 3.5, 4, 3, 2.5), "wants to be mayor", "trade; football",
            "confident, with slogans", "greets everybody in the street; reads contracts twice"),
    _person("elif", "Elif Kaya", 17, "pupil", (4.5, 3, 2, 3.5, 4), "wants to study astronomy", "stars; drawing",
            "few words", "draws in every lesson; stays awake for meteor showers"),
    _person("rosa", "Rosa Silva", 52, "librarian", (4, 4.5, 2, 4, 2.5), "wants the library open on Sundays",
            "novels; crosswords", "polite and careful", "remembers who borrowed what; bicycles in any weather",
            "never tells what others read"),
)  # fmt: skip
"""Ten neighbours."""

SCENES: tuple[Scene, ...] = (
    Scene(
        id="bakery", place="the bakery at the square", people=("ines", "mei", "viktor", "noah"), start=7.0,
        premise="The oven broke down in the night and there is bread for half of the regulars.",
        norms=("one queue, no pushing in", "two loaves at most for each customer"),
        told={"viktor": "You could mend the oven, but a paying customer waits at eight."},
    ),
    Scene(
        id="meeting", place="the reading room of the library", people=("rosa", "kofi", "omar", "wanda", "priya"),
        premise="The town asks whether the old orchard may become a car park.", start=18.0,
        norms=("one speaks at a time", "who is absent does not vote"),
        told={"kofi": "The owner of the orchard supports your campaign."},
    ),
    Scene(
        id="watch", place="the hill above the town", people=("elif", "omar"), start=23.0,
        premise="A meteor shower was announced, and clouds come in from the west.",
    ),
)  # fmt: skip
"""Three scenes with them."""


def person(id: str) -> Persona:
    """A prefab person by id."""
    for one in PEOPLE:
        if one.id == id:
            return one
    raise OptionError(unknown("person", id, [p.id for p in PEOPLE]))
