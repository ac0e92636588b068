"""The report of `ModelExtraction`: agreement with intervals, what defences take from it, what detectors see."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ethogram.verbs import Report, Table

TOLD = ("agreement@1", "rank correlation", "hit@10", "victim hit@10", "queries", "refused", "items", "transitions",
        "marked", "mark p", "alarms")  # fmt: skip
Interval = tuple[float, float, float]


def summarise(o: Any, rows: Table) -> Report:
    """See `ModelExtraction.summarise`.

    The variance of an agreement is that over test people (mean of the seeds') plus that of the mean over seeds;
    differences count both sides' as independent, which is wider than paired.
    """
    table = {n: np.array(rows.column(n).to_pylist(), object) for n in rows.column_names}
    metrics: dict[str, Interval] = {}
    errors: dict[str, float] = {}
    for group in dict.fromkeys(table["group"].tolist()):
        mine = {name: values[table["group"] == group] for name, values in table.items()}
        found = _mean(mine.get("agreement@10"))
        if np.isnan(found):
            continue
        errors[group] = _error(mine)
        metrics[group] = _within(found, errors[group], 0.0, 1.0)
        for name in TOLD:
            if not np.isnan(value := _mean(mine.get(name))):
                metrics[f"{group}: {name}"] = (value, value, value)
        for kind in ("prefixes", "anomaly"):
            if not np.isnan(value := _mean(mine.get(f"{kind} AUC"))):
                ends = _mean(mine[f"{kind} low"]), _mean(mine[f"{kind} high"])
                metrics[f"{group} seen by {kind}: AUC"] = (value, min(ends[0], value), max(ends[1], value))
                for name in ("found", "alarms"):
                    value = _mean(mine[f"{kind} {name}"])
                    metrics[f"{group} seen by {kind}: {name}"] = (value, value, value)
    contrasts = {
        f"{name} − none": _within(
            metrics[name][0] - metrics["full"][0], float(np.hypot(errors[name], errors["full"])), -1.0, 1.0
        )
        for name in errors
        if "full" in metrics and name.startswith("full against")
    }
    notes = _notes(o)
    if "full" not in metrics:
        return Report(
            "model_extraction", "", metrics, "inconclusive", "the full attack was not tried", contrasts, notes
        )
    value, low, high = metrics["full"]
    verdict: Literal["pass", "fail", "inconclusive"]
    verdict = "pass" if high <= o.limit else "fail" if low > o.limit else "inconclusive"
    why = f"the copy repeats {value:.0%} [{low:.0%}, {high:.0%}] of the service's lists of 10; {o.limit:.0%} pass"
    if (helps := min(contrasts.items(), key=lambda kv: kv[1][0], default=None)) and helps[1][2] < 0:
        against = helps[0].removesuffix(" − none").removeprefix("full against ")
        why += f"; of the defences {against} takes most, {-helps[1][0]:.0%} of the lists"
    return Report("model_extraction", "", metrics, verdict, why, contrasts, notes)


def _notes(o: Any) -> tuple[str, ...]:
    return (
        f"queried with the consent of its owner: {o.owner}",
        f"the attacker held {o.few:.0%} of the people's sequences and asked {o.sequences * o.growth:,} queries, "
        f"{o.spread} sequences of {o.growth} items an account; every query counts, also a repeated one",
        "full against X: the owner has turned on X. Agreement is with the undefended lists of 10 of people whom the "
        "attacker does not hold",
        "seen by: a detector that watches and refuses nothing. AUC: groups of ten queries of the attack against "
        f"people's; found: accounts that it would refuse; alarms: people whom it would refuse, {o.alarms:.0%} intended",
        "items: Jensen-Shannon divergence of grown sequences from the few real ones, 0 to 1 bit; transitions: share of "
        "their steps that the few have, too",
    )


def _error(mine: dict[str, np.ndarray]) -> float:
    """Standard error of a group's agreement."""
    within = np.array([float(v) for v in mine["error"] if v is not None])
    values = np.array([float(v) for v in mine["agreement@10"] if v is not None])
    between = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
    return float(np.sqrt((within**2).mean() + between)) if len(within) else 0.0


def _within(value: float, error: float, least: float, most: float) -> Interval:
    return value, max(least, value - 1.96 * error), min(most, value + 1.96 * error)


def _mean(values: np.ndarray | None) -> float:
    known = [] if values is None else [float(v) for v in values if v is not None and not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")
