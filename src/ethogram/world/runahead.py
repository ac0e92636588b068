"""Running ahead: who cannot be met need not be waited for.

With a barrier the slowest answer of a tick holds everybody up. Here a person i may decide tick c_i as soon as everybody
who is behind is too far away to matter: for all j with c_j < c_i

    distance(i, j) > radius + speed (c_i - c_j + 1)

Those of one tick who are within ``radius + speed`` of each other decide together. Events go on the tape in order of
ticks, and the tape is the same, link by link, as with the barrier; commands and checkpoints are barriers.

What a world must keep: nobody moves farther than `speed` in a tick; nobody observes, or shares an object with, anybody
beyond `radius`; effects write no facts. What breaks this shows in the fingerprint: run both ways and compare. Who may
go is found in trees of places, one for each tick that somebody is at: n log n for n people.

Z. Xie et al.: AI Metropolis: Scaling Large Language Model-based Multi-Agent Simulation with Out-of-order Execution
(2024); the margin of one tick is ours, because here the state of the others is read after they have moved.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ethogram.errors import WorldError
from ethogram.lm.blocking import run
from ethogram.world.acts import Batch
from ethogram.world.calendar import Calendar
from ethogram.world.columns import WAKE
from ethogram.world.deciding import Thought, minded, parted, vector
from ethogram.world.declared import Declared
from ethogram.world.live import Live
from ethogram.world.state import NEVER
from ethogram.world.stepping import recording, settled, step

if TYPE_CHECKING:
    from ethogram.world.world import World


_FAR = 1e12
"""Between labels, in units of the places."""


@dataclass(frozen=True)
class Reach:
    """Who can meet whom.

    Attributes
    ----------
    place : column of coordinates (width 2 or 3); "" where there is no space. radius, speed : in its units, per tick.
    apart : column of labels; people of different labels never meet. "" where all may.
    """

    place: str = ""
    radius: float = 0.0
    speed: float = 0.0
    apart: str = ""

    def __post_init__(self) -> None:
        if not self.place and not self.apart:
            raise WorldError("Reach: give place= (a column of coordinates), apart= (a column of labels), or both.")
        if self.radius < 0 or self.speed < 0:
            raise WorldError(f"Reach: radius {self.radius} and speed {self.speed} must be 0 or more.")

    def points(self, live: Live) -> np.ndarray:
        """Where everybody is, float64[people, d]: people of different labels are farther apart than any limit."""
        n = len(live.arrays[WAKE])
        places = live.arrays[self.place].astype(np.float64).reshape(n, -1) if self.place else np.zeros((n, 0))
        if not self.apart:
            return places
        _, label = np.unique(live.arrays[self.apart], return_inverse=True)
        return np.c_[places, label.astype(np.float64) * _FAR]


def groups(points: np.ndarray, limit: float) -> np.ndarray:
    """Group of each point, int[n]: those that steps of at most `limit` connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    # many are in one place: one stands for all of them
    spots, place = np.unique(points, axis=0, return_inverse=True)
    pairs = cKDTree(spots).query_pairs(limit, output_type="ndarray")
    joined = coo_array((np.ones(len(pairs), bool), pairs.T), (len(spots), len(spots)))
    found: np.ndarray = connected_components(joined, directed=False)[1]
    return found[place.ravel()]


