"""From graded rows to the report of a bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ethogram.verbs import Interval, Report, Table

if TYPE_CHECKING:
    from ethogram.audit.melt import Melt


def summarise(built: Melt, rows: Table) -> Report:
    """See `Melt.summarise`."""
    from ethogram.audit.melt import BUSY, SPEEDS, mean

    names = rows.column_names
    table = {n: np.array([np.nan if v is None else v for v in rows.column(n).to_pylist()], float)
             for n in names if n not in ("item", "group", "pair", "error")}  # fmt: skip
    group, pair = (np.array(rows.column(n).to_pylist(), object) for n in ("group", "pair"))
    lengths = [f"{size} words" for size in built.words]
    metrics: dict[str, Interval] = {}

    def put(name: str, values: np.ndarray) -> None:
        if len(values) and not np.isnan(values).all():
            metrics[name] = mean(values)

    speed = np.isin(group, lengths)
    for name in (n for n in SPEEDS if n in table):
        for one in dict.fromkeys([*lengths, *group[group == "conversations"].tolist()]):
            put(f"{name} {one}", table[name][group == one])
        if name != "first_s":  # which is about one length
            put(name, table[name][speed])
    for name in (n for n in ("told_ratio", "joules_token", "busy", "bits", "memory_mb") if n in table):
        put(name, table[name])
    if "memory_mb" in metrics:  # loading happens once
        metrics["memory_mb"] = (float(np.nanmax(table["memory_mb"])),) * 3
    contrasts: dict[str, Interval] = {}
    if len(lengths) > 1 and "write_tps" in table:
        low, high = min(built.words), max(built.words)
        ends = [dict(zip(pair[group == f"{n} words"], table["write_tps"][group == f"{n} words"], strict=True))
                for n in (high, low)]  # fmt: skip
        gap = np.array([ends[0][p] - ends[1][p] for p in ends[0] if p in ends[1]])
        if len(gap) and not np.isnan(gap).all():
            contrasts[f"write_tps: {high} words − {low} words"] = mean(gap)
    notes = _notes(built, metrics, table)
    verdict, why = _verdict(built, metrics, table)
    if "busy" in metrics and metrics["busy"][0] < BUSY and built.clock == "wall" and verdict != "inconclusive":
        verdict, why = "inconclusive", f"the machine was busy; {why}"
    return Report("melt", "", metrics, verdict, why, contrasts, tuple(notes))


def _verdict(
    built: Melt, metrics: dict[str, Interval], table: dict[str, Any]
) -> tuple[Literal["pass", "fail", "inconclusive"], str]:
    if "fits" in table and (table["fits"] == 0).any():
        return "fail", f"does not fit the memory: it needs {metrics['memory_mb'][0] / 1024:.1f} GiB"
    length = f"{max(built.words)} words"
    first, write = metrics.get(f"first_s {length}"), metrics.get(f"write_tps {length}")
    if first is None or write is None:
        return "inconclusive", "no reply was long enough to be timed"
    said = (
        f"first token of {length} after {first[0]:.2f} s [{first[1]:.2f}, {first[2]:.2f}] "
        f"against {built.first_limit:g}, "
        f"{write[0]:.1f} tokens/s [{write[1]:.1f}, {write[2]:.1f}] against {built.write_limit:g}"
    )
    if first[2] <= built.first_limit and write[1] >= built.write_limit:
        return "pass", said
    return ("fail" if first[1] > built.first_limit or write[2] < built.write_limit else "inconclusive"), said


def _notes(built: Melt, metrics: dict[str, Interval], table: dict[str, Any]) -> list[str]:
    from ethogram.audit.melt import BUSY

    notes = []
    if "busy" in metrics and metrics["busy"][0] < BUSY:
        notes.append(
            f"the machine was busy: the model got {metrics['busy'][0]:.0%} of its threads' time; "
            + ("processor seconds were counted" if built.clock == "cpu" else "speeds on the clock say little")
        )
    if built.clock == "cpu":
        notes.append("seconds are processor seconds of this process")
    if "joules_token" not in metrics:
        notes.append("energy is not readable here")
    if "memory_mb" not in metrics:
        notes.append("memory is not readable: the model runs elsewhere, or was loaded before")
    if built.texts and "bits" not in metrics:
        notes.append("quality was not measured: the model scores no given text")
    if "cached" in table and np.nansum(table["cached"]) > 0:
        notes.append(f"{np.nansum(table['cached']):.0f} tokens of prompts were in the server's cache and do not count")
    return notes
