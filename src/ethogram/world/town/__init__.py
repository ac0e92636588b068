"""A small town to live in: world > sector > arena > object over a grid of tiles, and who may be where.

    town = default_town()                    # `plans`: homes, shops, a park, for 25 people
    town.address(tile), town.step(a, b)      # where a tile is, and the next tile on a shortest path
    Town.read("town.json")                   # {"name", "width", "height", "walls": ["####", "#..#"], "sectors": [...]}

A sector is ``{"name", "arenas": [...]}``; an arena ``{"name", "box": [x0, y0, x1, y1], "room", "opens", "closes",
"private", "objects": [{"name", "x", "y"}]}``, the box without its walls, its ends within. `room` is how many may be in
there (0: any number), `opens` and `closes` are hours (equal: always open), `private` that only those who belong there
may enter. Tiles of no arena are outdoors. `living` puts people into it: what a `World` of the town is made of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.errors import WorldError, unknown

OUTDOORS = -1


@dataclass(frozen=True)
class Arena:
    """A room or another part of a sector; see the module."""

    name: str
    sector: str
    box: tuple[int, int, int, int]
    room: int = 0
    opens: float = 0.0
    closes: float = 0.0
    private: bool = False

    def open(self, hour: float) -> bool:
        """Whether it is open to the public at an hour of the day (an hour before it closes is within)."""
        if self.private:
            return False
        if self.opens == self.closes:
            return True
        if self.opens < self.closes:
            return self.opens <= hour < self.closes
        return hour >= self.opens or hour < self.closes


@dataclass(frozen=True)
class Thing:
    """An object of an arena, and the tile where one stands to use it."""

    name: str
    arena: int
    tile: int


@dataclass
class Town:
    """See the module.

    Attributes
    ----------
    solid : bool[tiles], what cannot be walked on. arena_of : int16[tiles], place in `arenas` or OUTDOORS.
    """

    name: str
    width: int
    height: int
    arenas: list[Arena]
    objects: list[Thing]
    solid: np.ndarray
    arena_of: np.ndarray
    _next: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)

    @property
    def sectors(self) -> list[str]:
        return list(dict.fromkeys(a.sector for a in self.arenas))

    def tile(self, x: int, y: int) -> int:
        return y * self.width + x

    def spot(self, tile: int) -> tuple[int, int]:
        """(x, y)."""
        return tile % self.width, tile // self.width

    def arenas_in(self, sector: str) -> list[int]:
        return [i for i, a in enumerate(self.arenas) if a.sector == sector]

    def objects_in(self, arena: int) -> list[int]:
        return [i for i, o in enumerate(self.objects) if o.arena == arena]

    def place(self, sector: str, arena: str = "") -> int:
        """The place of an arena in `arenas`; without a name the sector's first."""
        if sector not in self.sectors:
            raise WorldError(unknown("sector", sector, self.sectors))
        own = self.arenas_in(sector)
        names = [self.arenas[i].name for i in own]
        if arena and arena not in names:
            raise WorldError(f"sector '{sector}': " + unknown("arena", arena, names))
        return own[names.index(arena)] if arena else own[0]

    def title(self, arena: int) -> str:
        """An arena in words."""
        if arena == OUTDOORS:
            return "the street"
        return f"{self.arenas[arena].name} of {self.arenas[arena].sector}"

    def address(self, tile: int) -> str:
        """``town:sector:arena`` of a tile; ``town`` outdoors."""
        arena = int(self.arena_of[tile])
        if arena == OUTDOORS:
            return self.name
        return f"{self.name}:{self.arenas[arena].sector}:{self.arenas[arena].name}"

    def object_address(self, one: int) -> str:
        return f"{self.address(self.objects[one].tile)}:{self.objects[one].name}"

    def step(self, here: int, there: int) -> int:
        """The next tile on a shortest path; `here` itself where one is there.

        Raises
        ------
        WorldError
            There is no way.
        """
        if here == there:
            return here
        if (here, there) not in self._next:
            from ethogram.world.town.paths import path

            way = path(self.solid, self.width, here, there)
            if way is None:
                raise WorldError(f"there is no way from {self.address(here)} to {self.address(there)}.")
            for a, b in pairwise(way):
                self._next.setdefault((a, there), b)
        return self._next[here, there]

    def json(self) -> dict[str, Any]:
        """As a file holds it."""
        told = []
        for sector in self.sectors:
            arenas = []
            for i in self.arenas_in(sector):
                a = self.arenas[i]
                objects = [
                    {"name": self.objects[o].name, **dict(zip("xy", self.spot(self.objects[o].tile), strict=True))}
                    for o in self.objects_in(i)
                ]
                arenas.append({
                    "name": a.name, "box": list(a.box), "room": a.room, "opens": a.opens, "closes": a.closes,
                    "private": a.private, "objects": objects,
                })  # fmt: skip
            told.append({"name": sector, "arenas": arenas})
        rows = self.solid.reshape(self.height, self.width)
        walls = ["".join("#" if s else "." for s in row) for row in rows.tolist()]
        return {"name": self.name, "width": self.width, "height": self.height, "walls": walls, "sectors": told}

    @classmethod
    def of(cls, told: Mapping[str, Any], where: str = "town") -> Town:
        """A town from what `json` gives.

        Raises
        ------
        WorldError
            A field is missing or of another kind, a name is there twice, something lies outside or in a wall.
        """
        try:
            return _built(told)
        except KeyError as error:
            raise WorldError(f"{where}: the field {error} is missing.") from None
        except (TypeError, ValueError) as error:
            raise WorldError(f"{where} is not as a town is written: {error}.") from None
        except WorldError as error:
            raise WorldError(f"{where}: {error}") from None

    @classmethod
    def read(cls, path: str | Path) -> Town:
        """The town of a JSON file; WorldError where it is none."""
        try:
            told = json.loads(Path(path).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise WorldError(f"{path} cannot be read as a town ({error}).") from None
        if not isinstance(told, dict):
            raise WorldError(f"{path}: a town is an object, not {type(told).__name__}.")
        return cls.of(told, str(path))

    def write(self, path: str | Path) -> Path:
        place = Path(path)
        place.write_text(json.dumps(self.json(), indent=1), "utf-8")
        return place


def _built(told: Mapping[str, Any]) -> Town:
    width, height, rows = int(told["width"]), int(told["height"]), told["walls"]
    if len(rows) != height or any(len(r) != width for r in rows):
        raise WorldError(f"walls must be {height} rows of {width} signs.")
    solid = np.array([[c == "#" for c in row] for row in rows], bool).ravel()
    arena_of = np.full(width * height, OUTDOORS, np.int16)
    made = Town(str(told["name"]), width, height, [], [], solid, arena_of)
    for sector in told["sectors"]:
        if sector["name"] in made.sectors:
            raise WorldError(f"two sectors are called '{sector['name']}'.")
        for one in sector["arenas"]:
            _arena(made, str(sector["name"]), one)
    return made


def _arena(made: Town, sector: str, one: Mapping[str, Any]) -> None:
    name, box = str(one["name"]), tuple(int(v) for v in one["box"])
    title = f"arena '{name}' of '{sector}'"
    if name in [made.arenas[i].name for i in made.arenas_in(sector)]:
        raise WorldError(f"{title} is there twice.")
    x0, y0, x1, y1 = box
    if not (0 <= x0 <= x1 < made.width and 0 <= y0 <= y1 < made.height):
        raise WorldError(f"{title}: its box {list(box)} is not within {made.width} x {made.height} tiles.")
    opens, closes, room = float(one.get("opens", 0)), float(one.get("closes", 0)), int(one.get("room", 0))
    if not (0 <= opens <= 24 and 0 <= closes <= 24) or room < 0:
        raise WorldError(f"{title}: opens {opens:g}, closes {closes:g} are hours of a day, room {room} is 0 or more.")
    place = len(made.arenas)
    made.arenas.append(Arena(name, sector, (x0, y0, x1, y1), room, opens, closes, bool(one.get("private", False))))
    inside = np.zeros((made.height, made.width), bool)
    inside[y0 : y1 + 1, x0 : x1 + 1] = True
    if (made.arena_of[inside.ravel()] != OUTDOORS).any():
        raise WorldError(f"{title} overlaps with another arena.")
    made.arena_of[inside.ravel() & ~made.solid] = place
    for thing in one.get("objects", ()):
        x, y = int(thing["x"]), int(thing["y"])
        if not (x0 <= x <= x1 and y0 <= y <= y1) or made.solid[made.tile(x, y)]:
            raise WorldError(f"object '{thing['name']}' at ({x}, {y}) is not on a free tile of {title}.")
        made.objects.append(Thing(str(thing["name"]), place, made.tile(x, y)))


def checked(people: Sequence[Any], town: Town) -> None:
    """WorldError where people live or work in no place of the town, or two have one name."""
    seen: set[str] = set()
    for one in people:
        if one.name in seen:
            raise WorldError(f"two people are called '{one.name}'.")
        seen.add(one.name)
        for sector in filter(None, (one.home, one.work)):
            if sector not in town.sectors:
                raise WorldError(f"{one.name}: " + unknown("sector", sector, town.sectors))
