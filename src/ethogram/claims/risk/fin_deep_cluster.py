"""What is claimed of `fin_deep_cluster`, and how it is measured, on generated rings whose truth only the claim knows.

Settings were chosen on other weeks (seeds 100 and up) than those that are measured (seeds 0 and up). Fraud is counted
beyond the tags: untagged members of rings. Intervals resample rings, since a ring is found or missed as a whole. The
clustering itself is measured with `numeric.density`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, NotMeasurable, claim
from ethogram.claims.risk.again import ruled_rings, share
from ethogram.claims.risk.notes import told_by_models
from ethogram.claims.risk.rings import PRECISION, QUICK, SMALL, Week, generated, rings_of
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
            lambda b: ruled_rings(b, weeks(b)).good, ">=", 1.0),
        Law("the same − rules that tell the cluster from all others, without steps",
            lambda b: ruled_rings(b, weeks(b)).gain, ">", 0.0),
        Law("conditions of the longest rule", lambda b: ruled_rings(b, weeks(b)).longest, "<=", 4),
        Law("rows on which the exported SQL, run by DuckDB, and the rules differ",
            lambda b: ruled_rings(b, weeks(b)).differing, "<=", 0),
        Law("share of fresh transactions of flagged rings that are assigned to a flagged cluster",
            lambda b: ruled_rings(b, weeks(b)).placed, ">=", 0.5),
        Law("online shoppers: lift of the best rule for purchases on a third kept back", lambda b: lift(b), ">=", 2.0),
        Law("the same without PageValues, which knows of past purchases", lambda b: lift(b, "PageValues"), ">=", 2.0),
    )  # fmt: skip


@claim("fin_deep_cluster", "A language model may tell its notes, and no number is the model's")
def noted(bench: Any) -> Laws:
    return Laws(
        Law("notes with a number that is not on the card, told by a model that copies and by one that lies",
            lambda b: told_by_models(b, weeks(b)).wrong, "<=", 0),
        Law("share of the liar's notes that are refused", lambda b: told_by_models(b, weeks(b)).refused, ">=", 1.0),
        Law("share of the notes told a second time that need no call", lambda b: told_by_models(b, weeks(b)).saved,
            ">=", 1.0),
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
        small = SMALL if bench.quick else {}
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
            small = {**QUICK, "scripts": 2, "tagged": 0.25} if bench.quick else {}
            made, log = generated({**RHYTHM, **small, "seed": seed})
            less = SMALL if bench.quick else {}
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


def lift(bench: Any, without: str = "") -> Estimate:
    """Of the first rule that is learned on two thirds, on the third kept back; intervals over visits.

    Precision counts twice as much as recall: of 1, .7, .5, .35 and .25 as beta that has the best lower end of the lift
    on thirds of the two thirds (2.2 at a recall of a third, without PageValues).
    """
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
    rule = learn(table.filter(~kept), bought[~kept], columns=columns, precision=0.0, held=0, beta=0.5, seed=0)[0]
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
        found = system("fin_deep_cluster", **(SMALL if bench.quick else {"epochs": 1})).fit(log, seed=seed)
        calm.append(not found.fitted.cards.flagged.any())
    return share(np.array(calm), "weeks")
