"""The report of `ModelExtraction`: agreement with intervals, what defences take from it, what detectors see."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np

from ethogram.audit.model_extraction.picture import CAPTION, READING, curve, points
from ethogram.verbs import Report, Table

Interval = tuple[float, float, float]


def summarise(o: Any, rows: Table) -> Report:
    """See `ModelExtraction.summarise`.

    The variance of a mean is that over test people (mean of the seeds') plus that of the mean over seeds; differences
    count both sides' as independent, which is wider than paired. Shares have Wilson's interval.
    """
    table = {n: np.array(rows.column(n).to_pylist(), object) for n in rows.column_names}
    metrics: dict[str, Interval] = {}
    errors: dict[str, float] = {}
    for group in dict.fromkeys(table["group"].tolist()):
        mine = {n: values[table["group"] == group] for n, values in table.items()}
        if not len(found := _known(mine, "agreement@10")):
            continue
        errors[group] = _error(found, _known(mine, "error"))
        metrics[group] = _within(float(found.mean()), errors[group], 0.0, 1.0)
        if group.endswith("%"):  # a point of the curve: the picture's
            continue
        metrics |= {f"{group}: {name}": value for name, value in _more(mine, "against" in group).items()}
        if not metrics.keys() & {"the service: hit@10"} and len(rate := _known(mine, "victim hit@10")):
            metrics["the service: hit@10"] = _share(float(rate.mean()), _known(mine, "people").mean())
    contrasts = {
        f"{name} − none": _within(
            metrics[name][0] - metrics["full"][0], float(np.hypot(errors[name], errors["full"])), -1.0, 1.0
        )
        for name in errors
        if "full" in metrics and "against" in name and not name.endswith("%")
    }
    pictures = {CAPTION: (partial(curve, points(table)), READING)} if any("%" in g for g in metrics) else {}
    if "full" not in metrics:
        why = "the full attack was not tried"
        return Report("model_extraction", "", metrics, "inconclusive", why, contrasts, _notes(o), pictures=pictures)
    value, low, high = metrics["full"]
    verdict: Literal["pass", "fail", "inconclusive"]
    verdict = "pass" if high <= o.limit else "fail" if low > o.limit else "inconclusive"
    why = f"the copy repeats {value:.0%} [{low:.0%}, {high:.0%}] of the service's lists of 10; up to {o.limit:.0%} pass"
    if (helps := min(contrasts.items(), key=lambda kv: kv[1][0], default=None)) and helps[1][2] < 0:
        against = helps[0].removesuffix(" − none").removeprefix("full against ")
        why += f"; of the defences {against} takes most, {-helps[1][0]:.0%} of the lists"
    return Report("model_extraction", "", metrics, verdict, why, contrasts, _notes(o), pictures=pictures)


def _more(mine: dict[str, np.ndarray], defended: bool) -> dict[str, Interval]:
    """What is told of a case beyond its agreement: of a defended one what differs."""
    found: dict[str, Interval] = {}
    people = _known(mine, "people").mean()
    for name in ("hit@10",) if defended else ("agreement@1", "hit@10"):
        found[name] = _share(float(_known(mine, name).mean()), people)
    if not defended and len(values := _known(mine, "rank correlation")):
        error = _error(values, _known(mine, "rank error"))
        found["rank correlation"] = _within(float(values.mean()), error, -1.0, 1.0)
    for name in ("refused", "marked", "mark p") if defended else ("queries", "items", "transitions"):
        if len(values := _known(mine, name)) and values.any():
            found[name] = (float(values.mean()),) * 3
    for kind in ("prefixes", "anomaly"):
        if len(values := _known(mine, f"{kind} AUC")):
            low, high = (float(_known(mine, f"{kind} {end}").mean()) for end in ("low", "high"))
            value = float(values.mean())
            found[f"{kind} AUC"] = value, min(low, value), max(high, value)
        for name, count in (("found", "accounts"), ("alarms", "people")):
            if len(values := _known(mine, f"{kind} {name}")):
                found[f"{kind} {name}"] = _share(float(values.mean()), _known(mine, f"{kind} {count}").mean())
    return found


def _notes(o: Any) -> tuple[str, ...]:
    return (
        f"queried with the consent of its owner: {o.owner}",
        f"the attacker held {o.few:.0%} of the people's sequences and asked {o.sequences * o.growth:,} queries, "
        f"{min(o.spread, o.sequences)} sequences of {o.growth} items an account; a repeated query counts, too",
        "full against X: the owner has turned on X; refused: so many queries. Agreement is with undefended lists of 10 "
        "of people whom the attacker does not hold",
        "hit@10 is of an item that people did last; a saved or running service may have learned it",
        "items: divergence of grown sequences from the few real ones (Jensen-Shannon, 0 to 1 bit); transitions: share "
        "of their steps that the few have, too",
        "prefixes, anomaly: detectors that only watch. AUC: accounts of the attack against people; found: accounts "
        f"that would be refused; alarms: people who would be, {o.alarms:.0%} intended",
    )


def _known(mine: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Values of a grade that are there, float64."""
    return np.array([float(v) for v in mine.get(name, ()) if v is not None and not np.isnan(v)])


def _error(values: np.ndarray, errors: np.ndarray) -> float:
    """Standard error of a mean over seeds of means over people."""
    between = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
    return float(np.sqrt((errors**2).mean() + between)) if len(errors) else 0.0


def _within(value: float, error: float, least: float, most: float) -> Interval:
    return value, max(least, value - 1.96 * error), min(most, value + 1.96 * error)


def _share(p: float, n: float, z: float = 1.96) -> Interval:
    """A share of n with Wilson's interval."""
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    low, high = ((centre + side * half) / (1 + z**2 / n) for side in (-1, 1))
    return p, min(float(low), p), max(float(high), p)
