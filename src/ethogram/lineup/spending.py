"""What each arm of a line-up cost, and what its lists offer beside being right; means over the seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.evaluate.plots import frontier
from ethogram.evaluate.record import Record
from ethogram.evaluate.report.rows import is_better_low

LISTS = ("coverage@10", "novelty@10")


def spending(arms: Mapping[str, Sequence[Record]], metric: str) -> dict[str, dict[str, Any]]:
    """By arm: `fit_cpu_seconds`, `fit_seconds` (clock), `peak_mb` (anonymous, above the imports), `median_ms`,
    `p95_ms`, `people_per_second` of `recommend` (NaN where it was not timed), `coverage@10`, `novelty@10`, `load`, and
    whether it is on the `frontier`: nothing is better for as many CPU seconds of fitting or fewer.
    """
    rows = {arm: _spent(runs) for arm, runs in arms.items()}
    values = {arm: float(np.mean([r.metrics[metric] for r in runs])) for arm, runs in arms.items()}
    known = [{"arm": arm, "value": values[arm], "cost": row["fit_cpu_seconds"]} for arm, row in rows.items()]
    best = {row["arm"] for row in frontier(known, low=is_better_low(metric))}
    return {arm: {**row, "frontier": arm in best} for arm, row in rows.items()}


def _spent(runs: Sequence[Record]) -> dict[str, Any]:
    timed = [r.facts.get("answering") or r.facts.get("latency") or {} for r in runs]
    peaks = [c.peak_mb for r in runs for c in r.costs.values() if c.peak_mb is not None]
    loads = [c.load for r in runs for c in r.costs.values() if c.load is not None]
    return {
        "fit_cpu_seconds": float(np.mean([r.costs["fit"].cpu_seconds for r in runs])),
        "fit_seconds": float(np.mean([r.costs["fit"].wall_seconds for r in runs])),
        "peak_mb": max(peaks, default=math.nan),
        "median_ms": _mean(timed, "median_ms"),
        "p95_ms": _mean(timed, "p95_ms"),
        "people_per_second": _mean(timed, "users_per_second"),
        **{name: _mean([r.metrics for r in runs], name) for name in LISTS},
        "load": max(loads, default=math.nan),
    }


def _mean(found: Sequence[Mapping[str, Any]], name: str) -> float:
    values = [float(f[name]) for f in found if f.get(name) is not None]
    return float(np.mean(values)) if values else math.nan
