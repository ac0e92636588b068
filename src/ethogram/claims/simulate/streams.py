"""Memory streams of two days with planted facts, and questions whose answers are known records.

Every question is about a subject that many records are about. What is asked for are the last ten of them (recent and
trivial), the ten that matter (old and important), or, of a subject without others, all ten (topical, of middling
importance). So a question needs relevance, and most need one signal more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ethogram.lm.memory import HOUR, Memory

KINDS = ("recent", "important", "topical")
_THINGS = ("violin", "umbrella", "bicycle", "greenhouse", "telescope", "rowing boat", "oven", "fence", "lantern",
           "ladder", "kite", "accordion")  # fmt: skip
_DONE = (
    *("moved it to the shed", "cleaned it", "looked at it", "lent it to a neighbour", "put it by the door"),
    *("showed it to a friend", "talked about it", "leaned it against the wall", "covered it", "oiled it"),
)
_HEAVY = ("it was stolen and the police came", "it nearly killed somebody", "we quarrelled over it and parted",
          "it burned and the house with it", "I sold it to pay for the hospital")  # fmt: skip
_DAILY = (
    *("brushed my teeth", "made the bed", "walked to the shop", "ate bread and cheese", "swept the floor"),
    *("washed the cups", "waited at the corner", "read a page", "watered the plants", "closed the window"),
)
_WHERE = ("in the kitchen", "at the river", "in the garden", "by the church", "in the hall", "at the market")


def planted(texts: Any, seed: int, records: int = 1_000) -> tuple[Memory, list[tuple[str, str, set[int]]], int]:
    """(stream, questions as (kind, text, places of the wanted records), the time at which they are asked)."""
    rng = np.random.default_rng(seed)
    things = [str(t) for t in rng.permutation(_THINGS)[:6]]
    rows: list[tuple[float, str, float, str]] = []
    for i, thing in enumerate(things):
        kind = KINDS[i % 3]
        hours = np.sort(rng.uniform(0, 44, 20))
        if kind == "topical":
            worths = rng.integers(3, 7, 10).astype(float)
            rows += [(h, _about(thing, rng.choice(_DONE), rng), w, thing) for h, w in zip(hours, worths, strict=False)]
            continue
        rows += [(h, _about(thing, rng.choice(_DONE), rng), 2, "") for h in hours]
        if kind == "recent":
            late = np.sort(rng.uniform(46, 47.9, 10))
            rows += [(h, _about(thing, rng.choice(_DONE), rng), 1, thing) for h in late]
        else:
            early = np.sort(rng.uniform(0, 24, 10))
            rows += [(h, _about(thing, rng.choice(_HEAVY), rng), float(rng.integers(8, 11)), thing) for h in early]
    for hour in rng.uniform(0, 48, records - len(rows)):
        what = f"I {rng.choice(_DAILY)} {rng.choice(_WHERE)}"
        rows.append((hour, what, float(rng.integers(1, 4)), ""))
    memory, wanted = Memory(texts), {t: set[int]() for t in things}
    for hour, text, worth, thing in sorted(rows, key=lambda r: r[0]):
        place = memory.add(text, time=int(hour * HOUR), importance=worth)
        if thing:
            wanted[thing].add(place)
    return memory, [(KINDS[i % 3], f"What about the {t}?", wanted[t]) for i, t in enumerate(things)], 48 * HOUR


def _about(thing: str, what: Any, rng: np.random.Generator) -> str:
    return f"The {thing}: {what} {rng.choice(_WHERE)}"


SCORERS = {
    "combined": (1.0, 1.0, 1.0), "recency": (1.0, 0.0, 0.0), "importance": (0.0, 1.0, 0.0),
    "relevance": (0.0, 0.0, 1.0),
}  # fmt: skip


def recalls(texts: Any, seeds: Iterable[int], records: int = 1_000, k: int = 10) -> dict[str, np.ndarray]:
    """Scorer to recall@k of each question; questions of all kinds are equally many, so that their mean is the macro
    average."""
    found: dict[str, list[float]] = {name: [] for name in SCORERS}
    for seed in seeds:
        memory, questions, now = planted(texts, seed, records)
        for _, text, wanted in questions:
            for name, weights in SCORERS.items():
                got = memory.retrieve(text, k, now=now, weights=weights, touch=False).records.tolist()
                found[name].append(len(wanted & set(got)) / len(wanted))
    return {name: np.array(values) for name, values in found.items()}
