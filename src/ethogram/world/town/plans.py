"""Towns drawn from a few words: blocks on a grid of streets, each a row of rooms.

The first room of a block has the door to the street, each other one a door from the room before it. A door is a tile
of the street or between rooms: it belongs to no arena.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ethogram.errors import WorldError
from ethogram.world.town import Town

DEPTH = 5
"""Tiles of a room from front to back."""
_BLOCK = (22, DEPTH + 5)


@dataclass(frozen=True)
class Room:
    """A room: `objects` stand along its back wall; see `Arena` for the rest."""

    name: str
    width: int
    objects: tuple[str, ...]
    room: int = 0
    opens: float = 0.0
    closes: float = 0.0
    private: bool = False


def home(people: int = 2) -> tuple[Room, ...]:
    """Where people live: everything private, and a bathroom for one."""
    beds = tuple(f"bed {i + 1}" for i in range(people))
    return (
        Room("living room", 6, ("sofa", "table", "stove"), private=True),
        Room("bedroom", max(4, people + 1), (*beds, "desk"), private=True),
        Room("bathroom", 2, ("washbasin",), room=1),
    )


PUBLIC: dict[str, tuple[Room, ...]] = {
    "Lantern Café": (Room("guest room", 9, ("counter", "table 1", "table 2", "piano"), opens=7, closes=22),
                     Room("kitchen", 4, ("oven",), private=True)),
    "Corner Store": (Room("shop", 8, ("till", "shelves", "vegetables"), opens=8, closes=18),
                     Room("storeroom", 4, ("crates",), private=True)),
    "Library": (Room("reading room", 10, ("shelves", "reading desk", "newspapers", "seat"), opens=9, closes=19),),
    "School": (Room("classroom", 9, ("blackboard", "desks", "globe"), opens=8, closes=16),
               Room("staff room", 4, ("kettle",), private=True)),
    "Workshop": (Room("workbench hall", 9, ("workbench", "lathe", "drawing board"), opens=8, closes=18),),
    "Surgery": (Room("waiting room", 6, ("chairs", "magazines"), opens=8, closes=17),
                Room("consulting room", 4, ("couch",), room=2, opens=8, closes=17)),
    "Town Hall": (Room("hall", 9, ("notice board", "long table", "archive"), opens=9, closes=17),),
    "River Park": (Room("meadow", 12, ("bench", "pond", "bandstand", "flower beds")),),
}  # fmt: skip


def drawn(name: str, blocks: Sequence[tuple[str, Sequence[Room]]], across: int = 5) -> Town:
    """A town of blocks, `across` of them in a row.

    Raises
    ------
    WorldError
        A block is too wide, or two have one name.
    """
    wide, deep = _BLOCK
    rows = -(-len(blocks) // across)
    width, height = wide * min(across, len(blocks)) + 1, deep * rows + 1
    walls = [["."] * width for _ in range(height)]
    sectors: list[dict[str, Any]] = []
    for i, (title, rooms) in enumerate(blocks):
        x, y = (i % across) * wide + 1, (i // across) * deep + 1
        if sum(r.width + 1 for r in rooms) + 1 > wide - 2:
            raise WorldError(f"block '{title}' is wider than {wide - 3} tiles.")
        sectors.append({"name": title, "arenas": _rooms(walls, rooms, x, y)})
    told = {"name": name, "width": width, "height": height, "walls": ["".join(r) for r in walls], "sectors": sectors}
    return Town.of(told, name)


def _rooms(walls: list[list[str]], rooms: Sequence[Room], x: int, y: int) -> list[dict[str, Any]]:
    made, left = [], x
    for k, room in enumerate(rooms):
        right = left + room.width + 1
        for across in range(left, right + 1):
            walls[y][across] = walls[y + DEPTH + 1][across] = "#"
        for down in range(y, y + DEPTH + 2):
            walls[down][left] = walls[down][right] = "#"
        made.append({
            "name": room.name, "box": [left + 1, y + 1, right - 1, y + DEPTH], "room": room.room, "opens": room.opens,
            "closes": room.closes, "private": room.private,
            "objects": [
                {"name": n, "x": left + 1 + (2 * j) % room.width, "y": y + 1 + (2 * j) // room.width}
                for j, n in enumerate(room.objects)
            ],
        })  # fmt: skip
        if k:
            walls[y + 1 + DEPTH // 2][left] = "."
        else:
            walls[y + DEPTH + 1][left + 1 + room.width // 2] = "."
        left = right
    return made


def default_town(homes: Sequence[str] = (), public: Sequence[str] | None = None, name: str = "Ashford Quay") -> Town:
    """The default town: the public places, and a home for two of each name (12 and one for one, by default)."""
    from ethogram.world.town.folk import HOMES

    named = list(homes) or list(HOMES)
    places = list(PUBLIC) if public is None else list(public)
    blocks = [(n, PUBLIC[n]) for n in places] + [(n, home()) for n in named]
    return drawn(name, blocks)
