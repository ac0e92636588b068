"""From the cells of a grid to an estimate: seeds pooled as repeated measures, arms paired over the same users.

A record keeps the value of each metric on each bootstrap resample of the users. Records of one `plan` (the same
questions, the same resamples) line up draw by draw, so that with seeds s and resamples b

``arm_b = mean_s draw_{s,b}``, ``gap_b = left_b - right_b``, ``ratio_b = left_b / right_b``,

and the percentiles of those are the interval: users are resampled, seeds are averaged. (What each seed gives by
itself stands beside it in `Estimate.seeds` and takes no part in the verdict.)

Numbers of a whole run that no resample gives (coverage, memory, seconds) vary by seed or round instead: their
interval is Student's t over the pairs, for ratios on the logarithm. It takes three pairs to have one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import OptionError, unknown
from ethogram.evaluate.bootstrap import interval
from ethogram.evaluate.record import Record
from ethogram.evaluate.verdict import Estimate, Gap, Measure, NotMeasurable, Ratio

COSTS = ("seconds", "fit_seconds", "score_seconds", "peak_mb")
"""Metrics that are costs: CPU seconds to fit and score, to fit, to score; peak anonymous memory, MiB."""
ROUNDS = 3
"""Least pairs from which a spread is told."""


def costs(record: Record) -> dict[str, float]:
    """What a run cost, by the names of `COSTS`; NaN where it was not measured."""
    fit = record.costs.get("fit")
    fit_seconds = fit.cpu_seconds if fit is not None else math.nan
    score = float(record.facts.get("score_seconds", math.nan))
    peaks = [c.peak_mb for c in record.costs.values() if c.peak_mb is not None]
    peak = max(peaks, default=math.nan)
    return dict(zip(COSTS, (fit_seconds + score, fit_seconds, score, peak), strict=True))


def estimate(
    measure: Measure,
    metric: str,
    cells: Mapping[str, Sequence[Record]],
    level: float,
    spent: Mapping[str, Sequence[Mapping[str, float]]] | None = None,
) -> Estimate:
    """The measured value of a measure with its interval.

    Parameters
    ----------
    cells : arm label -> one record per seed, in the same order of seeds for every arm.
    spent : arm label -> its `costs` in each round, for metrics that are costs; default those of the records.

    Raises
    ------
    OptionError
        No record has the metric.
    NotMeasurable
        The records did not answer the same questions, or there are too few rounds to bound a cost.
    """
    used = [cells[arm] for arm in measure.arms]
    if metric in COSTS:
        rounds = spent or {arm: [costs(r) for r in runs] for arm, runs in cells.items()}
        return over_rounds(measure, [[c[metric] for c in rounds[arm]] for arm in measure.arms], level, metric)
    known = {name for runs in used for record in runs for name in record.metrics}
    if metric not in known:
        raise OptionError(unknown("metric", metric, known | set(COSTS)))
    by_seed = [[float(r.metrics.get(metric, math.nan)) for r in runs] for runs in used]
    drawn = [[r.draw(metric) for r in runs] for runs in used]
    if any(d is None for runs in drawn for d in runs):
        return over_rounds(measure, by_seed, level, metric, unit="seeds")
    if len({r.plan for runs in used for r in runs}) > 1:
        raise NotMeasurable(f"the arms {', '.join(measure.arms)} did not answer the same questions.")
    value = combine(measure, *(float(np.mean(values)) for values in by_seed))
    with np.errstate(invalid="ignore", divide="ignore"):
        made = np.asarray(combine(measure, *(np.mean(np.stack(runs), 0) for runs in drawn)))  # type: ignore[arg-type]
    _, low, high = interval(value, made, level)
    seeds = tuple(float(combine(measure, *pair)) for pair in zip(*by_seed, strict=True))
    return Estimate(value, low, high, level, len(made), "resamples of the users", seeds)


def combine(measure: Measure, *values: Any) -> Any:
    """One arm's value, the difference of two, or their quotient."""
    if isinstance(measure, Gap):
        return values[0] - values[1]
    if isinstance(measure, Ratio):
        return values[0] / values[1] if np.ndim(values[1]) or values[1] else math.nan
    return values[0]


def over_rounds(
    measure: Measure, rounds: Sequence[Sequence[float]], level: float, metric: str = "", unit: str = "rounds"
) -> Estimate:
    """An estimate from values per round (or seed) of each arm, paired within rounds.

    The value is the mean of the pairs' differences, or the geometric mean of their ratios: a round in which
    the machine was slow counts like any other.

    Raises
    ------
    NotMeasurable
        There are fewer than three rounds: nothing tells how much they vary.
    """
    pairs = np.array([combine(measure, *pair) for pair in zip(*rounds, strict=True)], np.float64)
    if len(pairs) < ROUNDS:
        raise NotMeasurable(f"{metric or measure} varies from run to run: {ROUNDS} {unit} bound it, {len(pairs)} ran.")
    ratio = isinstance(measure, Ratio)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.log(pairs) if ratio else pairs
    from scipy.special import stdtrit

    middle = float(x.mean())
    half = float(stdtrit(len(x) - 1, (1 + level) / 2)) * float(x.std(ddof=1)) / math.sqrt(len(x))
    ends = [middle, middle - half, middle + half]
    value, low, high = (math.exp(e) for e in ends) if ratio else ends
    return Estimate(value, low, high, level, len(x), unit, tuple(pairs.tolist()))
