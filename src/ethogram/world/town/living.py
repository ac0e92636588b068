"""People in a town, as a `World`: where they are, what can be done there, who may go where, what can be seen.

    walk TILE          a step within an arena, or out of it        enter ARENA     through its door, where one is let in
    unlock ARENA       through the door of what is one's own       do OBJECT       use it, from its tile (text: what)
    sleep OBJECT       as `do`, and see and hear nothing           change OBJECT   the state of what one uses (text)
    stay               where one is (text: what)                   talk PERSON     begin a conversation (text)
    say PERSON         the next line of it (value 1: the last)     leave           end it without a word

Norms are the state of places and are kept by the world, whatever a mind decides: a closed shop lets nobody in but who
works there, a private room only who belongs there, a bathroom as many as it has room for. Commands: ``whisper`` (uid,
text), an inner thought; ``set_object`` (object, text), its state.

Columns of people: `tile`, `spot` (x, y), `doing` (text), `using` (object), `asleep`; of a conversation `partner`,
`turn`, `line` (text last said to me), `line_event`, `lines`, `chars`, `began` (tick); `whisper` (text) and `fresh`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import WorldError, unknown
from ethogram.world import Action, Column, Done, Frozen, State, capacity, everyone, first_wins
from ethogram.world.saying import unpacked
from ethogram.world.town import OUTDOORS, Town, checked
from ethogram.world.town.folk import Resident

HOUR = 3_600_000_000
MOST_LINES = 16
_PEOPLE = ("tile", "doing", "using", "partner", "line", "lines", "chars", "began", "whisper")


class Sight(NamedTuple):
    """What can be seen: how far away, who or which object (-1: none), and what is to be seen of it."""

    far: float
    person: int
    object: int
    text: str


@dataclass
class Living:
    """A town and who lives in it.

    Attributes
    ----------
    vision : tiles as far as which people see, within their arena. start, length : of the world, microseconds.
    """

    town: Town
    people: Sequence[Resident]
    vision: int = 4
    start: int = 0
    length: int = 10_000_000
    belongs: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        checked(self.people, self.town)
        town = self.town
        self.belongs = np.array([[a.sector in (p.home, p.work) for a in town.arenas] for p in self.people], bool)
        self._capped = np.array([a.room for a in town.arenas], np.int64)
        self._slept = self._beds()

    def hour(self, tick: int) -> float:
        """Hour of the day at a tick."""
        return (self.start + tick * self.length) % (24 * HOUR) / HOUR

    def may_enter(self, row: int, arena: int, tick: int) -> bool:
        """Whether a person is let in now, as far as a room for few is not full."""
        return bool(self.belongs[row, arena]) or self.town.arenas[arena].open(self.hour(tick))

    def room(self, seen: Frozen) -> np.ndarray:
        """How many more each arena lets in now, int64[arenas]."""
        hour = self.hour(seen.tick)
        where = self.town.arena_of[seen["tile"]]
        inside = np.bincount(where[where >= 0], minlength=len(self.town.arenas))
        left = np.where(self._capped > 0, np.maximum(self._capped - inside, 0), 2**31 - 1)
        return np.where([a.open(hour) for a in self.town.arenas], left, 0)

    def move(self, row: int, here: int, there: int) -> tuple[str, int, float]:
        """(verb, object, value) of a step to a neighbouring tile."""
        arena = int(self.town.arena_of[there])
        if arena == OUTDOORS or arena == self.town.arena_of[here]:
            return "walk", there, 0.0
        own = self.belongs[row, arena] and not self._capped[arena]
        return ("unlock" if own else "enter"), arena, float(there)

    def sights(self, seen: Frozen, row: int, attention: int) -> list[Sight]:
        """What a person sees, nearest first: others, and objects in a state; at most `attention`."""
        tiles, town = seen["tile"], self.town
        here = int(tiles[row])
        arena = town.arena_of[here]
        spots = seen["spot"]
        far = np.abs(spots - spots[row]).max(1)
        found = []
        for i in np.flatnonzero((town.arena_of[tiles] == arena) & (far <= self.vision)).tolist():
            if i != row and seen["doing"][i] >= 0:
                found.append(Sight(float(far[i]), i, -1, seen.text(seen["doing"][i])))
        x, y = town.spot(here)
        for o in town.objects_in(int(arena)) if arena != OUTDOORS else ():
            if seen["object.state"][o] < 0 or seen["using"][row] == o:
                continue
            ox, oy = town.spot(town.objects[o].tile)
            away = float(max(abs(ox - x), abs(oy - y)))
            if away <= self.vision:
                found.append(Sight(away, -1, o, f"the {town.objects[o].name} is {seen.text(seen['object.state'][o])}"))
        return sorted(found, key=lambda s: (s.far, s.person < 0, s.person, s.object))[:attention]

    def told(self, seen: Frozen, row: int) -> str:
        """What a person observes, in words."""
        near = "; ".join(s.text for s in self.sights(seen, row, 8)) or "nothing of note"
        hour = self.hour(seen.tick)
        where = self.town.title(int(self.town.arena_of[seen["tile"][row]]))
        return f"It is {int(hour):02d}:{int(hour % 1 * 60):02d}. You are in {where}. You see: {near}."

    def declaration(self) -> dict[str, Any]:
        """Arguments of `World`: people, columns, things, actions, commands, names, observe, start, length."""
        town, n = self.town, len(self.people)
        tiles = [town.objects[o].tile for o in self._slept]
        columns: dict[str, Any] = {c: Column("int32", 0, -1) for c in _PEOPLE}
        columns |= {c: Column("bool", 0, False) for c in ("asleep", "turn", "fresh")}
        columns["tile"] = Column("int32", 0, np.array(tiles, np.int32).reshape(n))
        columns["spot"] = Column("float32", 2, np.array([town.spot(t) for t in tiles]).reshape(n, 2))
        columns["line_event"] = Column("int64", 0, -1)
        at = town.arena_of[: len(town.solid)]
        return {
            "people": [p.name for p in self.people], "columns": columns,
            "things": {
                "ground": {"arena": np.asarray(at, np.int16)},
                "arena": {"room": self._capped.astype(np.int32)},
                "object": {"state": np.full(len(town.objects), -1, np.int32)},
            },
            "actions": self._actions(), "commands": {"whisper": self.whisper, "set_object": self.set_object},
            "names": {
                "object": [town.object_address(o) for o in range(len(town.objects))],
                "arena": [f"{town.name}:{a.sector}:{a.name}" for a in town.arenas],
            },
            "observe": self.told, "start": self.start, "length": f"{self.length / 1e6}s",
        }  # fmt: skip

    def _beds(self) -> list[int]:
        """A bed of their home for each, or any object of it."""
        taken: set[int] = set()
        made = []
        for person in self.people:
            own = [o for a in self.town.arenas_in(person.home) for o in self.town.objects_in(a)]
            if not own:
                raise WorldError(f"{person.name}'s home '{person.home}' holds no object to begin at.")
            beds = [o for o in own if self.town.objects[o].name.startswith("bed")] or own
            made.append(next((o for o in beds if o not in taken), beds[0]))
            taken.add(made[-1])
        return made

    def bed(self, row: int) -> int:
        """The object where a person sleeps."""
        return self._slept[row]

    def _actions(self) -> list[Action]:
        return [
            Action("walk", on="ground", rule=everyone(), apply=self._walk, about="a step to a neighbouring tile"),
            Action("enter", on="arena", rule=capacity(self.room), apply=self._enter, about="go in by the door"),
            Action("unlock", on="arena", rule=everyone(), apply=self._enter, about="go into what is your own"),
            Action("do", on="object", rule=everyone(), apply=self._do, about="use an object"),
            Action("sleep", on="object", rule=everyone(), apply=self._sleep, about="sleep"),
            Action("change", on="object", rule=everyone(), apply=self._change, priority=1, about="its state"),
            Action("stay", apply=self._stay, about="stay where you are"),
            Action("talk", on="people", rule=first_wins(), apply=self._talk, priority=1, about="begin to talk"),
            Action("say", on="people", rule=everyone(), apply=self._say, about="say the next line"),
            Action("leave", apply=self._leave, about="end the conversation"),
        ]

    # effects

    def _walk(self, state: State, done: Done) -> None:
        here, there = state["tile"][done.rows], done.object
        arena = self.town.arena_of[there]
        self._moved(state, done.rows, there, (arena == OUTDOORS) | (arena == self.town.arena_of[here]))

    def _enter(self, state: State, done: Done) -> None:
        there = done.value.astype(np.int32)
        hour = self.hour(state.tick)
        open_ = np.array([a.open(hour) for a in self.town.arenas])
        may = self.belongs[done.rows, done.object] | open_[done.object]
        self._moved(state, done.rows, there, (self.town.arena_of[there] == done.object) & may)

    def _moved(self, state: State, rows: np.ndarray, there: np.ndarray, may: np.ndarray) -> None:
        state["fresh"][rows] = False
        here, width = state["tile"][rows], self.town.width
        apart = np.abs(here % width - there % width) + np.abs(here // width - there // width)
        may = may & (apart <= 1) & ~self.town.solid[there]
        rows, there, here = rows[may], there[may].astype(np.int32), here[may]
        if not len(rows):
            return
        self._let_go(state, rows)
        state["tile"][rows] = there
        state["spot"][rows] = np.stack([there % width, there // width], 1)
        state["asleep"][rows] = False
        # who comes into sight is noticed by those who are awake there and not talking
        spots, arena = state["spot"], self.town.arena_of[state["tile"]]
        old = np.stack([here % width, here // width], 1)
        near = np.abs(spots[None] - spots[rows][:, None]).max(2) <= self.vision
        near &= arena[None] == arena[rows][:, None]
        was = np.abs(spots[None] - old[:, None]).max(2) <= self.vision
        was &= arena[None] == self.town.arena_of[here][:, None]
        notice = (near & ~was).any(0) & ~state["asleep"] & (state["partner"] < 0)
        notice[rows] = False
        if notice.any():
            state.wake(np.flatnonzero(notice), 1)

    def _let_go(self, state: State, rows: np.ndarray) -> None:
        """Objects that nobody uses any more are at rest again."""
        left = np.unique(state["using"][rows])
        state["using"][rows] = -1
        left = left[(left >= 0) & ~np.isin(left, state["using"])]
        state["object.state"][left] = -1

    def _text(self, state: State, done: Done) -> np.ndarray:
        return state.intern([unpacked(done.text.get(i, "")).text for i in range(len(done))])

    def _do(self, state: State, done: Done) -> None:
        there = np.array([o.tile for o in self.town.objects])[done.object] == state["tile"][done.rows]
        state["fresh"][done.rows] = False
        self._let_go(state, done.rows)
        state["using"][done.rows] = np.where(there, done.object, -1)
        state["doing"][done.rows] = self._text(state, done)
        state["asleep"][done.rows] = False

    def _sleep(self, state: State, done: Done) -> None:
        self._do(state, done)
        state["asleep"][done.rows] = state["using"][done.rows] >= 0

    def _change(self, state: State, done: Done) -> None:
        mine = state["using"][done.rows] == done.object
        state["object.state"][done.object[mine]] = self._text(state, done)[mine]

    def _stay(self, state: State, done: Done) -> None:
        state["fresh"][done.rows] = False
        texts = self._text(state, done)
        said = np.array([bool(state.text(c)) for c in texts.tolist()])
        state["doing"][done.rows[said]] = texts[said]

    def _talk(self, state: State, done: Done) -> None:
        texts = self._text(state, done)
        partner, tile = state["partner"], state["tile"]
        state["fresh"][done.rows] = False
        for i, (a, b) in enumerate(zip(done.rows.tolist(), done.object.tolist(), strict=True)):
            near = np.abs(state["spot"][a] - state["spot"][b]).max() <= self.vision
            near &= self.town.arena_of[tile[a]] == self.town.arena_of[tile[b]]
            if a == b or partner[a] >= 0 or partner[b] >= 0 or state["asleep"][b] or not near:
                continue
            partner[a], partner[b] = b, a
            for one in (a, b):
                state["lines"][one] = state["chars"][one] = 0
                state["began"][one] = state.tick
            self._line(state, a, b, texts[i], done.event[i])

    def _line(self, state: State, a: int, b: int, text: int, event: int) -> None:
        state["line"][b], state["line_event"][b] = text, event
        state["turn"][a], state["turn"][b] = False, True
        for one in (a, b):
            state["lines"][one] += 1
            state["chars"][one] += len(state.text(text))
        state.wake([b], 1)

    def _say(self, state: State, done: Done) -> None:
        texts = self._text(state, done)
        state["fresh"][done.rows] = False
        for i, (a, b) in enumerate(zip(done.rows.tolist(), done.object.tolist(), strict=True)):
            if state["partner"][a] != b or not state["turn"][a]:
                continue
            self._line(state, a, b, texts[i], done.event[i])
            if done.value[i] or state["lines"][a] >= MOST_LINES:
                self._over(state, a)

    def _leave(self, state: State, done: Done) -> None:
        state["fresh"][done.rows] = False
        for a in done.rows.tolist():
            if state["partner"][a] >= 0:
                self._over(state, a)

    def _over(self, state: State, one: int) -> None:
        both = [one, int(state["partner"][one])]
        state["partner"][both] = -1
        state["turn"][both] = False
        state.wake(both, 1)

    # commands

    def whisper(self, state: State, uid: int, text: str) -> None:
        """An inner thought; several before the person next decides come as one text."""
        found = np.flatnonzero(state["uid"] == uid)
        if not len(found) or not str(text).strip():
            raise WorldError(f"whisper: there is no person {uid}, or nothing is whispered.")
        row = int(found[0])
        before = state.text(state["whisper"][row]) + "\n" if state["fresh"][row] else ""
        state["whisper"][row] = state.intern([before + str(text).strip()])[0]
        state["fresh"][row] = True
        state.wake([row], 1)

    def set_object(self, state: State, object: int | str, text: str) -> None:
        """The state of an object, by number or address; "" puts it at rest."""
        names = [self.town.object_address(o) for o in range(len(self.town.objects))]
        if isinstance(object, str) and object not in names:
            raise WorldError("set_object: " + unknown("object", object, names))
        one = names.index(object) if isinstance(object, str) else int(object)
        if not 0 <= one < len(names):
            raise WorldError(f"set_object: object {one}; there are 0 to {len(names) - 1}.")
        state["object.state"][one] = state.intern([text])[0] if text else -1
        here = self.town.arena_of[state["tile"]] == self.town.objects[one].arena
        if (near := np.flatnonzero(here & ~state["asleep"] & (state["partner"] < 0))).size:
            state.wake(near, 1)


def known_arenas(living: Living, row: int) -> list[int]:
    """What a person knows of the town at the beginning: as declared, else their own places and all public ones."""
    person, town = living.people[row], living.town
    if person.known:
        return [a for s in person.known for a in town.arenas_in(s)] + town.arenas_in(person.home)
    return [i for i, a in enumerate(town.arenas) if living.belongs[row, i] or not (a.private or a.room == 1)]


def tree(living: Living, arenas: Sequence[int]) -> Mapping[str, list[int]]:
    """Known arenas by sector."""
    made: dict[str, list[int]] = {}
    for a in arenas:
        made.setdefault(living.town.arenas[a].sector, []).append(a)
    return made