@dataclass
class _Ahead:
    """What is under way: rows that are deciding, and what was done at ticks that are not whole yet."""

    live: Live
    world: Declared
    barrier: int
    flying: np.ndarray
    parts: dict[int, list[Batch]] = field(default_factory=dict)

    def clusters(self) -> list[np.ndarray]:
        """Groups of people who may decide now, each within reach of each other."""
        from scipy.spatial import cKDTree

        wake, reach = self.live.arrays[WAKE], self.world.reach
        points, near = reach.points(self.live), reach.radius + reach.speed
        idle = np.flatnonzero(~self.flying & (wake < self.barrier))
        trees: list[tuple[int, cKDTree]] = []
        found = []
        for tick in np.unique(wake[wake < self.barrier]).tolist():
            rows = idle[wake[idle] == tick]
            if len(rows):
                held = np.zeros(len(rows), bool)
                for earlier, tree in trees:
                    limit = reach.radius + reach.speed * (tick - earlier + 1.0)
                    # the bound is open, what is at the limit counts
                    held |= tree.query(points[rows], distance_upper_bound=np.nextafter(limit, np.inf))[0] <= limit
                # who decides this tick already was not near when it began, and has not moved
                group = groups(points[rows], near)
                waits = np.bincount(group, held) > 0
                order = np.argsort(group, kind="stable")
                parts = np.split(rows[order], np.flatnonzero(np.diff(group[order])) + 1)
                found += [np.sort(p) for g, p in enumerate(parts) if not waits[g]]
            trees.append((tick, cKDTree(points[wake == tick])))
        return found

    async def decide(self, rows: np.ndarray) -> None:
        """One cluster's tick: everything but the tape."""
        live, world = self.live, self.world
        seen = live.frozen(int(live.arrays[WAKE][rows[0]]))
        groups, minds = parted(live, rows)
        parts = [(part, *vector(live, world, name, part, seen)) for name, part in groups.items()]
        thoughts: list[Thought] = []
        if len(minds):
            made, waits, thoughts = await minded(live, world, minds, seen, None)
            parts.append((minds, made, waits))
        done = settled(live, world, parts, thoughts, seen, time.perf_counter())
        self.parts.setdefault(seen.tick, []).append(done)

    def write(self) -> None:
        """Put the ticks on the tape that nobody can add to any more."""
        least = int(self.live.arrays[WAKE].min(initial=NEVER))
        for tick in sorted(t for t in self.parts if t < least):
            recording(self.live, self.world, tick, self.parts.pop(tick))


async def _until(live: Live, world: Declared, barrier: int) -> None:
    """Everybody decides all ticks before the barrier, each as early as may be."""
    work = _Ahead(live, world, barrier, np.zeros(len(live.arrays[WAKE]), bool))
    running: dict[asyncio.Task[None], np.ndarray] = {}
    try:
        while True:
            for rows in work.clusters():
                work.flying[rows] = True
                running[asyncio.create_task(work.decide(rows))] = rows
            if not running:
                break
            finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                work.flying[running.pop(task)] = False
                task.result()
            work.write()
    except BaseException as error:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        live.broken = live.broken or f"tick {live.tick} or later, run ahead: {type(error).__name__}: {error}"
        raise
    work.write()
    live.dated(Calendar(live.arrays[WAKE]))
    live.tick = barrier


def ran(world: World, until: int) -> None:
    """Run a world to a tick, with as few barriers as it allows.

    Raises
    ------
    WorldError
        A policy asks a model for many at once, people act in turns, or the columns of reach do not exist.
    """
    live, declared = world.live, world.declared
    if declared.sequential or any(hasattr(p, "prepare") for p in live.policies.values()):
        raise WorldError("reach= cannot stand beside sequential=True, or a policy that prepares for all who are awake.")
    for name in filter(None, (declared.reach.place, declared.reach.apart)):
        if name not in live.arrays or len(live.arrays[name]) != len(live.arrays[WAKE]):
            raise WorldError(f"reach: there is no column '{name}' of the people.")
    while live.tick < until:
        world.check()
        due = live.agenda.next()
        if live.commanded or (due is not None and due <= live.tick):
            world.keep(live.tick + 1)
            step(live, declared)
            continue
        marks = [n for n in (world.snapshots, world.every if world.folder else None) if n]
        stops = [until, *((live.tick // n + 1) * n for n in marks), *([due] if due is not None else [])]
        barrier = min(stops)
        run(_until(live, declared, barrier))
        world.keep(barrier)
