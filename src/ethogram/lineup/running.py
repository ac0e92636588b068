"""The whole of a line-up: who takes part, one child after another, and what came of it.

What is in the store is not measured again, whether it was measured, refused the log, or was stopped by a budget that
was no smaller; what failed or ran out of the clock's time is tried again.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ethogram import catalogue
from ethogram.errors import OptionError, UnknownName, unknown
from ethogram.evaluate.record import DONE, Record, RecordStore
from ethogram.lineup import children
from ethogram.lineup.cell import Cell, Setting
from ethogram.lineup.entrants import TASKS, LeftOut, check, entrants
from ethogram.lineup.sampling import some_users
from ethogram.lineup.standing import Standing, standing

METRICS = {"next": ("ndcg@10", "hr@10", "mrr"), "slates": ("gauc", "auc", "logloss")}
QUICK_USERS, QUICK_RESAMPLES, QUICK_REQUESTS = 300, 1000, 10

Given = Sequence[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Lineup:
    """What came of a line-up.

    Attributes
    ----------
    share : what was used of the log: `users`, `events`, `items` and those of the whole as `all users` ....
    records : of all arms and seeds. left : who was left out, stopped, failed. measured : cells that were run now.
    """

    area: str
    data: str
    protocol: str
    quick: bool
    share: Mapping[str, int]
    records: tuple[Record, ...]
    standing: Standing
    left: tuple[LeftOut, ...]
    measured: int

    def words(self) -> list[str]:
        """The finding in few sentences, with those who could not be measured."""
        said = [f"`{x.key}` was not measured ({x.how}): {x.why}." for x in self.left if x.how != children.REFUSED]
        return [*self.standing.short(), *said]

    def shared(self) -> str:
        """The share of the log that was used, in words."""
        parts = []
        for name in ("users", "events", "items"):
            some, whole = self.share[name], self.share[f"all {name}"]
            of = f"{some:,} of {whole:,} {name} ({some / whole:.1%})"
            parts.append(of if some < whole else f"all {whole:,} {name}")
        return ", ".join(parts)


def lineup(
    area: str, log: Any, *, data: str, folder: str | Path, store: str | Path | None = None, systems: Given = (),
    protocol: str | None = None, ties: str = "groups", metric: str | None = None, reference: str | None = None,
    users: int | None = None, seeds: Sequence[int] = (0,), budget: float = 600.0, resamples: int = 2000,
    quick: bool = False, watch: Callable[[Mapping[str, Any]], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Lineup:  # fmt: skip
    """Measure the systems of an area on a log, each in a process of its own.

    Parameters
    ----------
    data : the log's name. folder : holds the records, in ``records`` unless `store` says where.
    systems : (key, options) of those wanted; all of the area if empty.
    protocol, ties : how the log is cut; see `evaluate.run`. metric : decides in place of the area's own.
    reference : an arm to test against, in place of the best floor. users : at most so many, drawn with seed 0.
    seeds : of the training; arms pool them. budget : CPU seconds of a system, from opening the log to its record.
    quick : few people, one epoch: it only shows that every part runs.
    watch : told what a child tells. say : told a line where a system begins and where it ends.

    Raises
    ------
    UnknownName, OptionError, RolesError
        No such area, system or metric; nobody of the area can take part; the log lacks a column.
    """
    able, left = entrants(area, systems, quick=quick)
    check(area, log, data)
    if budget <= 0 or not seeds:
        raise OptionError(f"lineup: a budget of {budget} CPU s and {len(seeds)} seeds; give more than 0 of both.")
    if reference is not None and reference.split(",")[0].split(" (")[0] not in {one.key for one in able}:
        raise UnknownName(unknown("system to be the reference", reference, [one.key for one in able]))
    if reference is None and not any(one.floor for one in able):
        raise OptionError(
            "lineup: none of the systems is a floor, so nothing says what they have to beat; add one"
            f" ({', '.join(s.key for s in catalogue.systems(area) if s.baseline and 'score' in s.verbs)}), or name a"
            " reference."
        )
    if quick:
        users, resamples, seeds = min(users or QUICK_USERS, QUICK_USERS), QUICK_RESAMPLES, seeds[:1]
    task, chosen = TASKS.get(area, "next"), log if users is None else some_users(log, users)
    place = Path(store or Path(folder) / "records")
    with tempfile.TemporaryDirectory(prefix="ethogram-lineup-") as given:
        written = chosen.write(Path(given) / "log")
        setting = Setting(
            str(Path(given) / "log"), str(place), data, task, protocol, ties, resamples, budget, warm=not quick,
            **({"requests": QUICK_REQUESTS} if quick else {}),
        )  # fmt: skip
        cut = written.ties(ties).split(protocol)
        asked = len(cut.test.questions(task)), len(cut.valid.questions(task))
        if not all(asked):
            raise OptionError(f"lineup: {asked[1]} questions on validation, {asked[0]} on test; both must be asked.")
        cells = [Cell(one, seed, setting) for seed in seeds for one in able]
        records, ended, measured = _measured(cells, cut, RecordStore(place), metric, watch, say)
        share = _share(written, log)
    left += ended
    if not records:
        why = "; ".join(f"{x.key}: {x.why}" for x in left)
        raise OptionError(f"lineup: no system of area {area} could be measured on {data}: {why}")
    floors = {s.key for s in catalogue.systems() if s.baseline}
    names = [m for m in METRICS[task] if all(_has(r, m) for r in records)]
    found = standing(records, [metric, *(m for m in names if m != metric)] if metric else names, floors, reference)
    return Lineup(area, data, cut.protocol, quick, share, tuple(records), found, tuple(left), measured)


def _measured(
    cells: Sequence[Cell], cut: Any, store: RecordStore, metric: str | None, watch: Any, say: Callable[[str], None]
) -> tuple[list[Record], list[LeftOut], int]:
    """Records of the cells that could be measured, who could not, and how many were run now."""
    records, left, run = [], [], 0
    for number, cell in enumerate(cells, 1):
        key, kept = cell.entrant.key, [store.get(r.key) for r in cell.records(cut)]
        name = f"[{number}/{len(cells)}] {key}" + (f", seed {cell.seed}" if cell.seed else "")
        if all(r is not None and r.status == DONE for r in kept):
            say(f"{name}: measured before")
        elif (old := kept[0]) is not None and _stands(old, cell.setting.budget):
            say(f"{name}: {old.facts['how']} before: {old.error}")
        else:
            say(f"{name}: begins")
            ended = children.child(cell, seconds=cell.setting.budget, watch=watch)
            run += 1
            if ended.how != children.DONE:
                for record in cell.ended(cut, ended.how, ended.why):
                    store.put(record)
            kept = [store.get(r.key) for r in cell.records(cut)]
            say(f"{name}: {_told(kept[0])}")
        for record in kept:
            if record is not None and record.status == DONE:
                records.append(record)
                if metric is not None and metric not in record.metrics:  # told now, not when all are measured
                    raise UnknownName(unknown("metric", metric, record.metrics))
        first = kept[0]
        if first is not None and first.status != DONE:
            left.append(LeftOut(key, str(first.facts["how"]), str(first.error)))
    return records, left, run


def _stands(old: Record, budget: float) -> bool:
    """Whether what ended a system before would end it again."""
    how = old.facts.get("how")
    return how == children.REFUSED or (how == children.STOPPED and old.facts.get("budget", 0.0) >= budget)


def _has(record: Record, metric: str) -> bool:
    """Whether a metric has a value on both parts; the AUC inside slates has none where each holds one item."""
    return all(math.isfinite(part.get(metric) or math.nan) for part in (record.metrics, record.facts["valid"]))


def _told(record: Record | None) -> str:
    if record is None:
        return "nothing was recorded"
    if record.status != DONE:
        return f"{record.facts['how']}: {record.error}"
    metric = next(m for names in METRICS.values() for m in names if math.isfinite(record.metrics.get(m, math.nan)))
    peaks = [c.peak_mb for c in record.costs.values() if c.peak_mb is not None]
    memory = f", peak {max(peaks):,.0f} MB" if peaks else ""
    return f"{metric} {record.metrics[metric]:.4f}, fitted in {record.costs['fit'].cpu_seconds:.3g} CPU s{memory}"


def _share(some: Any, whole: Any) -> dict[str, int]:
    used, there = some.describe(), whole.describe()
    names = ("users", "events", "items")
    return {n: int(used[n]) for n in names} | {f"all {n}": int(there[n]) for n in names}
