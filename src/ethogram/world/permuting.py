"""Do results hang on who stands in which row? They must not: rows are places in a table, people are identities.

A world is run twice, the second time with its rows in another order and every person keeping their identity. A
column update that forgets that several may act on the same thing (``stock[object] -= 1`` keeps only the last), or a
policy that looks at row numbers, ends otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ethogram.errors import WorldError
from ethogram.world.calendar import Calendar
from ethogram.world.columns import UID, WAKE
from ethogram.world.draws import Draws
from ethogram.world.world import World


def relabelled(build: Callable[[], World], until: int, *, seed: int = 0, refers: Sequence[str] = ()) -> list[str]:
    """What differs when rows are permuted: names of columns, and "events"; empty where nothing does.

    Parameters
    ----------
    build : makes the world at its beginning, without a folder. refers : columns of people that hold row numbers.

    Raises
    ------
    WorldError
        The world has begun already.
    """
    plain, other = build(), build()
    if plain.tick or other.tick or other.folder is not None:
        raise WorldError("relabelled: build must give a world at its beginning, without a folder.")
    n = plain.people
    order = np.argsort(Draws(seed).uniform("relabel", np.arange(n), 0)[:, 0], kind="stable")
    place = np.argsort(order)
    own = [name for name, a in other.live.arrays.items() if "." not in name and a.ndim and len(a) == n]
    for name in own:
        moved = other.live.arrays[name][order].copy()
        other.live.arrays[name] = np.where(moved >= 0, place[np.maximum(moved, 0)], moved) if name in refers else moved
    other.live.shared.clear()
    other.live.plain = False
    other.live.calendar = Calendar(other.live.arrays[WAKE])
    other.live.overlay.held = {int(place[row]): held for row, held in other.live.overlay.held.items()}
    other.live.overlay.held = dict(sorted(other.live.overlay.held.items()))
    plain.run(until)
    other.run(until)
    return _differing(plain, other, own, order, place, refers)


def _differing(
    plain: World, other: World, own: list[str], order: np.ndarray, place: np.ndarray, refers: Sequence[str]
) -> list[str]:
    found = []
    for name, array in plain.live.arrays.items():
        mine, theirs = array, other.live.arrays[name]
        if name in own:
            mine = mine[order]
        if name in refers:
            mine = np.where(mine >= 0, place[np.maximum(mine, 0)], mine)
        if mine.tobytes() != np.ascontiguousarray(theirs, mine.dtype).tobytes() and name != UID:
            found.append(name)
    if plain.fingerprint != other.fingerprint:
        found.append("events")
    return found
