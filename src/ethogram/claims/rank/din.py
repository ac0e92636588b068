"""What is claimed of `din`, and how it is measured.

Settings were chosen on the validation parts; nothing was chosen on test. All networks have the same features, widths
and budget of epochs.
"""

from __future__ import annotations

from functools import cache
from itertools import cycle
from typing import Any

import numpy as np

from ethogram.claims import Gap, Grid, Law, Laws, NotMeasurable, claim
from ethogram.claims.explaining import NAMED, deleted

TUNED = {"dim": 16, "side": 16, "lr": 3e-3, "decay": 0.3, "batch": 1_024, "epochs": 4, "patience": 2, "last": None}
REAL = {"dim": 16, "lr": 2e-3, "decay": 1.0, "batch": 1_024, "epochs": 4, "patience": 1, "last": 50}
CROSSES = {"logistic regression": "lr", "Wide & Deep": "wide_deep", "PNN": "pnn"}
FLOORS = {
    "smoothed rates": "smoothed_rates",
    "hashed regression": "hashed_regression",
    "boosted aggregates": "boosted_aggregates",
}
JOURNEY = {"households": 400, "max_baskets": 5_000, "negatives": 10}
AIDS: dict[str, dict[str, Any]] = {
    "no decay": {"decay": 0.0},
    "half of the ids dropped": {"decay": 0.0, "drop_ids": 0.5},
    "frequent half of the ids": {"decay": 0.0, "frequent": 1_500},
    "decay alike at every touch": {"penalty": "frequent"},
}
"""What the paper compares mini-batch aware regularisation with: none, dropout, a filter, DiFacto's penalty."""
QUICK = {"epochs": 1, "questions": 48, "steps": 10}
"""Settings of a quick run."""


def arms(settings: dict[str, Any]) -> dict[str, Any]:
    pooled = {"mean pooling": {}, "mean pooling, crossed": {"cross": "product"}, "sum pooling": {"pool": "sum"}}
    pooled |= {n: {"cross": c} for n, c in CROSSES.items()}
    networks = {"din": ("din", settings)} | {n: ("mean_pooled", {**settings, **o}) for n, o in pooled.items()}
    return networks | {"DeepFM": ("deepfm", settings)} | FLOORS


@claim("din", "Reads several interests where a pooled history blurs them")
def interests(bench: Any) -> Grid:
    return Grid(
        arms=arms(TUNED),
        ablations={
            "PReLU": ("din", {**TUNED, "activation": "prelu"}),
            "softmax": ("din", {**TUNED, "normalise": "softmax"}),
            **{name: ("din", {**TUNED, **o}) for name, o in AIDS.items()},
        },
        data=[("interests", {"users": 1_000, "length": (30, 70), "recent": 10})],
        metric="gauc",
        seeds=3,
        protocol="by-user",
        split={"valid": 0.1, "test": 0.4},
        budget="60m",
        quick=QUICK,
        holds=[
            Gap("din", "mean pooling") >= 0.03,
            Gap("din", "sum pooling") >= 0.03,
            Gap("din", "PReLU") > 0,
            *(Gap("din", name) > 0 for name in AIDS),
        ],
    )


@claim("din", "Beats the pooled network on real histories")
def real(bench: Any) -> list[Grid]:
    if bench.quick:
        return []

    def on(data: list[Any], **how: Any) -> Grid:
        holds = [Gap("din", "mean pooling") >= 0.005]
        return Grid(arms=arms(REAL), data=data, metric="gauc", budget="60m", holds=holds, **how)

    some = on(["ml_100k", ("complete_journey", JOURNEY)], seeds=1)
    return [some, on([beauty], protocol="by-user", split={"valid": 0.1, "test": 0.3})]


