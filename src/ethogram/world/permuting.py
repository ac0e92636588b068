"""Do results hang on who stands in which row, or first in a batch? They must not, but where a rule says so.

Two checks in one run. After the claims of a tick are settled, each `apply` is also given its acts in another order, on
a copy: what it writes must be the same. ``stock[object] -= 1`` keeps one of several buyers, ``last[object] = value``
keeps whoever stands last: both differ. Then the world is run again with its rows in another order, everybody keeping
their identity: effects and policies that look at row numbers end otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ethogram.errors import WorldError
from ethogram.world.actions import Action, Done
from ethogram.world.calendar import Calendar
from ethogram.world.columns import UID, WAKE
from ethogram.world.draws import Draws
from ethogram.world.state import State
from ethogram.world.world import World


def relabelled(build: Callable[[], World], until: int, *, seed: int = 0, refers: Sequence[str] = ()) -> list[str]:
    """What differs: "VERB: COLUMN" where an effect hangs on the order of its acts; "COLUMN" and "events" where the run
    hangs on the order of rows. Empty where nothing does.

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
    other.live.dated(Calendar(other.live.arrays[WAKE]))
    other.live.overlay.held = {int(place[row]): held for row, held in other.live.overlay.held.items()}
    other.live.overlay.held = dict(sorted(other.live.overlay.held.items()))
    found: list[str] = []
    _doubled(plain, found, seed)
    plain.run(until)
    other.run(until)
    return [*dict.fromkeys(found), *_differing(plain, other, own, order, place, refers)]


def _doubled(world: World, found: list[str], seed: int) -> None:
    """Have every effect of a world done twice, on a copy in another order, and compared."""

    def twice(action: Action) -> Action:
        apply = action.apply
        if apply is None:
            return action

        def both(state: State, done: Done) -> None:
            twin = world.live.copy(minds=False)
            twin.texts = world.live.texts.copy()
            order = np.argsort(Draws(seed).uniform(action.name, done.uid, state.tick)[:, 0], kind="stable")
            apply(twin.writable(world.declared, state.tick), _ordered(done, order))
            apply(state, done)
            for name, array in world.live.arrays.items():
                if not _same(array, twin.arrays[name]):
                    found.append(f"{action.name}: {name}")

        return replace(action, apply=both)

    world.declared = replace(world.declared, actions={n: twice(a) for n, a in world.declared.actions.items()})


def _ordered(done: Done, order: np.ndarray) -> Done:
    columns = {n: getattr(done, n)[order] for n in ("rows", "uid", "object", "value", "event", "cause")}
    place = {int(p): i for i, p in enumerate(order)}
    return replace(done, **columns, text={place[p]: t for p, t in done.text.items()})


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal, but for what the order of a sum adds in the last bits."""
    if one.dtype.kind != "f":
        return bool((one == other).all())
    scale = float(np.abs(one).max(initial=0.0))
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-6 * scale, equal_nan=True))


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
