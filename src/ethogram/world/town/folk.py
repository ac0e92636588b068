"""The people of the default town: who they are, where they live and work, what they know at the beginning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ethogram.errors import PersonaError, nearest


@dataclass(frozen=True, kw_only=True)
class Resident:
    """One person of a town.

    Attributes
    ----------
    innate, learned, currently, lifestyle : traits, what has become of them, what is on their mind, how they live.
    home, work : sectors of the town; "" without work. room : the arena of work. hours : of work.
    up : hour at which they usually get up. known : sectors that they know; empty: home, work and all public ones.
    memories : what they remember at the beginning. friends : name to what they are to each other.
    """

    name: str
    age: int
    innate: str
    learned: str
    currently: str
    lifestyle: str
    home: str
    work: str = ""
    hours: tuple[int, int] = (9, 17)
    up: int = 7
    known: tuple[str, ...] = ()
    memories: tuple[str, ...] = ()
    friends: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise PersonaError("a resident needs a name.")
        if not 0 <= self.hours[0] < self.hours[1] <= 24 or not 3 <= self.up <= 11:
            raise PersonaError(f"{self.name}: hours {self.hours} of work, getting up at {self.up} (3 to 11).")

    @property
    def first(self) -> str:
        return self.name.split()[0]

    def text(self) -> str:
        """The person in words, a fact on each line, for a prompt."""
        lines = [f"Name: {self.name}", f"Age: {self.age}", f"Traits: {self.innate}", f"Background: {self.learned}",
                 f"Home: {self.home}", f"Lifestyle: {self.lifestyle}"]  # fmt: skip
        if self.work:
            lines.append(f"Work: {self.work}, from {self.hours[0]}:00 to {self.hours[1]}:00")
        if self.friends:
            lines.append("Knows: " + "; ".join(f"{n} ({w})" for n, w in self.friends.items()))
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From what `json` gives; PersonaError where a field is unknown or missing."""
        names = [f.name for f in fields(cls)]
        for key in told:
            if key not in names:
                raise PersonaError(f"unknown field '{key}' of a resident.{nearest(key, names)}")
        lists = {"hours", "known", "memories"}
        given: dict[str, Any] = {k: tuple(v) if k in lists else v for k, v in told.items()}
        try:
            return cls(**given)
        except TypeError as error:
            raise PersonaError(f"a resident is not whole: {error}.") from None


HOMES = (
    "Millrace House", "Plum Cottage", "Tanner's Row 1", "Tanner's Row 2", "Quay House", "Hillside", "Orchard Lodge",
    "Bridge House", "Old Bakery", "Rosewood", "Gate House", "Weir Cottage", "Signal House",
)  # fmt: skip
PARTY = "There is a party at the Lantern Café on 14 February at 17:00, and everybody is invited."
CANDIDACY = "Tomas Ilves is running for mayor of Ashford Quay this spring."
_CROWD = """
Mara Quill | 34 | warm, quick, generous | keeps the Lantern Café and knows everybody's order | Lantern Café | 8-20 | 6
Tomas Ilves | 52 | earnest, stubborn, fair | keeps the Corner Store and sits on committees | Corner Store | 8-18 | 6
Edda Rahn | 29 | curious, shy, exact | catalogues the Library | Library | 9-17 | 7
Piet Okafor | 41 | patient, dry, loyal | teaches mathematics at the School | School | 8-16 | 6
Lena Varga | 38 | bright, restless, kind | teaches music at the School | School | 8-16 | 6
Samir Dahl | 46 | calm, careful, blunt | is the doctor of the Surgery | Surgery | 8-17 | 6
Odile Marsh | 33 | brisk, cheerful, tidy | is the nurse of the Surgery | Surgery | 8-17 | 6
Bruno Castell | 58 | gruff, honest, proud | builds chairs at the Workshop | Workshop | 8-17 | 6
Nia Fenwick | 24 | eager, clumsy, bold | is the apprentice of the Workshop | Workshop | 8-17 | 7
Hugo Brandt | 49 | formal, witty, slow | is the clerk of the Town Hall | Town Hall | 9-17 | 7
Irene Sato | 61 | gentle, firm, modest | is the retiring mayor | Town Hall | 9-16 | 6
Felix Arden | 22 | dreamy, friendly, late | writes poems and waits at the Lantern Café | Lantern Café | 10-18 | 8
Greta Lindqvist | 27 | sharp, funny, frank | writes the town's newspaper in the Library | Library | 10-18 | 7
Osman Tey | 67 | quiet, watchful, kind | retired from the railway and feeds the ducks | River Park | 10-15 | 6
Clara Boone | 70 | talkative, proud, sweet | retired from the Surgery and grows roses | River Park | 9-14 | 6
Wim Halloran | 36 | hearty, loud, loyal | delivers goods to the Corner Store | Corner Store | 8-17 | 6
Yara Nunes | 31 | intense, tender, driven | paints in the Workshop | Workshop | 10-18 | 8
Anton Reuter | 55 | thorough, shy, polite | tunes pianos and plays at the Lantern Café | Lantern Café | 11-19 | 8
Bea Holloway | 19 | lively, nosy, brave | studies at the Library for her examinations | Library | 9-17 | 7
Kofi Mensah | 20 | relaxed, clever, tidy | studies at the Library to become a nurse | Library | 10-18 | 8
Ruth Ansel | 44 | just, reserved, brave | keeps the archive of the Town Hall | Town Hall | 9-17 | 7
Jonas Pike | 39 | playful, messy, warm | is the gardener of the River Park | River Park | 8-16 | 6
Silvia Roth | 35 | precise, ironic, calm | keeps the books of the Corner Store | Corner Store | 9-17 | 7
Malik Osei | 28 | open, sporty, direct | teaches gymnastics at the School | School | 8-16 | 6
Vera Lund | 63 | stern, musical, loyal | leads the choir and helps in the School | School | 9-14 | 7
"""
"""Name, age, traits, background, place and hours of work, hour of getting up."""


def _crowd() -> list[tuple[str, int, str, str, str, tuple[int, int], int]]:
    made = []
    for row in _CROWD.strip().splitlines():
        name, age, innate, learned, work, hours, up = row.split(" | ")
        first, _, last = hours.partition("-")
        made.append((name, int(age), innate, learned, work, (int(first), int(last)), int(up)))
    return made


def residents(count: int = 25) -> list[Resident]:
    """The first `count` people of the default town, two to a home; the party and the candidacy are known to one each.

    Who shares a home or a place of work knows each other at the beginning.
    """
    people = _crowd()[:count]
    made = []
    for i, (name, age, innate, learned, work, hours, up) in enumerate(people):
        friends = {people[i ^ 1][0]: "shares a home"} if (i ^ 1) < len(people) else {}
        friends |= {p[0]: "works at the same place" for p in people if p[4] == work and p[0] != name}
        currently, memories = f"{name.split()[0]} follows the usual days at {work}.", tuple[str, ...]()
        if name == "Mara Quill":
            currently = f"{name.split()[0]} is the host and wants everybody to come. {PARTY}"
            memories = (PARTY,)
        if name == "Tomas Ilves":
            currently = f"{name.split()[0]} wants the town to know about the election. {CANDIDACY}"
            memories = (CANDIDACY,)
        life = f"gets up at {up}:00, goes to bed at {up + 16}:00"
        made.append(Resident(
            name=name, age=age, innate=innate, learned=f"{name} {learned}.", currently=currently, lifestyle=life,
            home=HOMES[i // 2], work=work, hours=hours, up=up, memories=memories, friends=friends,
        ))  # fmt: skip
    return made
