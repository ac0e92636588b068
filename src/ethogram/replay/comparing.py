"""Two runs side by side, person by person: what differs on average, and where they part.

    d_i = a_i - b_i of each person i     mean of d with its bootstrap interval over people, two-sided p

Where both runs have one seed, everybody has the same luck in both, and d is what follows from what differs. Runs of
several seeds are paired by seed; then the seeds are the units, as people of one world live with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate.bootstrap import mean_difference
from ethogram.replay.naming import Names, sentence
from ethogram.replay.running import Run
from ethogram.world.columns import OWN, UID
from ethogram.world.declared import ENGINE
from ethogram.world.draws import WORLD
from ethogram.world.events import Record
from ethogram.world.world import World

EVENTS, REFUSED = "events", "refused"


@dataclass(frozen=True)
class Parting:
    """The first event at which two runs differ: when, and what happens in each ("nothing" for none)."""

    tick: int
    time: str
    one: str
    other: str


@dataclass(frozen=True)
class Compared:
    """What was found.

    Attributes
    ----------
    rows : metric, one, other (means per person), difference (one - other), low, high, p.
    people : how many were compared. ticks : that both runs have in common. paired : whether seeds are the same.
    parting : first difference; None where there is none. acting : the first that is an act of a person.
    """

    rows: list[dict[str, Any]]
    people: int
    ticks: int
    paired: bool
    parting: Parting | None
    acting: Parting | None


def compared(one: Sequence[Run], other: Sequence[Run], *, seed: int = 0, resamples: int = 1_000) -> Compared:
    """Runs of one kind against runs of another, up to the tick that both have reached.

    Raises
    ------
    OptionError
        The runs are of different systems, no seed is in both, or nobody lives in both.
    """
    pairs = matched(one, other)
    found: dict[str, list[list[np.ndarray]]] = {}
    units: list[np.ndarray] = []
    ticks = min(min(a.world.tick, b.world.tick) for a, b in pairs)
    for number, (a, b) in enumerate(pairs):
        shared = np.intersect1d(a.world.state[UID], b.world.state[UID])
        if not len(shared):
            raise OptionError(f"{a.name} and {b.name} have no people in common.")
        both = [measured(run.world, shared, ticks) for run in (a, b)]
        for name in both[0]:
            if name in both[1]:
                found.setdefault(name, []).append([both[0][name], both[1][name]])
        units.append(shared.astype(np.int64) + (number << 32))
    # people of one seed live in one world; with several seeds the seeds are what was drawn anew
    unit = np.concatenate([u >> 32 for u in units]) if len(pairs) > 1 else np.concatenate(units)
    rows = []
    for name, parts in found.items():
        if len(parts) < len(pairs):
            continue
        x, y = (np.concatenate([p[i] for p in parts]) for i in (0, 1))
        if not (x.any() or y.any()):
            continue
        gap = mean_difference(x, y, units=unit, seed=seed, resamples=resamples)
        rows.append(
            {"metric": name, "one": float(x.mean()), "other": float(y.mean()), "difference": gap.value,
             "low": gap.low, "high": gap.high, "p": gap.p}
        )  # fmt: skip
    paired = all(a.told.seed == b.told.seed for a, b in pairs)
    first = [first_difference(pairs[0][0].world, pairs[0][1].world, people=only) for only in (False, True)]
    return Compared(rows, sum(map(len, units)), ticks, paired, *first)


def matched(one: Sequence[Run], other: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Pairs of runs with one seed; a single run on both sides is a pair whatever the seeds."""
    keys = {r.told.key for r in (*one, *other)}
    if len(keys) > 1:
        raise OptionError(f"compare: runs of different systems ({', '.join(sorted(keys))}) have no common events.")
    if len(one) == len(other) == 1:
        return [(one[0], other[0])]
    by = {r.told.seed: r for r in other}
    pairs = [(a, by[a.told.seed]) for a in sorted(one, key=lambda r: r.told.seed) if a.told.seed in by]
    if not pairs:
        seeds = [", ".join(str(r.told.seed) for r in side) for side in (one, other)]
        raise OptionError(f"compare: no seed is on both sides ({seeds[0]} and {seeds[1]}).")
    return pairs


def measured(world: World, uids: np.ndarray, ticks: int) -> dict[str, np.ndarray]:
    """Metric -> a number for each person: events, all and of each verb, refused ones; at the end columns of reals."""
    verbs = world.declared.verbs
    known = np.sort(world.state[UID].astype(np.int64))
    counts = np.zeros((len(known), len(verbs)))
    lost = np.zeros(len(known))
    for record in world.live.tape.records(0, ticks):
        mine = np.flatnonzero((record.uid != WORLD) & (record.verb > 0))
        rows = np.searchsorted(known, record.uid[mine].astype(np.int64))
        refused = record.refused[mine]
        np.add.at(lost, rows[refused], 1)
        np.add.at(counts, (rows[~refused], record.verb[mine][~refused]), 1)
    at = np.searchsorted(known, uids.astype(np.int64))
    made = {EVENTS: counts.sum(1)[at], REFUSED: lost[at]}
    made |= {v: counts[at, i] for i, v in enumerate(verbs) if v not in ENGINE}
    if ticks == world.tick:
        order = np.argsort(world.state[UID], kind="stable")
        for name, column in world.state.items():
            if "." not in name and name not in OWN and column.ndim == 1 and column.dtype.kind == "f":
                made[f"{name} at the end"] = column[order][at].astype(float)
    return made


def first_difference(one: World, other: World, *, people: bool = False) -> Parting | None:
    """The first event at which two runs differ, up to the tick that both have reached.

    Parameters
    ----------
    people : leave out commands and notes, and look for the first act of a person that differs.
    """
    end = min(one.tick, other.tick)
    sides = [{e.tick: e for e in w.live.tape.entries if e.tick < end} for w in (one, other)]
    for tick in sorted(sides[0].keys() | sides[1].keys()):
        entries = [side.get(tick) for side in sides]
        if entries[0] and entries[1] and entries[0].chain == entries[1].chain:
            continue
        told = [_events(e.record(), people) if e else [] for e in entries]
        bare = [[t[:-1] for t in side] for side in told]
        if bare[0] == bare[1]:
            continue
        at = next((i for i, (a, b) in enumerate(zip(*bare, strict=False)) if a != b), min(map(len, bare)))
        here = [t[at] if at < len(t) else None for t in told]
        if here[0] and here[1] and here[0][:2] != here[1][:2]:
            first = min(here, key=lambda t: _place(t))  # who is missing on the other side did nothing there
            here = [t if t is first else None for t in here]
        names = [Names(w) for w in (one, other)]
        texts = [
            sentence(n.event(e.record(), h[-1]) if h and e else None)
            for n, e, h in zip(names, entries, here, strict=True)
        ]
        return Parting(tick, names[0].time(tick), *texts)
    return None


def _events(record: Record, people: bool) -> list[tuple[Any, ...]]:
    """(uid, number, what was done ..., place in the record); the world's own first."""
    keep = np.flatnonzero(record.uid != WORLD) if people else np.arange(len(record))
    made = []
    for i in keep.tolist():
        what = (record.verb[i], record.via[i], record.object[i], record.value[i], record.text.get(i, ""))
        made.append((int(record.uid[i]), int(record.k[i]), *map(_plain, what), i))
    return made


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _place(told: tuple[Any, ...] | None) -> tuple[int, int]:
    assert told is not None
    return (-1 if told[0] == WORLD else told[0], told[1])
