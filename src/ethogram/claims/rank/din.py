"""What is claimed of `din`, and how it is measured.

Settings were chosen on the validation parts; nothing was chosen on test. All networks have the same features, widths
and budget of epochs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Gap, Grid, Law, Laws, claim

TUNED = {"dim": 16, "side": 16, "lr": 3e-3, "decay": 0.3, "batch": 1_024, "epochs": 4, "patience": 2, "last": None}
REAL = {"dim": 16, "lr": 2e-3, "decay": 1.0, "batch": 1_024, "epochs": 4, "patience": 1, "last": 50}
CROSSES = {"logistic regression": "lr", "Wide & Deep": "wide_deep", "PNN": "pnn", "DeepFM": "deepfm"}
FLOORS = {"smoothed rates": "smoothed_rates", "boosted aggregates": "boosted_aggregates"}


def arms(settings: dict[str, Any]) -> dict[str, Any]:
    pooled = {"mean pooling": {}, "sum pooling": {"pool": "sum"}} | {n: {"cross": c} for n, c in CROSSES.items()}
    return {"din": ("din", settings)} | {n: ("mean_pooled", {**settings, **o}) for n, o in pooled.items()} | FLOORS


@claim("din", "Reads several interests where a pooled history blurs them")
def interests(bench: Any) -> Grid:
    return Grid(
        arms=arms(TUNED),
        ablations={
            "PReLU": ("din", {**TUNED, "activation": "prelu"}),
            "softmax": ("din", {**TUNED, "normalise": "softmax"}),
            "no decay": ("din", {**TUNED, "decay": 0.0}),
        },
        data=[("interests", {"users": 1_000, "length": (30, 70), "recent": 10})],
        metric="gauc",
        seeds=3,
        protocol="by-user",
        split={"valid": 0.1, "test": 0.4},
        budget="60m",
        holds=[Gap("din", "mean pooling") >= 0.03, Gap("din", "sum pooling") >= 0.03],
    )


@claim("din", "Beats the pooled network on real histories")
def real(bench: Any) -> Grid:
    return Grid(
        arms=arms(REAL),
        data=["ml_100k", ("complete_journey", {"households": 400, "max_baskets": 5_000, "negatives": 10})],
        metric="gauc",
        seeds=1,
        budget="60m",
        holds=[Gap("din", "mean pooling") >= 0.005],
    )


@claim("din", "Mini-batch aware regularisation costs what the batch costs; attention finds the candidate's category")
def laws(bench: Any) -> Laws:
    return Laws(
        Law("largest difference of the penalty's gradient from autograd of its formula", gradient, "<=", 1e-6),
        Law("step with the penalty over step without, 1 M ids", penalty, "<=", 1.2),
        Law("step with a penalty on all rows over step with the mini-batch's, 1 M ids", full_penalty, ">=", 3.0),
        Law("embedding parameters of one trained model", parameters, ">=", 1e8),
        Law("mean |weight| of events of the candidate's category over others", sanity, ">=", 2.0),
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


def stepper(decay: float, *, every: bool = False, rows: int = 1_000_000) -> Any:
    """One step of a table of `rows` ids with 2,048 touched."""
    import torch

    from ethogram.nn.embedding import Table
    from ethogram.nn.optimise import RowAdam

    table, counts = Table(rows, 16, seed=0), torch.ones(rows)
    adam = RowAdam([table.weight], decay=decay, counts=[counts])
    dense = torch.optim.SGD([table.weight], 1e-3)
    ids = torch.from_numpy(np.random.default_rng(0).integers(2, rows, 2_048))

    def step() -> None:
        adam.zero_grad()
        loss = table(ids).square().sum()
        if every:
            (loss + 1e-6 * table.weight.square().sum()).backward()
            dense.step()
        else:
            loss.backward()
            adam.step()

    return step


def penalty(bench: Any) -> Any:
    return bench.race({"with": stepper(0.01), "without": stepper(0.0)}).ratio("with", "without")


def full_penalty(bench: Any) -> Any:
    rows = 100_000 if bench.quick else 1_000_000
    racers = {"all": stepper(0.0, every=True, rows=rows), "batch": stepper(0.01, rows=rows)}
    return bench.race(racers).ratio("all", "batch")


def parameters(bench: Any) -> float:
    """Trains on the generator with a table of 1e8 embedding parameters: hashed ids, Dice and the penalty on."""
    from ethogram import data
    from ethogram.nn.ranker import SlateRanker
    from ethogram.system import system

    log = data.load("interests", users=60, length=(60, 90), slates=5, candidates=5)
    rows = 100_000 if bench.quick else 6_250_000
    features = log.features().with_("item", of="item", buckets=rows)
    features = features.without(*(c.name for c in features.columns if c.name != "item"))
    built = system("din", dim=16, epochs=1, decay=0.01, activation="dice")
    ranker = SlateRanker.fit(built, built._interest, log, None, seed=0, watch=None, features=features)
    return float(sum(p.numel() for p in ranker.network.tables.parameters()))


def sanity(bench: Any) -> float:
    """A fitted model's weights on the generator."""
    from ethogram import data
    from ethogram.system import system

    options = {"users": 60, "slates": 5} if bench.quick else {"users": 600}
    log = data.load("interests", **{"length": (30, 70), "recent": 10, **options})
    split = log.split("by-user", valid=0.1, test=0.1)
    told = {**TUNED, "epochs": 1 if bench.quick else 4}
    built = system("din", **told).fit(split.train, split.valid, seed=0)
    asked = split.test.questions("slates")[0:200]
    found = built.explain(asked.histories, asked.candidates, k=1_000).to_pylist()
    side = log.items.to_pydict()
    category = dict(zip(side["item"], side["category"], strict=True))
    same, other = [], []
    for row in found:
        (same if category[row["item"]] == category[row["candidate"]] else other).append(abs(row["share"]))
    return float(np.mean(same) / np.mean(other))