def beauty(users: int = 8_000, slates: int = 3, others: int = 4) -> Any:
    """Amazon Beauty as slates: a user's last reviews, each beside products drawn by popularity that are not theirs."""
    import pyarrow as pa

    from ethogram import data
    from ethogram.log import Log

    past = data.load("amazon_beauty").sequences()
    ends, rng = past.offsets[: users + 1], np.random.default_rng(0)
    item = np.asarray(past.columns["item"][: ends[-1]], np.int64)
    user = np.repeat(np.arange(users), np.diff(ends))
    place = np.arange(len(item)) - ends[user]
    target = np.flatnonzero(ends[user + 1] - np.arange(len(item)) <= slates)
    every = np.asarray(past.columns["item"], np.int64)
    own, size = np.unique(user * (every.max() + 1) + item), every.max() + 1
    shown = np.repeat(target, others + 1)
    candidate = item[shown]
    wrong = np.tile(np.arange(others + 1) > 0, len(target))
    while (again := np.flatnonzero(wrong & np.isin(user[shown] * size + candidate, own))).size:
        candidate[again] = rng.choice(every, len(again))
    n = len(item)
    past_rows = np.repeat([True, False], [n, len(shown)])
    slate, label = np.concatenate([np.zeros(n, np.int64), shown]), np.concatenate([np.zeros(n), ~wrong])
    return Log.open(
        pa.table(
            {
                "user": np.concatenate([user, user[shown]]),
                "item": np.concatenate([item, candidate]),
                "order": np.concatenate([place, place[shown]]),
                "slate": pa.array(slate, mask=past_rows),
                "label": pa.array(label.astype(np.float32), mask=past_rows),
            }
        )
    )


@claim("din", "Mini-batch aware regularisation keeps what unregularised training loses after its peak")
def memorising(bench: Any) -> Laws:
    text = "fall of validation gauc from its peak in 20 epochs, with the penalty over without, {}"
    return Laws(
        Law(text.format("complete_journey"), lambda b: fall(b, REAL, "complete_journey", **JOURNEY), "<=", 0.5),
        Law(text.format("interests"), lambda b: fall(b, TUNED, "interests", users=500, recent=10), "<=", 0.5),
    )


def fall(bench: Any, settings: dict[str, Any], name: str, **options: Any) -> float:
    """Without early stopping, scored after every epoch on the validation part."""
    from ethogram.evaluate.classification import group_auc
    from ethogram.log import Questions
    from ethogram.nn import slates
    from ethogram.nn.prior import Prior
    from ethogram.system import system

    if name == "interests":
        options |= {"length": (30, 70)}
    cut = bench.load(name, **options).split("by-user" if name == "interests" else "temporal", valid=0.2, test=0.1)
    features = cut.train.features().limit(settings["last"])
    asked, held = cut.train.questions("slates"), cut.valid.questions("slates")
    batch, ends, prior = features.encode(held), held.candidates.flat(len(held))[1], Prior(features, cut.train)
    lost = {}
    for decay in (settings["decay"], 0.0):
        built = system("din", **{**settings, "decay": decay, "epochs": 2 if bench.quick else 20})
        shape = {"dim": built.dim, "side": built.side, "hidden": built.hidden, "dropout": built.dropout}
        network = slates.SlateNetwork(features, built._interest, act=built.activation, seed=0, **shape)
        curve: list[float] = []

        def watch(facts: Any, network: Any = network, curve: list[float] = curve, held: Questions = held) -> None:
            if facts["step"] is None:  # an epoch is over
                p = slates.score(network, batch)
                curve.append(group_auc(held.label, p, held.weight, offsets=ends).value)

        few = 48 if bench.quick else None
        how = slates.Learning(epochs=built.epochs, lr=built.lr, pairs=built.batch, decay=decay, questions=few)
        slates.fit(network, features, asked, how, popular=prior, seed=0, watch=watch)
        lost[decay] = max(curve) - curve[-1]
    if lost[0.0] < 0.001 and not bench.quick:
        raise NotMeasurable(f"without the penalty gauc falls by {lost[0.0]:.4f} only: nothing to keep from falling.")
    return lost[settings["decay"]] / max(lost[0.0], 1e-6)


