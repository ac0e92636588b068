"""Twenty-five questions to every resident, in five areas, with answers that the world itself knows.

Self-knowledge is read from the persona; memory, reactions and reflections from the lines on the tape up to now; plans
from where people are in the hours after. An answer counts where it is one of the right ones (ties have several).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ethogram.world import Question

AREAS = ("self", "memory", "plans", "reactions", "reflections")
AHEAD = (1, 2, 3, 4, 5)
"""Hours ahead that plans are asked for."""


class Item(NamedTuple):
    """A question to one person with its right answers; none where the world does not know."""

    area: str
    question: Question
    right: frozenset[str]


class Line(NamedTuple):
    """A line that was heard."""

    tick: int
    speaker: int
    listener: int
    text: str


def lines(world: Any) -> list[Line]:
    """All lines that somebody heard, in order: every line of a conversation, and a beginning that was answered."""
    from ethogram.world.events import ids

    heard = {s for h in world.live.overlay.held.values() for s in h.mind.sources if s >= 0}
    said: dict[int, Line] = {}
    from ethogram.world.saying import unpacked

    verbs = [world.declared.verbs.index(v) for v in ("talk", "say")]
    for record in world.live.tape.records():
        events = ids(record.tick, record.uid, record.k)
        for i in np.flatnonzero(np.isin(record.verb, verbs)).tolist():
            text = unpacked(record.text.get(i, "")).text
            said[int(events[i])] = Line(record.tick, int(record.uid[i]), int(record.object[i]), text)
    # who remembers nothing hears as well: then every granted line counts
    return [line for event, line in said.items() if not heard or event in heard]


def where(world: Any, tick: int) -> list[str]:
    """The sector of everybody at a tick that has happened, "" outdoors."""
    town = next(iter(world.live.overlay.held.values())).mind.living.town
    tiles = world.kept[0].arrays["tile"].copy()
    walk, doors = world.declared.verbs.index("walk"), [world.declared.verbs.index(v) for v in ("enter", "unlock")]
    for record in world.live.tape.records(0, tick):
        ok = ~record.refused
        for verb, column in ((walk, record.object), *((d, record.value) for d in doors)):
            mine = (record.verb == verb) & ok
            tiles[record.uid[mine]] = column[mine].astype(np.int64)
    return [town.arenas[a].sector if a >= 0 else "" for a in town.arena_of[tiles].tolist()]


def items(world: Any, told: Sequence[Line], news: Sequence[str], later: Mapping[int, Sequence[str]],
          spent: Mapping[int, Mapping[str, float]], hour: int, seed: int) -> dict[int, list[Item]]:  # fmt: skip
    """Person to 25 questions.

    Parameters
    ----------
    told : `lines`. news : two sentences. later : hours ahead to sectors. spent : person to minutes in each sector.
    """
    names = list(world.declared.ids)
    people = [h.mind.person for h in world.live.overlay.held.values()]
    town = next(iter(world.live.overlay.held.values())).mind.living.town
    made = {}
    for uid, person in enumerate(people):
        rng = np.random.default_rng([seed, uid])
        mine = [x for x in told if x.listener == uid]
        met = sorted({x.speaker for x in mine})
        others = [i for i in range(len(names)) if i != uid]
        strangers = [i for i in others if i not in met]
        made[uid] = [
            *_self(person, people, town),
            *_memory(person, mine, names, news, met, strangers, rng),
            *_plans(person, town, later, uid, hour),
            *_reactions(names, met, strangers, rng),
            *_reflections(person, mine, names, news, spent[uid], town),
        ]
    return made


def _one(area: str, text: str, options: Sequence[str], right: Sequence[str]) -> Item:
    return Item(area, Question(text, options=tuple(dict.fromkeys(options))), frozenset(right))


def _self(person: Any, people: Sequence[Any], town: Any) -> list[Item]:
    ages = sorted({str(p.age) for p in people})
    return [
        _one("self", "What is your name?", [p.name for p in people], [person.name]),
        _one("self", "How old are you?", ages, [str(person.age)]),
        _one("self", "Where is your home?", town.sectors, [person.home]),
        _one("self", "Where do you work?", town.sectors, [person.work]),
        _one("self", "At what hour do you usually get up?", ["6", "7", "8", "9"], [str(person.up)]),
    ]


def _memory(person: Any, mine: Sequence[Line], names: Sequence[str], news: Sequence[str], met: Sequence[int],
            strangers: Sequence[int], rng: Any) -> list[Item]:  # fmt: skip
    nobody = [*names, "nobody"]
    first = [names[mine[0].speaker]] if mine else ["nobody"]
    last = [names[mine[-1].speaker]] if mine else ["nobody"]
    made = [
        _one("memory", "Who was the first to say something to you today?", nobody, first),
        _one("memory", "Who was the last to say something to you today?", nobody, last),
    ]
    for one in news:
        heard = any(one in x.text for x in mine) or one in person.currently
        made.append(_one("memory", f"Have you heard of this: {one}?", ["yes", "no"], ["yes" if heard else "no"]))
    who = int(rng.choice(met if met else strangers))
    return [*made, _one("memory", f"Have you talked with {names[who]}?", ["yes", "no"], ["yes" if met else "no"])]


def _plans(person: Any, town: Any, later: Mapping[int, Sequence[str]], uid: int, hour: int) -> list[Item]:
    return [
        _one("plans", f"Where will you be at {hour + h}:30 today?", town.sectors, [s] if (s := later[h][uid]) else [])
        for h in AHEAD
    ]


def _reactions(names: Sequence[str], met: Sequence[int], strangers: Sequence[int], rng: Any) -> list[Item]:
    chosen = [int(i) for i in rng.permutation(met)[:3]]
    chosen += [int(i) for i in rng.permutation(strangers)[: 5 - len(chosen)]]
    return [
        _one("reactions", f"You meet {names[i]}. Have the two of you talked before?", ["yes", "no"],
             ["yes" if i in met else "no"])
        for i in chosen
    ]  # fmt: skip


def _reflections(person: Any, mine: Sequence[Line], names: Sequence[str], news: Sequence[str],
                 spent: Mapping[str, float], town: Any) -> list[Item]:  # fmt: skip
    by = np.bincount([x.speaker for x in mine], minlength=len(names)) if mine else np.zeros(len(names), int)
    top = [names[i] for i in np.flatnonzero((by == by.max()) & (by > 0))] or ["nobody"]
    away = {s: m for s, m in spent.items() if s != person.home}
    place = [s for s, m in away.items() if m == max(away.values())]
    count = int((by > 0).sum())
    ranges = ("nobody", "one to three", "four to six", "seven or more")
    size = ranges[0 if not count else 1 if count < 4 else 2 if count < 7 else 3]
    heard = [sum(one in x.text for x in mine) for one in news]
    about = [n for n, h in zip(news, heard, strict=True) if h == max(heard) and h] or ["nothing"]
    half = [sum(x.text.endswith("?") for x in mine), sum(not x.text.endswith("?") for x in mine)]
    asks = ["both"] if half[0] == half[1] else [("asking", "telling")[int(half[1] > half[0])]]
    return [
        _one("reflections", "Who talks most with you?", [*names, "nobody"], top),
        _one("reflections", "Where are you most, besides at home?", town.sectors, place),
        _one("reflections", "How many people have talked with you so far?", ranges, [size]),
        _one("reflections", "Which news is told to you most often?", [*news, "nothing"], about),
        _one("reflections", "Do people come to you asking or telling?", ["both", "asking", "telling"], asks),
    ]


def accuracy(world: Any, system: Any, asked: Mapping[int, Sequence[Item]]) -> dict[str, list[float]]:
    """Area to 1.0 or 0.0 for each question that has a right answer."""
    found: dict[str, list[float]] = {a: [] for a in AREAS}
    for uid, own in asked.items():
        for item in own:
            if item.right:
                said = str(system.interview(world, uid, item.question).answer)
                found[item.area].append(float(said in item.right))
    return found
