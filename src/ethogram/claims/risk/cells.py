"""The runs behind the claim of `lbsf`: arms, populations, and what each said of the test people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.claims import Estimate
from ethogram.claims.risk import households
from ethogram.evaluate import classification, machine
from ethogram.evaluate.bootstrap import interval
from ethogram.evaluate.record import Record
from ethogram.evaluate.subject import options_of

AT: dict[str, Any] = {"least": 30}
"""Options of all arms that learn a network."""
SEEDS, USERS, MANY, DRAWS = 3, 4_000, 20_000, 1_000
LARGE = "payments of 20,000"
"""One population of its own, on which few arms are run."""
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "lbsf": ("lbsf", AT),
    "90 days": ("lbsf", {**AT, "days": 90.0}),
    "45 days": ("lbsf", {**AT, "days": 45.0}),
    "by chance": ("lbsf", {**AT, "fold": "random"}),
    "by time": ("lbsf", {**AT, "fold": "time"}),
    "by category": ("lbsf", {**AT, "fold": "category"}),
    "truncated": ("lbsf", {**AT, "fold": "all", "merchants": 1, "payments": 128, "encoder": "transformer"}),
    "unfolded": ("lbsf", {**AT, "fold": "all", "merchants": 1, "payments": 256}),
    "mean of payments": ("lbsf", {**AT, "encoder": "mean"}),
    "mean of merchants": ("lbsf", {**AT, "relation": "mean"}),
    "merchant and time": ("lbsf", {**AT, "fields": ("merchant", "time"), "columns": ()}),
    "trees": ("payment_aggregates", {}),
    "logistic": ("payment_aggregates", {"learner": "logistic"}),
    "no next payment": ("lbsf", {**AT, "next": 0.0}),
    "names not hidden": ("lbsf", {**AT, "hide": 0.0}),
    "no effect": ("lbsf", AT),
    "limit alone": ("lbsf", AT),
}
ONCE = ("by time", "by category", "unfolded", "no next payment", "names not hidden", "no effect", "limit alone")
"""Arms that are run on the first population alone."""
REAL: dict[str, dict[str, Any]] = {
    "credit cards": {
        "merchants": 3,
        "payments": 6,
        "category": "item",
        "profile": ("limit", "age", "education", "marriage"),
    },
    "departments": {"fold": "department", "category": "department", "merchants": 16, "payments": 12, "days": 182.0},
    "stores": {"fold": "store_id", "category": "department", "merchants": 4, "payments": 48, "days": 182.0},
    "cdnow": {"least": 1, "merchants": 1, "payments": 16, "category": "item"},
    "visits": {"merchants": 3, "payments": 1, "category": "item", "profile": households.SEEN},
}


@dataclass(frozen=True, eq=False)
class Cell:
    """One run: the fitted system, the split, and of the test people their ids, outcome, risk, first reason, truth."""

    built: Any
    cut: Any
    user: np.ndarray
    label: np.ndarray
    risk: np.ndarray
    first: np.ndarray
    truth: pa.Table | None


def quick_users(bench: Any) -> int:
    return 150 if bench.quick else USERS


def cells(bench: Any, arm: str, data: str = "payments") -> list[Cell]:
    """The runs of an arm, one for each population; made once. A quick run has one population and nothing else."""
    data = "payments" if bench.quick else data
    held = bench.__dict__.setdefault("_lbsf", {})
    if (arm, data) not in held:
        seeds = 1 if bench.quick or arm in ONCE or data != "payments" else SEEDS
        held[arm, data] = [_run(bench, arm, data, seed) for seed in range(seeds)]
    return list(held[arm, data])


def _log(bench: Any, arm: str, data: str, seed: int) -> tuple[Any, pa.Table | None]:
    """A population, cut by decision, with its truth; kept for the arms that follow."""
    from ethogram import data as sets

    held = bench.__dict__.setdefault("_lbsf_logs", {})
    effect = 0.0 if arm == "no effect" else 1.0
    name = (data, seed, effect)
    if name in held:
        return held[name]
    for old in [k for k in held if k[0] != data]:
        del held[old]
    truth = None
    if data in ("payments", LARGE):
        how = {"users": quick_users(bench), "seed": seed, "effect": effect}
        how |= {"users": MANY, "seed": SEEDS} if data == LARGE else {}
        how |= {"payments": (40, 120)} if bench.quick else {}
        log, truth = sets.load("payments", **how), sets.truth("payments", **how)["people"]
    elif data in ("departments", "stores"):
        log = households.halves(sets.load("complete_journey", exposures=False))
    elif data == "cdnow":
        log = households.buys(sets.load("cdnow").where("user <= 10000"))
    elif data == "visits":
        log = households.visits(sets.load("online_shoppers"))
    else:
        log = sets.load("credit_cards")
    # where all are decided on one day, there is no earlier and later
    cut = log.split("by-user" if data in ("credit cards", "cdnow", "visits") else "by-decision",
                    valid=0.2, test=0.2, seed=0)  # fmt: skip
    held[name] = cut, truth
    return held[name]


def _run(bench: Any, arm: str, data: str, seed: int) -> Cell:
    cut, truth = _log(bench, arm, data, seed)
    key, options = ARMS[arm]
    options = dict(options)
    if data in REAL:
        own = REAL[data] | ({"profile": ("limit",)} if arm == "limit alone" else {})
        known = {"category", "days", "profile"} if key == "payment_aggregates" else set(own)
        options |= {k: v for k, v in own.items() if k in known} | {"leak": "cut"}
    if bench.quick:
        options |= {"epochs": 1} if key == "lbsf" else {"steps": 5}
    built = bench.build((key, options))
    with machine.measure() as fit:
        built.fit(cut.train, cut.valid, seed=seed)
    cell = judged(built, cut, cut.test, truth)
    values = {m: metric(cell, m) for m in METRICS}
    bench.records.append(
        (arm, data, seed, Record(system=key, options=options_of(built), seed=seed, data={"name": data},
                                 protocol={"split": cut.protocol}, metrics=values, costs={"fit": fit}))
    )  # fmt: skip
    return cell


def judged(built: Any, cut: Any, test: Any, truth: pa.Table | None) -> Cell:
    """What a fitted system says of the people of a log; those without an outcome are left out."""
    said = built.assess(test)
    user = np.array(said["user"].to_pylist())
    if truth is not None:
        label = truth["default"].to_numpy()[user].astype(float)
    else:
        users = cut.log.users
        told = dict(zip(users["user"].to_pylist(), users["default"].to_pylist(), strict=True))
        label = np.array([np.nan if told.get(u) is None else told[u] for u in user.tolist()], float)
    there = ~np.isnan(label)
    first = np.array([r[0]["what"].split(" (")[0] if r else None for r in said["reasons"].to_pylist()], object)
    return Cell(built, cut, user[there], label[there], said["risk"].to_numpy()[there], first[there], truth)


METRICS: Mapping[str, Callable[..., float]] = {
    "auc": classification.auc, "pr_auc": classification.pr_auc, "ks": classification.ks, "ece": classification.ece,
}  # fmt: skip


def metric(cell: Cell, name: str, rows: Any = slice(None)) -> float:
    return float(METRICS[name](cell.label[rows], cell.risk[rows]))


def table_of(cell: Cell) -> dict[str, np.ndarray]:
    """The generator's truth of the cell's people."""
    assert cell.truth is not None
    return {n: np.array(cell.truth[n].to_pylist(), object if n == "cause" else None)[cell.user]
            for n in ("state", "cause", "default")}  # fmt: skip


def level(bench: Any, arm: str, name: str = "auc", data: str = "payments", minus: float = 0.0) -> Estimate:
    """Mean of a metric over the populations."""
    made = _cells(bench, arm, data)
    return _over([[metric(c, name) - minus] for c in made],
                 [lambda rows, c=c: metric(c, name, rows) - minus for c in made],
                 [len(c.label) for c in made], bench)  # fmt: skip


def gap(bench: Any, left: str, right: str, name: str = "auc", data: str = "payments") -> Estimate:
    """Mean over the populations of a metric of one arm minus that of another, on the same people."""
    pairs = list(zip(_cells(bench, left, data), _cells(bench, right, data), strict=False))
    return _over([[metric(a, name) - metric(b, name)] for a, b in pairs],
                 [lambda rows, a=a, b=b: metric(a, name, rows) - metric(b, name, rows) for a, b in pairs],
                 [len(a.label) for a, _ in pairs], bench)  # fmt: skip


def _cells(bench: Any, arm: str, data: str) -> list[Cell]:
    if arm != "shuffled":
        return cells(bench, arm, data)
    held = bench.__dict__.setdefault("_lbsf", {})
    if (arm, data) not in held:
        held[arm, data] = [judged(c.built, c.cut, shuffled(c.cut.test), c.truth) for c in cells(bench, "lbsf", data)]
    return list(held[arm, data])


def shuffled(log: Any) -> Any:
    """The same payments at the same moments, dealt anew to these moments inside each person's merchant."""
    from ethogram.log import Log

    table = log.table()
    order = np.random.default_rng(0).random(len(table))
    user, item = table["user"].to_numpy(), table["item_code"].to_numpy()
    time = table["time"].cast(pa.int64()).to_numpy().copy()
    by_time, by_chance = np.lexsort((time, item, user)), np.lexsort((order, item, user))
    dealt = np.empty_like(time)
    dealt[by_chance] = time[by_time]
    place = table.column_names.index("time")
    kept = [n for n in table.column_names if n not in ("event", "user_code", "item_code")]
    made = table.set_column(place, "time", pa.array(dealt, pa.timestamp("us", "UTC"))).select(kept)
    roles = {name: name for name in ("user", "item", "time", "value")}
    return Log.open(made, users=log.users, **roles)


def _over(
    values: list[list[float]], again: list[Callable[[np.ndarray], float]], sizes: list[int], bench: Any
) -> Estimate:
    random = np.random.default_rng(0)
    draws = [
        np.mean([f(random.integers(0, n, n)) for f, n in zip(again, sizes, strict=True)])
        for _ in range(20 if bench.quick else DRAWS)
    ]
    seeds = tuple(v[0] for v in values)
    found = interval(float(np.mean(seeds)), np.array(draws))
    return Estimate(found.value, found.low, found.high, units=sum(sizes), unit="people", seeds=seeds)