@claim("din", "Mini-batch aware regularisation costs what the batch costs; attention finds the candidate's category")
def laws(bench: Any) -> Laws:
    return Laws(
        Law("largest difference of the penalty's gradient from autograd of its formula", gradient, "<=", 1e-6),
        Law("step with the penalty over step without, 1 M ids", penalty, "<=", 1.2),
        Law("step with a penalty on all rows over step with the mini-batch's, 1 M ids", full_penalty, ">=", 3.0),
        Law("step of the whole network with the penalty at 1 M ids over 10 k ids", growth, "<=", 1.3),
        Law("the same of its embedding table alone", table_growth, "<=", 1.3),
        Law("embedding parameters of one trained model", lambda b: large(b.quick)[0], ">=", 1e8),
        Law("its training's steps per CPU second", lambda b: large(b.quick)[1], ">=", 1.0),
        Law("its peak memory above the start, MiB", lambda b: large(b.quick)[2], "<=", 2_048),
        Law("mean |weight| of events of the candidate's category over others", sanity, ">=", 2.0),
        Law(NAMED, explained, ">", 0.0),
    )


def gradient(bench: Any) -> float:
    """Five ids, one step of plain descent against autograd of sum_j decay / (2 n_j) |w_j|^2 over the touched rows."""
    import torch

    from ethogram.nn.embedding import Table
    from ethogram.nn.optimise import RowSGD

    table, counts = Table(7, 3, seed=1), torch.tensor([0.0, 0.0, 4.0, 2.0, 9.0, 1.0, 5.0])
    ids = torch.tensor([2, 3, 3, 5])
    weight = table.weight.detach().clone().requires_grad_()
    touched = ids.unique()
    loss = weight[ids].square().sum() + 0.5 * 0.7 * (weight[touched].square().sum(1) / counts[touched]).sum()
    expected = weight.detach() - 0.1 * torch.autograd.grad(loss, weight)[0]
    step = RowSGD([table.weight], 0.1, decay=0.7, counts=[counts])
    table(ids).square().sum().backward()
    step.step()
    return float((table.weight - expected).detach().abs().max())


def stepper(decay: float, rows: int, *, every: bool = False) -> Any:
    """One step of a table of `rows` ids alone, 2,048 of them looked up."""
    import torch

    from ethogram.nn.embedding import Table
    from ethogram.nn.optimise import RowAdam

    table, counts = Table(rows, 16, seed=0), torch.ones(rows)
    adam = RowAdam([table.weight], decay=decay, counts=[counts])
    dense = torch.optim.SGD([table.weight], 1e-3)
    drawn = np.random.default_rng(0).integers(2, rows, (64, 2_048))  # others in every step, as in training
    batches = cycle([torch.from_numpy(ids) for ids in drawn])

    def step() -> None:
        adam.zero_grad()
        loss = table(next(batches)).square().sum()
        if every:
            (loss + 1e-6 * table.weight.square().sum()).backward()
            dense.step()
        else:
            loss.backward()
            adam.step()

    return step


def many(bench: Any) -> int:
    return 20_000 if bench.quick else 1_000_000


def penalty(bench: Any) -> Any:
    racers = {"with": stepper(0.01, many(bench)), "without": stepper(0.0, many(bench))}
    return bench.race(racers).ratio("with", "without")


def full_penalty(bench: Any) -> Any:
    racers = {"all": stepper(0.0, many(bench), every=True), "batch": stepper(0.01, many(bench))}
    return bench.race(racers).ratio("all", "batch")


def table_growth(bench: Any) -> Any:
    racers = {"1 M": stepper(0.01, many(bench)), "10 k": stepper(0.01, 10_000)}
    return bench.race(racers).ratio("1 M", "10 k")


