"""From records (or a comparison) to the tasks that a report shows."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate.comparison import Comparison, arms_of, gap_of, level_of
from ethogram.evaluate.effects import costs
from ethogram.evaluate.record import Record
from ethogram.evaluate.report.rows import Row, Task, is_better_low, preferred

TITLES = {"next": "Which items next?", "slates": "Will they respond?"}
_LINES = 4  # more reliability curves than that in one picture cannot be told apart


def tasks_of(
    measured: Iterable[Record] | Comparison,
    *,
    floors: Collection[str] = (),
    metric: str | None = None,
    curves: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    titles: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[Task]:
    """One task per set of questions; arguments as in `report`.

    Raises
    ------
    OptionError
        There is nothing to report.
    """
    titles = {**TITLES, **(titles or {})}
    if isinstance(measured, Comparison):
        return [_from_comparison(measured, floors, metric)]
    plans: dict[str, list[Record]] = {}
    for record in measured:
        plans.setdefault(record.plan, []).append(record)
    if not plans:
        raise OptionError("report: no records given.")
    made: list[Task] = []
    for records in plans.values():
        kind = str(records[0].protocol.get("task", "next"))
        title, name = titles.get(kind, kind), str(records[0].data.get("name") or "")
        same = sum(other[0].protocol.get("task", "next") == kind for other in plans.values()) > 1
        made.append(_task(records, f"{kind}-{len(made) + 1}", f"{title} ({name})" if same and name else title,
                          floors, metric, curves or {}, labels or {}))  # fmt: skip
    return made


def _task(
    records: list[Record], identity: str, title: str, floors: Collection[str], metric: str | None,
    curves: Mapping[str, Sequence[Mapping[str, Any]]],
    labels: Mapping[str, str],
) -> Task:  # fmt: skip
    runs_of = arms_of(records)
    arms = {labels.get(label, label): runs for label, runs in runs_of.items()}
    if len(arms) < len(runs_of):
        raise OptionError(f"report: labels give two of the arms {', '.join(runs_of)} one name.")
    names = [m for m in records[0].metrics if all(m in r.metrics for r in records)]
    chosen = metric if metric in names else preferred(names)
    is_floor = {label: runs[0].system in floors or label in floors for label, runs in arms.items()}
    sign = 1 if is_better_low(chosen) else -1
    ranked = sorted(arms, key=lambda a: sign * level_of(arms[a], chosen).value)
    reference = next((a for a in ranked if is_floor[a]), ranked[0]) if len(arms) > 1 else ""
    rows = [_row(label, runs, names, is_floor[label], arms.get(reference, []), chosen) for label, runs in arms.items()]
    tables = {a: _reliability(arms[a][0]) for a in ranked if "reliability" in arms[a][0].facts}
    floor = next((a for a in tables if is_floor[a]), None)
    drawn = [a for a in tables if not is_floor[a]][: _LINES - (floor is not None)] + ([floor] if floor else [])
    learned = {label: points for label, points in curves.items() if label in arms and len(points) > 1}
    facts = [f for f in ("loss", "valid") if any(f in p for points in learned.values() for p in points)]
    return Task(
        identity,
        title,
        told(records[0]),
        chosen,
        rows,
        reference,
        calibration={a: tables[a] for a in drawn},
        curves={f: {a: [p for p in points if f in p] for a, points in learned.items()} for f in facts},
    )


def _key(label: str) -> str:
    return label.split(" (")[0]


def _row(
    label: str, runs: Sequence[Record], names: Sequence[str], floor: bool, reference: Sequence[Record], metric: str
) -> Row:
    levels = {name: level_of(runs, name) for name in names}
    gap = None
    if reference and reference is not runs:
        found = gap_of(runs, reference, metric)
        gap = None if math.isnan(found.low) else (found.value, found.low, found.high)
    spent = [costs(r) for r in runs]
    seconds, peak = (float(np.mean([s[name] for s in spent])) for name in ("seconds", "peak_mb"))
    return Row(
        label,
        {name: found.value for name, found in levels.items() if not math.isnan(found.value)},
        {name: (found.low, found.high) for name, found in levels.items() if not math.isnan(found.low)},
        floor,
        gap,
        None if math.isnan(seconds) else seconds,
        None if math.isnan(peak) else peak,
        len(runs),
        latency_of(runs),
    )


def latency_of(runs: Sequence[Record]) -> tuple[float, float, int, float] | None:
    """(median ms, 95th percentile, candidates, CPU ms) of a request, mean over an arm's runs; None if not timed."""
    timed = [r.facts["latency"] for r in runs if r.facts.get("latency") is not None]
    if not timed:
        return None
    median, late, cpu = (float(np.mean([t[name] for t in timed])) for name in ("median_ms", "p95_ms", "cpu_ms"))
    return median, late, int(timed[0]["candidates"]), cpu


def _reliability(record: Record) -> list[dict[str, float]]:
    columns = record.facts["reliability"]
    return [{"score": score, "label": label} for score, label in zip(columns["score"], columns["label"], strict=True)]


def _from_comparison(found: Comparison, floors: Collection[str], metric: str | None) -> Task:
    table = {(r["arm"], r["metric"]): r for r in found.table.to_pylist()}
    chosen = metric if metric in found.metrics else preferred(found.metrics)
    rows = []
    for arm in found.arms:
        own = {m: table[arm, m] for m in found.metrics if table[arm, m]["value"] is not None}
        ends = {m: (r["low"], r["high"]) for m, r in own.items() if r["low"] is not None}
        gap = own.get(chosen, {})
        told_gap = (gap["difference"], gap["difference_low"], gap["difference_high"])
        rows.append(
            Row(
                arm,
                {m: r["value"] for m, r in own.items()},
                ends,
                _key(arm) in floors,
                None if None in told_gap else told_gap,
                seeds=next(iter(own.values()))["seeds"],
            )
        )
    return Task("comparison", "Comparison", " ".join(found.notes), chosen, rows, found.reference)


def told(record: Record) -> str:
    """What was asked of the systems, in words."""
    facts, protocol = record.facts, record.protocol
    split = f"Split: {protocol['name']}." if protocol.get("name") else ""
    if protocol.get("task") == "slates":
        words = f"{_n(facts, 'questions')} slates of {_n(facts, 'users')} users, {_n(facts, 'rows')} candidates"
        if (weight := facts.get("weight")) and round(weight) != facts.get("rows"):
            words += f" that stand for {weight:,.0f}"
        rate = facts.get("positive_rate")
        return f"{words}{f'; {rate:.2%} of them positive' if rate is not None else ''}. {split}"
    words = (
        f"{_n(facts, 'questions')} questions of {_n(facts, 'users')} users. Each ranks all {_n(facts, 'items')} items"
    )
    if "exclude_seen" in facts:
        words += " without those that the user had before" if facts["exclude_seen"] else ", old and new alike"
    words += "."
    if facts.get("repeat_targets") is not None:
        words += f" {facts['repeat_targets']:.0%} of the targets were repeats,"
        words += f" {facts.get('cold_targets', 0):.1%} had never been seen in training."
    return f"{words} {split}"


def _n(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    return "?" if value is None else f"{value:,}"
