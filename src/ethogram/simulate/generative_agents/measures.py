"""What became of a town: who knows a piece of news and from whom, who came, who knows whom, what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ethogram.simulate.generative_agents.turn import MINUTE
from ethogram.world import Question
from ethogram.world.events import ids


class Knows(NamedTuple):
    """Who says they know, who of them can be traced to a source, who cannot (people, by number)."""

    says: tuple[int, ...]
    traced: tuple[int, ...]
    made_up: tuple[int, ...]


def _causes(world: Any) -> dict[int, tuple[int, int, str]]:
    """Event id to (who, cause, text), of all lines that were said."""
    from ethogram.world.saying import unpacked

    verbs = [world.declared.verbs.index(v) for v in ("talk", "say")]
    made: dict[int, tuple[int, int, str]] = {}
    for record in world.live.tape.records():
        events = ids(record.tick, record.uid, record.k)
        for i in np.flatnonzero(np.isin(record.verb, verbs)).tolist():
            cause = -1 if record.cause is None else int(record.cause[i])
            made[int(events[i])] = (int(record.uid[i]), cause, unpacked(record.text.get(i, "")).text)
    return made


def knows(world: Any, system: Any, news: str, sources: Mapping[int, str] | tuple[int, ...]) -> Knows:
    """Everybody is asked whether they have heard this; a yes counts where its records lead, line by line, to a source.

    Parameters
    ----------
    news : the sentence. sources : people who knew it from the beginning, or from a whisper.
    """
    lines = _causes(world)
    says, traced, made_up = [], [], []
    for uid in range(world.people):
        told = system.interview(world, uid, Question(f"Have you heard of this: {news}?", options=("yes", "no")))
        if told.answer != "yes":
            continue
        says.append(uid)
        led = uid in sources or any(_leads(e, lines, sources, news) for e in told.events)
        (traced if led else made_up).append(uid)
    return Knows(tuple(says), tuple(traced), tuple(made_up))


def _leads(event: int, lines: Mapping[int, tuple[int, int, str]], sources: Any, news: str) -> bool:
    """Whether a line holds the news and leads back, each line caused by an earlier one, to who knew it first."""
    seen: set[int] = set()
    while event in lines and event not in seen:
        seen.add(event)
        who, cause, said = lines[event]
        if news not in said:
            return False
        if who in sources:
            return True
        event = cause
    return False


def stays(world: Any, sector: str, first: int, last: int) -> dict[int, float]:
    """Minutes that each person was in a sector between two ticks (first included), from the steps on the tape."""
    town = _town(world)
    inside = np.array([a == sector for a in (x.sector for x in town.arenas)])
    where = world.kept[0].arrays["tile"].copy()
    until = np.zeros(world.people)
    since = np.full(world.people, first)
    walk = world.declared.verbs.index("walk")
    doors = [world.declared.verbs.index(v) for v in ("enter", "unlock")]

    def in_(tile: int) -> bool:
        arena = town.arena_of[tile]
        return bool(arena >= 0 and inside[arena])

    for record in world.live.tape.records(0, last):
        for i in np.flatnonzero(np.isin(record.verb, [walk, *doors]) & ~record.refused).tolist():
            uid = int(record.uid[i])
            tile = int(record.object[i] if record.verb[i] == walk else record.value[i])
            if record.tick > first:
                until[uid] += (record.tick - since[uid]) * in_(int(where[uid]))
                since[uid] = record.tick
            where[uid] = tile
    until += (last - since) * np.array([in_(int(t)) for t in where])
    minutes = until * world.declared.length / MINUTE
    return {uid: float(m) for uid, m in enumerate(minutes) if m > 0}


def _town(world: Any) -> Any:
    return next(iter(world.live.overlay.held.values())).mind.living.town


def density(world: Any) -> float:
    """Share of the pairs of people who know each other, both by a conversation or from the beginning."""
    names = list(world.declared.ids)
    met = np.zeros((len(names), len(names)), bool)
    for row, held in world.live.overlay.held.items():
        memory, person = held.mind.memory, held.mind.person
        known = set(person.friends or ())
        known |= {memory.text(i)[len("I talked with ") :] for i in range(len(memory))
                  if memory.text(i).startswith("I talked with ")}  # fmt: skip
        for name in known & set(names):
            met[row, names.index(name)] = True
    both = met & met.T
    n = len(names)
    return float(both.sum() / (n * (n - 1))) if n > 1 else 0.0


def talks(world: Any) -> Counter[tuple[int, int]]:
    """How many lines each person was told by whom: (speaker, listener) to lines."""
    lines: Counter[tuple[int, int]] = Counter()
    for row, held in world.live.overlay.held.items():
        memory = held.mind.memory
        for i in range(len(memory)):
            said = memory.text(i).partition(' said to me: "')
            if said[1] and said[0] in world.declared.ids:
                lines[list(world.declared.ids).index(said[0]), row] += 1
    return lines


def spent(world: Any) -> dict[str, float]:
    """Calls and tokens of the model for each person and day, by purpose and in all."""
    days = max(world.tick * world.declared.length / (1_440 * MINUTE), 1e-9) * max(world.people, 1)
    made: dict[str, float] = {"calls": 0.0, "tokens": 0.0}
    for row in world.declared.lm.broker.ledger.rows():
        made[row["purpose"]] = row["calls"] / days
        made["calls"] += row["calls"] / days
        made["tokens"] += (row["prompt"] + row["completion"]) / days
    return made
