"""What a replay shows, gathered in one walk through the run: events, people, positions, posts, memories, prompts.

A page must open in a browser: of a large run it holds a part, and `left` says in words what is not on it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ethogram.replay.naming import Names
from ethogram.replay.remembering import memories, short
from ethogram.replay.running import Run
from ethogram.world import asking
from ethogram.world.acts import SOURCES
from ethogram.world.columns import UID
from ethogram.world.declared import COMMAND, ENGINE
from ethogram.world.draws import WORLD
from ethogram.world.events import REFUSED, Record
from ethogram.world.live import Live
from ethogram.world.saying import unpacked
from ethogram.world.state import Frozen
from ethogram.world.world import World

BINS = 160
"""Most parts of the timeline."""


@dataclass(frozen=True)
class Limits:
    """How much of a run is on the page."""

    events: int = 20_000
    people: int = 400
    moves: int = 60_000
    prompts: int = 400
    memories: int = 400
    "Of one person."
    chars: int = 4_000
    "Of one prompt."


@dataclass
class Gathered:
    """What is on a page, as JSON can hold it, and what is left out, in words."""

    data: dict[str, Any]
    left: list[str] = field(default_factory=list)


def gathered(run: Run, limits: Limits | None = None) -> Gathered:
    """Everything that the page of a run shows.

    Raises
    ------
    StateError
        The run is not repeated as it was (`Run.walk`).
    """
    most, world = limits or Limits(), run.world
    names, left = Names(world), list[str]()
    shown, dropped = _people(world, most.people)
    uid_of = world.state[UID][shown].astype(np.int64)
    place_of = {int(u): i for i, u in enumerate(uid_of)}
    where = positions(world)
    told = _Walked(world, shown, most, place_of, where)
    for live, record in run.walk():
        told.before(live, record)
    told.end()
    if dropped:
        left.append(f"{dropped:,} of {world.people:,} people (those with a mind are on the page)")
    left += told.left
    social = "post.author" in world.state
    view = "map" if where else "feed" if social else "people"
    data = {
        "title": f"{run.told.key}, seed {run.told.seed}", "run": run.name, "view": view, "key": run.told.key,
        "ticks": world.tick, "fingerprint": world.fingerprint, "total": world.events, "start": world.declared.start,
        "length": world.declared.length, "verbs": list(world.declared.verbs), "engine": list(ENGINE),
        "sources": list(SOURCES), "owners": list(world.declared.owners), "people": told.people(names, uid_of),
        "things": told.things(names), "events": told.events, "bins": told.bins(), "shares": world.shares(),
        "moves": told.moves, "first": told.first, "plan": _plan(run) if where else None,
        "posts": _posts(world, place_of) if social else [], "calls": run.calls(),
        "branches": [vars(b) for b in run.told.branches],
        "options": dict(run.told.options), "minds": run.told.minds, "lm": run.told.lm,
    }  # fmt: skip
    return Gathered(data, left)


def _people(world: World, most: int) -> tuple[np.ndarray, int]:
    """Rows that are shown: those with a mind first, then evenly from the others; how many are not."""
    minds = np.fromiter(world.live.overlay.held, np.int64)[:most]
    rest = np.setdiff1d(np.arange(world.people), minds)
    room = most - len(minds)
    if len(rest) > room:
        rest = rest[np.linspace(0, len(rest) - 1, room).astype(int)] if room else rest[:0]
    shown = np.sort(np.concatenate([minds, rest]))
    return shown, world.people - len(shown)


def positions(world: World) -> tuple[str, ...]:
    """The columns that say where people are: two numbers of each ("spot", "position"), or `x` and `y`; none."""
    state = world.state
    if {"x", "y"} <= set(state) and state["x"].shape == state["y"].shape == (world.people,):
        return ("x", "y")
    for name in ("spot", "position", "xy", "place"):
        if name in state and state[name].shape == (world.people, 2):
            return (name,)
    return ()


class _Walked:
    """What is collected on the way."""

    def __init__(
        self, world: World, shown: np.ndarray, most: Limits, place_of: dict[int, int], where: tuple[str, ...]
    ):  # fmt: skip
        self.world, self.shown, self.most, self.place_of, self.where = world, shown, most, place_of, where
        self.events: list[list[Any]] = []
        self.moves: list[list[float]] = []
        self.first: list[list[float]] = []
        self.left: list[str] = []
        self._texts: dict[tuple[str, int], str] = {}
        self._counts: dict[int, Counter[int]] = defaultdict(Counter)
        self._last: np.ndarray | None = None
        self._prompts: dict[int, list[list[Any]]] = defaultdict(list)
        self._asked = 0
        self._shown = np.array(sorted(place_of), np.int64)
        counted = sum(len(self._on_page(r)) for r in world.live.tape.records())
        self._stride = counted / max(1, most.events)
        self._seen = 0
        self._bins = max(1, min(BINS, world.tick))
        self._minds = {world.declared.owners.index(k) for k in world.declared.minds}
        self._prompt_stride = max(1.0, self._thoughts() / max(1, most.prompts))
        self._prompt_next = 0.0
        self._missed = Counter[str]()

    def _thoughts(self) -> int:
        """Decisions of minds on the tape."""
        minds = [self.world.declared.owners.index(k) for k in self.world.declared.minds]
        if not minds:
            return 0
        return sum(int((np.isin(r.policy, minds) & (r.k == 0)).sum()) for r in self.world.live.tape.records())

    def before(self, live: Live, record: Record) -> None:
        self._moved(live.frozen(record.tick))
        self._prompted(live, record)
        self._happened(record)

    def end(self) -> None:
        self._moved(self.world.state)
        for what, n in (+self._missed).items():
            self.left.append(f"{n:,} {what}")

    def _moved(self, seen: Frozen) -> None:
        if not self.where:
            return
        if len(self.where) == 1:
            now = np.asarray(seen[self.where[0]][self.shown], float)
        else:
            now = np.stack([seen[c][self.shown] for c in self.where], 1).astype(float)
        now = np.round(now, 3)
        if self._last is None:
            self.first = now.tolist()
        else:
            changed = np.flatnonzero((now != self._last).any(1))
            room = self.most.moves - len(self.moves)
            if len(changed) > room:
                self._missed["moves of people on the map"] += len(changed) - room
                changed = changed[:room]
            self.moves += [[seen.tick, i, *now[i].tolist()] for i in changed.tolist()]
        self._last = now

    def _prompted(self, live: Live, record: Record) -> None:
        """The prompts of minds that decide now, evenly over the run."""
        if not self._minds:
            return
        world = self.world.declared
        mine = np.flatnonzero(np.isin(record.policy, list(self._minds)) & (record.k == 0) & (record.uid != WORLD))
        settled = False
        for i in mine.tolist():
            self._asked += 1
            if self._asked < self._prompt_next or int(record.uid[i]) not in self.place_of:
                continue
            if not settled:
                live.settle(world)  # people decide when what was commanded for the tick is done
                settled = True
            row = live.row(int(record.uid[i]))
            if row not in live.overlay.held:
                continue
            self._prompt_next += self._prompt_stride
            text = asking.shown(live, world, row)
            if len(text) > self.most.chars:
                text = text[: self.most.chars] + f" ... ({len(text) - self.most.chars:,} more characters)"
            self._prompts[self.place_of[int(record.uid[i])]].append([record.tick, text])

    def _on_page(self, record: Record) -> np.ndarray:
        """Places of the world's own events and of those of people who are shown."""
        return np.flatnonzero((record.uid == WORLD) | np.isin(record.uid.astype(np.int64), self._shown))

    def _happened(self, record: Record) -> None:
        world = self.world.declared
        names = Names(self.world)
        self._counts[record.tick * self._bins // max(1, self.world.tick)].update(Counter(record.verb.tolist()))
        # on a large tape only what may be shown is looked at one by one
        mine = places = self._on_page(record)
        if self._stride > 1:
            always = (record.uid[mine] == WORLD) | np.isin(record.policy[mine], list(self._minds) or [-1])
            count = self._seen + np.arange(len(mine))
            even = np.floor((count + 1) / self._stride) > np.floor(count / self._stride)
            places = mine[always | even]
        self._seen += len(mine)
        self._missed["events of people who are not on the page"] += len(record) - len(mine)
        for i in places.tolist():
            uid, verb = int(record.uid[i]), int(record.verb[i])
            who = -1 if uid == WORLD else self.place_of[uid]
            if len(self.events) >= 2 * self.most.events:
                self._missed["events at the end"] += 1
                continue
            said, on = unpacked(record.text.get(i, "")), int(record.object[i])
            if on >= 0:
                self._texts.setdefault((world.verbs[verb], on), names.thing(world.verbs[verb], on))
            via = int(record.via[i])
            row = [
                record.tick, who, verb, on, via % REFUSED, int(record.policy[i]), int(via >= REFUSED),
                round(float(record.value[i]), 4), said.text, said.why,
            ]  # fmt: skip
            if said.notes is not None and world.verbs[verb] != COMMAND:
                row.append(str(said.notes)[:600])
            self.events.append(row)
        self._missed["events (evenly over the run; all acts of minds are here)"] += len(mine) - len(places)

    def people(self, names: Names, uids: np.ndarray) -> list[dict[str, Any]]:
        """Name, kind of mind, persona, memories and prompts of each who is shown."""
        made = []
        for i, row in enumerate(self.shown.tolist()):
            one: dict[str, Any] = {"uid": int(uids[i]), "name": names.person(int(uids[i]))}
            held = self.world.live.overlay.held.get(row)
            if held is not None:
                if isinstance(name := held.persona.get("name"), str):
                    one["name"] = name
                kept = memories(held.mind, self.world)
                if len(kept) > self.most.memories:
                    self.left.append(f"{len(kept) - self.most.memories:,} older memories of {one['name']}")
                one |= {
                    "mind": held.kind, "persona": {k: short(v) for k, v in held.persona.items()},
                    "memory": kept[-self.most.memories :], "prompts": self._prompts.get(i, []),
                }  # fmt: skip
            made.append(one)
        return made

    def things(self, names: Names) -> dict[str, str]:
        """ "verb object" -> name."""
        return {f"{verb} {on}": name for (verb, on), name in self._texts.items()}

    def bins(self) -> list[dict[str, int]]:
        """Events of each verb in each part of the run."""
        verbs = self.world.declared.verbs
        return [{verbs[v]: n for v, n in self._counts[b].items()} for b in range(self._bins)]


def _plan(run: Run) -> dict[str, Any] | None:
    found = run.system.plan(run.world)
    return dict(found) if found is not None else None


def _posts(world: World, place_of: dict[int, int]) -> list[list[Any]]:
    """[number, person, kind, parent, tick, text] of posts of those who are shown."""
    from ethogram.world.social.posts import KINDS, number

    seen = world.state
    made = []
    uid = seen[UID]
    columns = [seen[f"post.{c}"][: number(seen)].tolist() for c in ("author", "kind", "parent", "tick", "text")]
    for i, (author, kind, parent, tick, text) in enumerate(zip(*columns, strict=True)):
        who = place_of.get(int(uid[author]), -1)
        if who >= 0:
            made.append([i, who, KINDS[kind], parent, tick, seen.text(text)])
    return made
