"""What is claimed of `fin_deep_cluster`, and how it is measured, on generated rings whose truth only the claim knows.

Settings were chosen on other weeks (seeds 100 and up) than those that are measured (seeds 0 and up). Fraud is counted
beyond the tags: untagged members of rings. Intervals resample rings, since a ring is found or missed as a whole. The
clustering itself is measured with `numeric.density`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, NotMeasurable, claim
from ethogram.claims.risk.rings import PRECISION, QUICK, Week, generated, rings_of
from ethogram.errors import MissingData

SEEDS = (0, 1, 2)
RHYTHM: dict[str, Any] = {"transactions": 4_000, "scripts": 3, "size": (40, 80), "noise": 0.06}
"""Twelve rings that share three scripts, four rhythms each. All arms take clusters of the largest excess of mass."""
HONEST = 75
"""Weeks without fraud: with none flagged the interval of the share just clears .95."""


@claim("fin_deep_cluster", "It catches fraud beyond the tags by clicks and numbers together, better than by either")
def caught(bench: Any) -> Laws:
    return Laws(
        Law("recall of untagged ring members in flagged clusters, hybrid", lambda b: level(b, "recall"), ">=", 0.6),
        Law("precision of untagged cases in flagged clusters", lambda b: level(b, "precision"), ">=", PRECISION),
        Law("recall at precision 0.8: hybrid − clicks only", lambda b: gap(b, "hybrid", "clicks", True), ">", 0.0),
        Law("the same: clicks only − numbers only", lambda b: gap(b, "clicks", "numbers", True), ">", 0.0),
        Law(
            "recall at equal alerts: hybrid − k-means, best k by tags", lambda b: gap(b, "hybrid", "k-means"), ">", 0.0
        ),
        Law("the same − DBSCAN, best eps by tags", lambda b: gap(b, "hybrid", "DBSCAN"), ">", 0.0),
        Law("the same − isolation forest", lambda b: gap(b, "hybrid", "isolation forest"), ">", 0.0),
        Law("the same − boosted trees that learn the tags", lambda b: gap(b, "hybrid", "boosted trees"), ">", 0.0),
        Law("share of the rings' money that the engine let through, caught untagged", money, ">=", 0.5),
    )


@claim("fin_deep_cluster", "Attention to time tells rings apart that click alike in another rhythm")
def rhythm(bench: Any) -> Laws:
    return Laws(
        Law("AMI of clusters and rings: attention with time − mean over pages", lambda b: apart(b, "even"), ">=", 0.05),
        Law("ablation: attention with time − attention without it", lambda b: apart(b, "plain"), ">=", 0.05),
    )


@claim("fin_deep_cluster", "Its rules find the rings again in transactions that it has not seen")
def ruled(bench: Any) -> Laws:
    return Laws(
        Law("share of flagged rings with a rule of precision ≥ 0.8 and recall ≥ 0.7 on fresh transactions",
            lambda b: rules(b)[0], ">=", 1.0),
        Law("conditions of the longest rule", lambda b: rules(b)[1], "<=", 4),
        Law("rows on which the exported SQL, run by DuckDB, and the rules differ", lambda b: rules(b)[2], "<=", 0),
        Law("share of fresh transactions of flagged rings that are assigned to a flagged cluster",
            lambda b: rules(b)[3], ">=", 0.5),
        Law("online shoppers: lift of the best rule for purchases on a third kept back", lambda b: lift(b), ">=", 2.0),
        Law("the same without PageValues, which knows of past purchases", lambda b: lift(b, "PageValues"), ">=", 2.0),
    )  # fmt: skip


@claim("fin_deep_cluster", "It flags nothing in honest traffic")
def quiet(bench: Any) -> Laws:
    return Laws(
        Law("share of honest weeks without a flagged cluster", honest, ">=", 0.95),
        Law("share of weeks without effect (rings behave as everybody) without one", without, ">=", 0.95),
    )


def weeks(bench: Any) -> list[Week]:
    """The measured weeks, generated and fitted once."""
    from ethogram.system import system

    if not hasattr(bench, "_weeks"):
        small: dict[str, Any] = {"epochs": 1} if bench.quick else {}
        options = [{"seed": s, **(QUICK if bench.quick else {})} for s in (SEEDS[:1] if bench.quick else SEEDS)]
        bench._weeks = [Week(o, system("fin_deep_cluster", **small), o["seed"]) for o in options]
    return bench._weeks  # type: ignore[no-any-return]


def level(bench: Any, what: str) -> Estimate:
    """Recall or precision at the level that the system flags at, over all weeks; intervals over rings or clusters."""
    from ethogram.evaluate.bootstrap import by_unit, interval, places, ratio_draws

    right, unit = [], []
    for week in weeks(bench):
        fraud = (week.ring >= 0) & week.open
        rows = fraud if what == "recall" else week.alerts
        own = week.ring if what == "recall" else week.fitted.fitted.density.labels
        right.append((week.alerts if what == "recall" else fraud)[rows])
        unit.append(week.seed * 100_000 + own[rows])
    hit = np.concatenate(right) * 1.0
    if not len(hit):
        return Estimate.exact(float("nan") if what == "precision" else 0.0)
    place = places(np.concatenate(unit))[0]
    found = interval(hit.mean(), ratio_draws(*by_unit(hit, place))[:, 0])
    kind, seeds = "rings" if what == "recall" else "clusters", tuple(float(r.mean()) for r in right)
    return Estimate(found.value, found.low, found.high, units=int(place.max()) + 1, unit=kind, seeds=seeds)


def gap(bench: Any, one: str, other: str, precise: bool = False) -> Estimate:
    """Difference of the recall of untagged ring members, paired by member, intervals over rings."""
    from ethogram.evaluate.bootstrap import mean_difference

    a, b, unit, seeds = [], [], [], []
    for week in weeks(bench):
        rows = np.flatnonzero((week.ring >= 0) & week.open)
        found = [_alerts(week, name, precise)[rows] * 1.0 for name in (one, other)]
        a.append(found[0])
        b.append(found[1])
        unit.append(week.seed * 100_000 + week.ring[rows])
        seeds.append(float(found[0].mean() - found[1].mean()))
    units = np.concatenate(unit)
    made = mean_difference(np.concatenate(a), np.concatenate(b), units=units)
    return Estimate(made.value, made.low, made.high, units=len(np.unique(units)), unit="rings", seeds=tuple(seeds))


def _alerts(week: Week, name: str, precise: bool) -> np.ndarray:
    if precise:
        return week.precise(week.arms[name])
    return week.alerts if name == "hybrid" else week.first(week.arms[name])


def money(bench: Any) -> Estimate:
    """Amounts of untagged ring transactions that the engine accepted: in flagged clusters, over all."""
    from ethogram.evaluate.bootstrap import by_unit, interval, places, ratio_draws

    right, amount, unit = [], [], []
    for week in weeks(bench):
        rows = np.flatnonzero((week.ring >= 0) & week.open & ~(week.held.declined > 0))
        right.append(week.alerts[rows] * 1.0)
        amount.append(week.held.money[rows])
        unit.append(week.seed * 100_000 + week.ring[rows])
    hit, worth, place = np.concatenate(right), np.concatenate(amount), places(np.concatenate(unit))[0]
    value = float((hit * worth).sum() / worth.sum())
    found = interval(value, ratio_draws(*by_unit(hit, place, worth))[:, 0])
    return Estimate(value, found.low, found.high, units=int(place.max()) + 1, unit="rings",
                    seeds=tuple(float((h * w).sum()) for h, w in zip(right, amount, strict=True)))  # fmt: skip


def _labels(bench: Any, pooling: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """(cluster, ring) of the members of rings that share scripts, clustered by clicks alone, for each seed."""
    from ethogram.system import system

    kept = bench.__dict__.setdefault("_rhythms", {})
    if pooling not in kept:
        kept[pooling] = []
        for seed in SEEDS[:1] if bench.quick else SEEDS:
            small = {**QUICK, "scripts": 2} if bench.quick else {}
            made, log = generated({**RHYTHM, **small, "seed": seed})
            less: dict[str, Any] = {"epochs": 1} if bench.quick else {}
            built = system("fin_deep_cluster", weight=1.0, pooling=pooling, selection="eom", **less)
            built.fit(log, seed=seed)
            ring = rings_of(made, built._cases(log))
            kept[pooling].append((built.fitted.density.labels[ring >= 0], ring[ring >= 0]))
    return kept[pooling]  # type: ignore[no-any-return]


def apart(bench: Any, other: str) -> Estimate:
    """Gain of adjusted mutual information, mean over seeds; intervals resample the members of rings."""
    from sklearn.metrics import adjusted_mutual_info_score as ami

    pairs = list(zip(_labels(bench, "time"), _labels(bench, other), strict=True))
    gains = [float(ami(r, a) - ami(r, b)) for (a, r), (b, _) in pairs]
    rng, draws = np.random.default_rng(0), []
    for _ in range(20 if bench.quick else 200):
        drawn = []
        for (a, r), (b, _) in pairs:
            rows = rng.integers(0, len(r), len(r))
            drawn.append(ami(r[rows], a[rows]) - ami(r[rows], b[rows]))
        draws.append(np.mean(drawn))
    low, high = np.quantile(draws, [0.025, 0.975])
    units = sum(len(r) for (_, r), _ in pairs)
    return Estimate(float(np.mean(gains)), float(low), float(high), units=units, unit="members", seeds=tuple(gains))


def rules(bench: Any) -> tuple[Any, ...]:
    """Share of flagged rings with a good rule, longest rule, rows that the SQL answers otherwise, share assigned."""
    if hasattr(bench, "_ruled"):
        return bench._ruled  # type: ignore[no-any-return]
    import duckdb

    good, longest, differing, placed = [], 0, 0, []
    for week in weeks(bench):
        again, log = generated({**week.options, "again": 1})
        fresh = week.fitted.table(log)
        ring = rings_of(again, week.fitted._cases(log))
        flagged = week.fitted.assign(log)["flagged"].to_numpy(zero_copy_only=False)
        labels, rings = week.fitted.fitted.density.labels, set()
        sqls = dict(zip(*(week.fitted.cards()[n].to_pylist() for n in ("cluster", "sql")), strict=True))
        best: dict[int, bool] = {}
        for cluster, own in week.fitted.mined().items():
            mine = week.ring[labels == cluster]
            majority = int(np.bincount(mine[mine >= 0], minlength=1).argmax()) if (mine >= 0).mean() >= 0.5 else -1
            hits = np.zeros(len(ring), bool)
            for rule in own:
                found, longest = rule.measured(fresh, ring == majority), max(longest, len(rule.conditions))
                hits |= rule.applies(fresh)
                best[majority] = best.get(majority, False) or (found.precision >= 0.8 and found.recall >= 0.7)
            if own:
                asked = duckdb.sql(f"SELECT coalesce(({sqls[cluster]}), false) AS hit FROM fresh").fetchnumpy()["hit"]
                differing += int((np.asarray(asked, bool) != hits).sum())
            if majority >= 0:
                rings.add(majority)
                best.setdefault(majority, False)
        best.pop(-1, None)
        good.extend(best.values())
        placed.append(flagged[np.isin(ring, list(rings))])
    hit = np.concatenate(placed) if placed else np.zeros(0)
    low, high = _beta(int(hit.sum()), len(hit))
    share = Estimate.exact(float(np.mean(good)) if good else float("nan"))
    bench._ruled = (
        share,
        float(longest),
        float(differing),
        Estimate(float(hit.mean()) if len(hit) else float("nan"), low, high, units=len(hit), unit="transactions"),
    )
    return bench._ruled  # type: ignore[no-any-return]


def lift(bench: Any, without: str = "") -> Estimate:
    """Of the first rule that is learned on two thirds, on the third kept back; intervals over visits."""
    from ethogram.evaluate.bootstrap import interval, sums
    from ethogram.numeric.rule_learning import learn

    try:
        table = _visits() if bench.quick else bench.load("online_shoppers").table()
    except MissingData as error:
        raise NotMeasurable(str(error)) from None
    known = ("event", "user", "user_code", "session", "order", "item_code", "kind", "label", without)
    columns = [c for c in table.column_names if c not in known]
    bought = table["label"].to_numpy() > 0
    kept = np.random.default_rng(0).permutation(len(bought)) < len(bought) / 3
    rule = learn(table.filter(~kept), bought[~kept], columns=columns, precision=0.0, held=0, seed=0)[0]
    meets, yes = rule.applies(table.filter(kept)), bought[kept]
    parts = np.stack([meets & yes, meets, yes, np.ones(len(yes), bool)], 1) * 1.0

    def value(t: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(t[..., 0] / t[..., 1] / (t[..., 2] / t[..., 3]))

    found = interval(float(value(parts.sum(0))), value(sums(parts)))
    return Estimate(found.value, found.low, found.high, units=len(yes), unit="visits")


def _visits() -> Any:
    from ethogram.data.online_shoppers import OnlineShoppers
    from ethogram.log import Log

    reading = OnlineShoppers().read()
    return Log.open(reading.events.slice(0, 3_000), **reading.roles).table()


def honest(bench: Any) -> Estimate:
    return _unflagged(bench, {"rings": 0})


def without(bench: Any) -> Estimate:
    return _unflagged(bench, {"effect": 0.0, "size": (15, 60)})


def _unflagged(bench: Any, options: dict[str, Any]) -> Estimate:
    """Share of seeds; each week has 2,000 transactions, and a network that passes over them once."""
    from ethogram.system import system

    count = 1 if bench.quick else HONEST
    calm = []
    for seed in range(1_000, 1_000 + count):
        _, log = generated({"transactions": 300 if bench.quick else 2_000, **options, "seed": seed,
                            **({"size": (5, 10)} if bench.quick else {})})  # fmt: skip
        found = system("fin_deep_cluster", epochs=1).fit(log, seed=seed)
        calm.append(not found.fitted.cards.flagged.any())
    low, high = _beta(sum(calm), count)
    return Estimate(float(np.mean(calm)), low, high, units=count, unit="weeks")


def _beta(hits: int, trials: int) -> tuple[float, float]:
    """Ends of 95% of a share by Clopper and Pearson; one-sided where nothing or everything was hit."""
    from scipy.special import betaincinv

    if not trials:
        return float("nan"), float("nan")
    tail = 0.025 if 0 < hits < trials else 0.05
    low = 0.0 if hits == 0 else float(betaincinv(hits, trials - hits + 1, tail))
    high = 1.0 if hits == trials else float(betaincinv(hits + 1, trials - hits, 1 - tail))
    return low, high