def growth(bench: Any) -> Any:
    """Training steps of 2,048 candidates; 200,000 items, hashed to so many ids."""
    import torch

    from ethogram import data
    from ethogram.nn import slates
    from ethogram.nn.losses import bce
    from ethogram.nn.occurrences import occurrences
    from ethogram.nn.optimise import RowAdam
    from ethogram.system import system

    built, users = system("din", dim=16), 20 if bench.quick else 200
    log = data.load("interests", users=users, items=200_000, length=(50, 60), slates=20, candidates=10)

    def stepping(rows: int) -> Any:
        features = log.features().with_("item", of="item", buckets=rows).limit(built.last)
        network = slates.SlateNetwork(features, built._interest, dim=built.dim, act=built.activation)
        whole = features.encode(log.questions("slates"))
        network.count(occurrences(features, whole))
        tables, counts = zip(*network.sparse, strict=True)
        optimisers = RowAdam(tables, decay=0.01, counts=counts), torch.optim.Adam(network.dense)
        batches = cycle(slates.batches(whole, slates.Learning(pairs=2_048), np.random.default_rng(0)))
        label = torch.from_numpy(whole.label)

        def step() -> None:
            batch = next(batches)
            for optimiser in optimisers:
                optimiser.zero_grad()
            bce(network(batch), label[torch.from_numpy(batch.candidates.flat()[0])]).backward()
            for optimiser in optimisers:
                optimiser.step()

        return step

    return bench.race({"1 M": stepping(many(bench)), "10 k": stepping(10_000)}).ratio("1 M", "10 k")


@cache
def large(quick: bool) -> tuple[float, float, float]:
    """Embedding parameters, steps per CPU second and peak memory of a model with hashed ids, Dice and the penalty."""
    from ethogram import data
    from ethogram.evaluate import machine
    from ethogram.nn.ranker import SlateRanker
    from ethogram.system import system

    log = data.load("interests", users=60 if quick else 300, length=(60, 90), slates=5, candidates=5)
    features = log.features().with_("item", of="item", buckets=100_000 if quick else 6_250_000)
    features = features.without(*(c.name for c in features.columns if c.name != "item"))
    built = system("din", dim=16, epochs=1, decay=0.01, activation="dice", batch=128)
    seen: list[Any] = []
    with machine.measure() as cost:
        ranker = SlateRanker.fit(built, built._interest, log, None, seed=0, watch=seen.append, features=features)
    steps = sum(facts["step"] is not None for facts in seen)
    count = float(sum(p.numel() for p in ranker.network.tables.parameters()))
    return count, steps / cost.cpu_seconds, float("nan") if cost.peak_mb is None else cost.peak_mb


@cache
def taught(quick: bool) -> tuple[Any, Any, dict[str, str]]:
    """A fitted model, test questions of the generator, the category of each item."""
    from ethogram import data
    from ethogram.system import system

    options = {"users": 60, "slates": 5} if quick else {"users": 600}
    log = data.load("interests", **{"length": (30, 70), "recent": 10, **options})
    split = log.split("by-user", valid=0.1, test=0.1)
    built = system("din", **{**TUNED, "epochs": 1 if quick else 4}).fit(split.train, split.valid, seed=0)
    side = log.items.to_pydict()
    return built, split.test.questions("slates"), dict(zip(side["item"], side["category"], strict=True))


def sanity(bench: Any) -> float:
    """A fitted model's weights on the generator."""
    built, asked, category = taught(bench.quick)
    few = asked[0:200]
    same, other = [], []
    for row in built.explain(few.histories, few.candidates, k=1_000).to_pylist():
        (same if category[row["item"]] == category[row["candidate"]] else other).append(abs(row["share"]))
    return float(np.mean(same) / np.mean(other))


def explained(bench: Any) -> Any:
    return deleted(*taught(bench.quick)[:2], bench.quick)
