"""What a resident knows of its own life beside its memory, and how changes of both go onto the tape and come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ethogram.lm.memory import NEVER, Memory

Entry = list[Any]
"""[first minute of the day, minutes, activity, what it is a part of, how far it is worked out: one of the next]"""
STROKE, HOURS, STEP = 0, 1, 2
"""A stroke of some hours; hours; a step of 5 to 15 minutes."""


@dataclass
class Life:
    """Values are replaced, never changed in place.

    Attributes
    ----------
    day : number of the day that is planned. rises : hour of getting up. currently : what is on the person's mind.
    schedule : entries of the day, 1,440 minutes. activity, whole : what is being done, and what it is a part of.
    placed : `whole` for which `arena` was chosen. object, state, emoji : chosen for the activity. until : tick at which
        it ends. arrived : whether it has begun. asleep, blocked (steps refused in a row), avoid (arena, -1).
    talk : {"with", "lines", "records", "relation", "since"} of a conversation. heard : event of the last line heard.
    after : row -> tick before which no reaction to that person is considered. known : arenas. recent : latest events.
    """

    day: int = -1
    rises: int = 7
    currently: str = ""
    schedule: list[Entry] = field(default_factory=list)
    activity: str = ""
    whole: str = ""
    placed: str = ""
    arena: int = -1
    object: int = -1
    state: str = ""
    emoji: str = ""
    until: int = -1
    arrived: bool = False
    asleep: bool = False
    blocked: int = 0
    avoid: int = -1
    talk: dict[str, Any] | None = None
    heard: int = -1
    after: dict[str, int] = field(default_factory=dict)
    known: list[int] = field(default_factory=list)
    recent: list[str] = field(default_factory=list)

    def copy(self) -> Life:
        return replace(self)


def changes(memory: Memory, life: Life, before: Memory, was: Life, sources: list[int], now: int) -> dict[str, Any]:
    """What differs, as JSON can hold it: new records with the events they came from, touches, fields of the life."""
    told: dict[str, Any] = {}
    fresh = range(len(before), len(memory))
    if fresh:
        told["add"] = [
            [memory.text(r), memory.kinds[memory.column("kind")[r]], float(memory.column("importance")[r]),
             list(memory.evidence[r]), _until(memory, r), sources[r]]
            for r in fresh
        ]  # fmt: skip
    touched = np.flatnonzero(memory.column("accessed")[: len(before)] != before.column("accessed"))
    if len(touched):
        told["touch"] = touched.tolist()
    if memory.pending != before.pending:
        told["pending"] = memory.pending
    new, old = vars(life), vars(was)
    if changed := {k: v for k, v in new.items() if v is not old[k] and v != old[k]}:
        told["life"] = changed
    return told


def _until(memory: Memory, record: int) -> int | None:
    expires = int(memory.column("expires")[record])
    return None if expires == NEVER else expires


def apply(told: Mapping[str, Any], memory: Memory, life: Life, sources: list[int], now: int) -> None:
    """Do to a memory and a life what `changes` told."""
    for text, kind, importance, evidence, expires, source in told.get("add", ()):
        memory.add(text, time=now, importance=importance, kind=kind, evidence=evidence, expires=expires)
        sources.append(source)
    if touched := told.get("touch"):
        memory.column("accessed")[touched] = now
    if "pending" in told:
        memory.pending = told["pending"]
    for name, value in told.get("life", {}).items():
        setattr(life, name, value)


def kept(life: Life) -> dict[str, Any]:
    """As JSON can hold it."""
    return asdict(life)
