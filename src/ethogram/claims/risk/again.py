"""Do the rules of a week find its rings again in another week of the same shop?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ethogram.claims import Estimate
from ethogram.claims.risk.rings import Week, generated, rings_of
from ethogram.risk.fin_deep_cluster import telling

RULE_PRECISION, RULE_RECALL = 0.8, 0.7


class Again(NamedTuple):
    """Share of flagged rings with a good rule; the same minus that of plain rules; conditions of the longest rule; rows
    that the exported SQL answers otherwise; share of the rings' fresh transactions in a flagged cluster."""

    good: Estimate
    gain: Estimate
    longest: float
    differing: float
    placed: Estimate


def ruled_rings(bench: Any, weeks: Sequence[Week]) -> Again:
    """Measured once, on one fresh draw of each week."""
    if not hasattr(bench, "_ruled"):
        found = [_week(week) for week in weeks]
        good, plain = (np.concatenate([f[i] for f in found]) for i in (0, 1))
        bench._ruled = Again(
            share(good, "rings"), _gain(good, plain), float(max(f[2] for f in found)), float(sum(f[3] for f in found)),
            share(np.concatenate([f[4] for f in found]), "transactions"),
        )  # fmt: skip
    return bench._ruled  # type: ignore[no-any-return]


def _week(week: Week) -> tuple[np.ndarray, np.ndarray, int, int, np.ndarray]:
    import duckdb

    from ethogram.numeric.rule_learning import learn

    again, log = generated({**week.options, "again": 1})
    fresh = week.fitted.table(log)
    ring = rings_of(again, week.fitted._cases(log))
    flagged = week.fitted.assign(log)["flagged"].to_numpy(zero_copy_only=False)
    labels = week.fitted.fitted.density.labels
    rows = telling.columns(week.held, week.fitted.fitted.tokens)
    sqls = dict(zip(*(week.fitted.cards()[n].to_pylist() for n in ("cluster", "sql")), strict=True))
    good: dict[int, bool] = {}
    plain: dict[int, bool] = {}
    longest = differing = 0
    for cluster, own in week.fitted.mined().items():
        mine = week.ring[labels == cluster]
        if own:
            hits = np.logical_or.reduce([rule.applies(fresh) for rule in own])
            asked = duckdb.sql(f"SELECT coalesce(({sqls[cluster]}), false) AS hit FROM fresh").fetchnumpy()["hit"]
            differing += int((np.asarray(asked, bool) != hits).sum())
            longest = max(longest, *(len(rule.conditions) for rule in own))
        if not (mine >= 0).mean() >= 0.5:
            continue
        majority = int(np.bincount(mine[mine >= 0]).argmax())
        bare = learn(rows, labels == cluster, most=week.fitted.conditions, rules=week.fitted.rules, seed=week.seed)
        for into, made in ((good, own), (plain, bare)):
            measured = [rule.measured(fresh, ring == majority) for rule in made]
            found = any(m.precision >= RULE_PRECISION and m.recall >= RULE_RECALL for m in measured)
            into[majority] = into.get(majority, False) or found
    return (
        np.array([*good.values()], bool), np.array([*plain.values()], bool), longest, differing,
        flagged[np.isin(ring, list(good))],
    )  # fmt: skip


def _gain(one: np.ndarray, other: np.ndarray) -> Estimate:
    from ethogram.evaluate.bootstrap import mean_difference

    if not len(one):
        return Estimate.exact(float("nan"))
    made = mean_difference(one * 1.0, other * 1.0, units=np.arange(len(one)))
    return Estimate(made.value, made.low, made.high, units=len(one), unit="rings")


def share(hits: np.ndarray, unit: str) -> Estimate:
    """A share with its interval by Clopper and Pearson, one-sided where nothing or everything was hit."""
    from scipy.special import betaincinv

    hit, trials = int(hits.sum()), len(hits)
    if not trials:
        return Estimate.exact(float("nan"))
    tail = 0.025 if 0 < hit < trials else 0.05
    low = 0.0 if hit == 0 else float(betaincinv(hit, trials - hit + 1, tail))
    high = 1.0 if hit == trials else float(betaincinv(hit + 1, trials - hit, 1 - tail))
    return Estimate(hit / trials, low, high, units=trials, unit=unit)
