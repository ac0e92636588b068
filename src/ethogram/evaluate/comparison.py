"""Records side by side: each arm's metrics, and its paired difference from a reference with interval and p-value."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, UnknownName, unknown
from ethogram.evaluate.bootstrap import Difference, Interval, difference, interval
from ethogram.evaluate.record import DONE, Record


@dataclass(frozen=True, eq=False)
class Comparison:
    """Arms on the same questions.

    Attributes
    ----------
    table : a row per arm and metric: `arm`, `metric`, `value`, `low`, `high`, `seeds` (how many), and against the
        reference `difference`, `difference_low`, `difference_high`, `p` (null for the reference itself and for
        metrics without draws).
    reference : the arm that the others are compared with.
    notes : one line each that a reader must know.
    """

    table: pa.Table
    reference: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        from rich.console import Console

        told = io.StringIO()
        Console(file=told, width=max(80, 26 * (1 + len(self.arms))), no_color=True).print(self)
        return told.getvalue().rstrip()

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table

        made = Table(caption=f"difference from {self.reference}; * p < 0.05, paired bootstrap over users")
        made.add_column("metric")
        for arm in self.arms:
            made.add_column(arm, justify="right")
        rows = {(row["arm"], row["metric"]): row for row in self.table.to_pylist()}
        for metric in self.metrics:
            made.add_row(metric, *(self._cell(rows[arm, metric]) for arm in self.arms))
        return Group(made, *self.notes)

    @property
    def arms(self) -> list[str]:
        return list(dict.fromkeys(self.table.column("arm").to_pylist()))

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(self.table.column("metric").to_pylist()))

    def row(self, arm: str, metric: str) -> dict[str, Any]:
        """One row of the table.

        Raises
        ------
        UnknownName
            No such arm or metric.
        """
        for row in self.table.to_pylist():
            if row["arm"] == arm and row["metric"] == metric:
                return dict(row)
        if arm not in self.arms:
            raise UnknownName(unknown("arm", arm, self.arms))
        raise UnknownName(unknown("metric", metric, self.metrics))

    @staticmethod
    def _cell(row: Mapping[str, Any]) -> str:
        if row["value"] is None:
            return "-"
        text = f"{row['value']:.4f}"
        if row["difference"] is None:
            return text
        return f"{text} {row['difference']:+.4f}{'*' if row['p'] is not None and row['p'] < 0.05 else ' '}"


def compare(
    records: Iterable[Record], *, reference: str | None = None, metrics: Sequence[str] | None = None
) -> Comparison:
    """Compare records that answered the same questions.

    Runs of one system with the same options but other seeds are one arm: its value and its draws are the means
    over the seeds, so the interval says how sure the mean is over users, for these seeds.

    Parameters
    ----------
    reference : arm that the others are compared with; default the first.
    metrics : default all that every arm has an interval for.

    Raises
    ------
    OptionError
        No record, a failed one, or records of different questions or resamples: nothing could be paired.
    UnknownName
        No such arm or metric.
    """
    arms = arms_of(records)
    first = next(iter(arms.values()))[0]
    for name, runs in arms.items():
        for record in runs:
            if record.plan != first.plan:
                raise OptionError(
                    f"compare: '{name}' answered other questions or was resampled otherwise than '{first.system}' "
                    f"({_place(record)} against {_place(first)}); run both on the same data and protocol."
                )
            check_order(first, record)
    reference = reference or next(iter(arms))
    if reference not in arms:
        raise UnknownName(unknown("arm", reference, arms))
    everywhere = [m for m in first.metrics if all(m in r.metrics for runs in arms.values() for r in runs)]
    chosen = list(metrics) if metrics else [m for m in everywhere if m in first.intervals]
    for metric in chosen:
        if metric not in everywhere:
            raise UnknownName(unknown("metric", metric, everywhere))
    rows = []
    for name, runs in arms.items():
        for metric in chosen:
            found = level_of(runs, metric)
            against = None if name == reference else gap_of(runs, arms[reference], metric)
            rows.append(_row(name, metric, found, against, len(runs)))
    seeds = {len(runs) for runs in arms.values()}
    notes = () if len(seeds) == 1 else (f"arms have between {min(seeds)} and {max(seeds)} seeds",)
    return Comparison(pa.Table.from_pylist(rows, _SCHEMA), reference, notes)


def arms_of(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Runs by arm: the system's key, with those options that tell arms of one system apart."""
    found: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.status != DONE:
            raise OptionError(f"compare: the run of '{record.system}' failed ({record.error}).")
        found.setdefault((record.system, json.dumps(record.options, sort_keys=True)), []).append(record)
    if not found:
        raise OptionError("compare: no records given.")
    return {_label(key, list(found)): runs for key, runs in found.items()}


def level_of(runs: Sequence[Record], metric: str, level: float = 0.95) -> Interval:
    """Mean of a metric over an arm's runs, with its interval."""
    value = float(np.mean([r.metrics[metric] for r in runs]))
    draws = _draws(runs, metric)
    return Interval(value, np.nan, np.nan) if draws is None else interval(value, draws, level)


def gap_of(left: Sequence[Record], right: Sequence[Record], metric: str, level: float = 0.95) -> Difference:
    """Mean of a metric over the left runs minus that over the right, paired over users."""
    value = float(np.mean([r.metrics[metric] for r in left]) - np.mean([r.metrics[metric] for r in right]))
    a, b = _draws(left, metric), _draws(right, metric)
    if a is None or b is None or len(a) != len(b):
        return Difference(value, np.nan, np.nan, np.nan)
    return difference(value, a - b, level)


def check_order(a: Record, b: Record) -> None:
    """Refuse records whose rows belong to different users or in a different order."""
    if a.vectors is None or b.vectors is None or a is b:
        return
    if not a.vectors.column("user").equals(b.vectors.column("user")):
        raise OptionError(f"'{a.system}' and '{b.system}' list different users, or in a different order.")


def _draws(runs: Sequence[Record], metric: str) -> np.ndarray | None:
    found = [r.draw(metric) for r in runs]
    return None if any(d is None for d in found) else np.asarray(np.mean(np.stack(found), 0))  # type: ignore[arg-type]


_SCHEMA = pa.schema(
    [("arm", pa.string()), ("metric", pa.string())]
    + [(n, pa.float64()) for n in ("value", "low", "high")]
    + [("seeds", pa.int32())]
    + [(n, pa.float64()) for n in ("difference", "difference_low", "difference_high", "p")]
)


def _row(arm: str, metric: str, found: Interval, against: Difference | None, seeds: int) -> dict[str, Any]:
    gap = tuple(against) if against is not None else (np.nan,) * 4
    numbers = dict(zip(("value", "low", "high"), found, strict=True))
    numbers |= dict(zip(("difference", "difference_low", "difference_high", "p"), gap, strict=True))
    missing = {k: None if np.isnan(v) else float(v) for k, v in numbers.items()}
    return {"arm": arm, "metric": metric, "seeds": seeds, **missing}


def _label(key: tuple[str, str], everybody: list[tuple[str, str]]) -> str:
    options = [json.loads(o) for s, o in everybody if s == key[0]]
    mine = json.loads(key[1])
    differing = [n for n in mine if any(o.get(n) != mine[n] for o in options)]
    said = ", ".join(f"{n}={mine[n]}" for n in differing)
    return f"{key[0]} ({said})" if said else key[0]


def _place(record: Record) -> str:
    name = record.data.get("name") or str(record.data.get("fingerprint", "?"))[:8]
    return f"{name}, {record.protocol.get('name', '?')}"
