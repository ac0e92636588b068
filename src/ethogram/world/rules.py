"""Who gets it, where several claim the same: rules over all claims of a tick, in one fixed order.

The order is (priority of the verb, identity of the person, number of the act); with ``fair=True`` a drawn number of
each person comes before the identity, so that nobody is always first. A rule may be shared by several verbs: they then
compete for the same things.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ethogram.errors import WorldError
from ethogram.world.state import Frozen


@dataclass(frozen=True, eq=False)
class Rule:
    """How claims of the same thing are settled.

    Attributes
    ----------
    kind : "everyone", "first", "capacity" or "merge". room : how many may have each object, int[objects], of a state.
    merge : how the values of one object become one. fair : whether the order among people is drawn.
    """

    kind: Literal["everyone", "first", "capacity", "merge"]
    room: Callable[[Frozen], np.ndarray] | None = None
    merge: str = "sum"
    fair: bool = False

    def accepted(self, on: np.ndarray, seen: Frozen) -> np.ndarray | None:
        """Which claims are granted, bool[n]; None where all are. `on` are objects in the order of the claims."""
        if self.kind in ("everyone", "merge") or not len(on):
            return None
        room = np.asarray(self.room(seen)) if self.room else None
        if room is not None and on.max() >= len(room):
            raise WorldError(f"a rule of capacity knows {len(room)} objects; object {on.max()} was claimed.")
        order = np.argsort(on, kind="stable")
        ordered = on[order]
        start = np.r_[True, ordered[1:] != ordered[:-1]]
        first = np.maximum.accumulate(np.where(start, np.arange(len(on)), 0))
        place = np.empty(len(on), np.int64)
        place[order] = np.arange(len(on)) - first
        # what is on no object (-1) takes nothing from anybody
        granted: np.ndarray = (place < (1 if room is None else room[np.maximum(on, 0)])) | (on < 0)
        return granted

    def merged(self, on: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(objects, their one value), of all claims; summed in the order of the claims, in float64."""
        objects, place = np.unique(on, return_inverse=True)
        if self.merge in ("sum", "mean", "count"):
            total = np.bincount(place, None if self.merge == "count" else value.astype(np.float64), len(objects))
            return objects, total / np.bincount(place, minlength=len(objects)) if self.merge == "mean" else total
        made = np.full(len(objects), -np.inf if self.merge == "max" else np.inf)
        (np.maximum if self.merge == "max" else np.minimum).at(made, place, value.astype(np.float64))
        return objects, made


def everyone() -> Rule:
    """Nobody is in anybody's way."""
    return Rule("everyone")


def first_wins(*, fair: bool = False) -> Rule:
    """The first claim of each object is granted."""
    return Rule("first", fair=fair)


def capacity(room: int | str | Callable[[Frozen], Any], *, fair: bool = False) -> Rule:
    """The first claims of each object are granted, as many as there is room.

    Parameters
    ----------
    room : a number, the name of a column of the things ("bench.free"), or a function of the state.
    """
    if isinstance(room, str):
        name = room
        return Rule("capacity", lambda seen: seen[name], fair=fair)
    if callable(room):
        return Rule("capacity", room, fair=fair)
    if room < 0:
        raise WorldError(f"capacity({room}): give 0 or more.")
    whole = int(room)
    return Rule("capacity", lambda seen: np.broadcast_to(np.int64(whole), 2**31 - 1), fair=fair)


def merge(how: Literal["sum", "mean", "max", "min", "count"] = "sum") -> Rule:
    """All claims are granted, and those of one object have one effect together: `apply` is given `Merged` acts."""
    if how not in ("sum", "mean", "max", "min", "count"):
        raise WorldError(f"merge('{how}'); known: sum, mean, max, min, count.")
    return Rule("merge", merge=how)
