"""What is claimed of `aw_moe`, and how it is measured.

Settings were chosen on the validation part of the generator with another seed; nothing was chosen on test. DIN and the
pooled network have as many parameters as the experts and their gate, the same features and the same budget of epochs.

The claim was declared anew once, after its first measurement, in which the gates of all people were nearly one vector.
The equations were checked one by one and stand; the gate was too narrow and had too few people to learn from: its units
are now twice as wide, and 3,000 people with 6 searches each stand for 700 with 12, whom networks knew by heart. A gate
that begins without the part that all people share was tried and left: on validation it was better here and worse on
Complete Journey. No threshold changed. On that validation part the blend comes as far as DIN and no further (gauc .718
and .719, where who knows the truth has .763): DIN's attention reads products of past and judged columns as well, so
what it sums up may say the type already, and one tower of as many parameters can go by it.

The last law is new. Without the loss a part that all people share fills the gates, so the gates of a whole and of a
halved history are alike, whoever's they are; the loss takes that part away, and the cosine itself falls. What the loss
asks for is that the own history is nearer than another person's, and that is measured beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ethogram.claims import Gap, Grid, Law, Laws, claim

WORLD = {"users": 3_000, "slates": 6}
SMALL = {"users": 32, "items": 60, "slates": 3, "many": (10, 15)}
TUNED = {
    "dim": 4, "side": 4, "lr": 6e-3, "epochs": 8, "patience": 3, "batch": 1_024, "decay": 0.3, "dropout": 0.0,
}  # fmt: skip
REAL = {"dim": 16, "lr": 2e-3, "decay": 1.0, "batch": 1_024, "epochs": 3, "patience": 1, "last": 50}
WIDE = {"hidden": (208, 64)}
FLOORS = {
    "smoothed rates": "smoothed_rates",
    "hashed regression": "hashed_regression",
    "boosted aggregates": "boosted_aggregates",
}
QUICK = {"epochs": 1, "questions": 32, "steps": 10}
"""Settings of a quick run."""


def searched(quick: bool) -> Any:
    from ethogram import data

    return data.load("shoppers", **(SMALL if quick else WORLD))


@claim("aw_moe", "Where people put columns together by different rules, a blend of experts beats one network")
def rules(bench: Any) -> Grid:
    search = {**TUNED, "query": "query"}
    return Grid(
        arms={
            "aw_moe": ("aw_moe", search),
            "without contrast": ("aw_moe", {**search, "contrast": 0.0}),
            "gate by query alone": ("aw_moe", {**search, "gate": "asked"}),
            "recommendation mode": ("aw_moe", TUNED),
            "din": ("din", {**TUNED, **WIDE, "activation": "relu"}),
            "sum pooling": ("mean_pooled", {**TUNED, **WIDE, "activation": "relu", "pool": "sum"}),
            **FLOORS,
        },
        data=[("shoppers", searched)],
        metric="gauc",
        seeds=3,
        protocol="by-user",
        split={"valid": 0.1, "test": 0.4},
        budget="60m",
        quick=QUICK,
        holds=[
            Gap("aw_moe", "din") >= 0.01,
            Gap("aw_moe", "gate by query alone") > 0,
            Gap("recommendation mode", "din") >= 0.01,
            Gap("din", "sum pooling") > 0,
        ],
    )


@claim("aw_moe", "On real histories it is no worse than DIN")
def real(bench: Any) -> list[Grid]:
    if bench.quick:
        return []
    arms = {
        "aw_moe": ("aw_moe", REAL),
        "without contrast": ("aw_moe", {**REAL, "contrast": 0.0}),
        "din": ("din", {**REAL, **WIDE, "activation": "relu"}),
        "sum pooling": ("mean_pooled", {**REAL, **WIDE, "activation": "relu", "pool": "sum"}),
        **FLOORS,
    }
    holds = [Gap("aw_moe", "din") >= -0.002]
    return [Grid(arms=arms, data=["ml_100k"], metric="gauc", seeds=1, budget="60m", holds=holds)]


class Person(NamedTuple):
    """A row per test person, a column per seed: AUC within slates, gates; cosine of the gate of half of the history
    with that of the whole (of the first question), and less that with another person's whole."""

    newcomer: np.ndarray
    type: np.ndarray
    auc: np.ndarray
    gate: np.ndarray
    cosine: np.ndarray
    apart: np.ndarray


@cache
def people(quick: bool, contrast: float) -> Person:
    """Test people of the generator under fitted models of three seeds."""
    from ethogram import data
    from ethogram.evaluate.classification import auc_by_group
    from ethogram.evaluate.evaluation import units_of
    from ethogram.system import system

    options: Mapping[str, Any] = SMALL if quick else WORLD
    told = data.truth("shoppers", **options)["types"]
    cut = searched(quick).split("by-user", valid=0.3 if quick else 0.1, test=0.4)
    asked = cut.test.questions("slates")
    unit = units_of(asked.histories)
    ends = asked.candidates.flat(len(asked))[1]
    owner = np.repeat(unit, np.diff(ends))
    first = np.unique(unit, return_index=True)[1]
    ids = asked.histories.vocabularies["user"].decode(asked.histories.users[first]).to_pylist()
    half = asked.histories.only(halved(asked.histories))
    auc, gate, cosine, apart = [], [], [], []
    for seed in range(1 if quick else 3):
        more = {"epochs": 1, "questions": 32} if quick else {}
        model = system("aw_moe", **{**TUNED, "query": "query", "contrast": contrast, **more})
        model.fit(cut.train, cut.valid, seed=seed)
        scores = np.asarray(model.score(asked.histories, asked.candidates, asked.context)).ravel()
        inside, weight, _ = auc_by_group(asked.label, scores, asked.weight, offsets=ends)
        there = ~np.isnan(inside)
        over = np.bincount(unit, np.where(there, inside * weight, 0.0))
        auc.append(over / np.maximum(np.bincount(unit, there * weight), 1e-12))
        whole, less = (model.gates(h, asked.candidates, asked.context) for h in (asked.histories, half))
        count = np.bincount(owner)
        one, other = (g[ends[:-1]][first] for g in (whole, less))
        one, other = (g / np.maximum(np.linalg.norm(g, axis=1, keepdims=True), 1e-12) for g in (one, other))
        cosine.append((one * other).sum(1))
        apart.append(cosine[-1] - (one.mean(0) * other).sum(1))
        gate.append(np.stack([np.bincount(owner, column) / count for column in whole.T], 1))
    kinds = told["type"].to_pylist()
    newcomer = np.asarray(told["newcomer"])[ids]
    names = np.array(sorted(set(kinds)))
    types = np.searchsorted(names, np.array(kinds)[ids])
    return Person(newcomer, types, *(np.stack(x, -1) for x in (auc, gate, cosine, apart)))


def halved(histories: Any) -> np.ndarray:
    """Which shared rows stay where each is dropped with probability 1/2 and the last of a history never is, bool."""
    drawn = np.random.default_rng(0).random(len(histories.starts))
    for start, stop in {*zip(histories.start.tolist(), histories.stop.tolist(), strict=True)}:
        if stop > start:
            drawn[start + drawn[start:stop].argmin()] = 0.0
    return drawn < 0.5


@claim("aw_moe", "Its contrastive gate helps newcomers most, and the gate tells what people go by")
def newcomers(bench: Any) -> Laws:
    return Laws(
        Law("gain of the contrastive loss for newcomers, AUC within slates", gain, ">=", 0.003),
        Law("the same less the gain for everybody", more, ">", 0.0),
        Law("share of people with 10 events or more whose type a linear probe reads from the gate", known, ">=", 0.9),
        Law("the same for newcomers, with the contrastive loss less without", learned, ">", 0.0),
        Law(
            "cosine of the gates of a history and of half of it, with the contrastive loss less without",
            lambda bench: held(bench, "cosine"), ">=", 0.1,
        ),
        Law(
            "the same cosine less that with the gates of all people",
            lambda bench: held(bench, "apart"), ">=", 0.1,
        ),
    )  # fmt: skip


def gains(bench: Any) -> tuple[np.ndarray, np.ndarray]:
    """(gain of each test person, mean over seeds; whether a newcomer)."""
    with_, without = people(bench.quick, 0.05), people(bench.quick, 0.0)
    return (with_.auc - without.auc).mean(1), with_.newcomer


def gain(bench: Any) -> Any:
    from ethogram.evaluate import bootstrap
    from ethogram.evaluate.verdict import Estimate

    each, new = gains(bench)
    found = bootstrap.mean(each[new])
    return Estimate(found.value, found.low, found.high, units=int(new.sum()))


def more(bench: Any) -> Any:
    """Newcomers and all are drawn together, so the interval is of the difference."""
    from ethogram.evaluate import bootstrap
    from ethogram.evaluate.verdict import Estimate

    each, new = gains(bench)
    drawn = bootstrap.sums(np.stack([each * new, new, each, np.ones(len(each))], 1))
    draws = drawn[:, 0] / np.maximum(drawn[:, 1], 1) - drawn[:, 2] / drawn[:, 3]
    found = bootstrap.interval(float(each[new].mean() - each.mean()), draws)
    return Estimate(found.value, found.low, found.high, units=len(each))


def probed(found: Person, new: bool) -> float:
    """Accuracy of a linear probe that learned from half of the people, of the other half, mean over seeds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    right, half = [], np.arange(len(found.type)) % 2 == 0
    for seed in range(found.gate.shape[2]):
        gate = StandardScaler().fit_transform(found.gate[:, :, seed])
        probe = LogisticRegression(C=100.0, max_iter=1_000).fit(gate[half], found.type[half])
        judged = ~half & (found.newcomer == new)
        right.append(float((probe.predict(gate[judged]) == found.type[judged]).mean()))
    return float(np.mean(right))


def known(bench: Any) -> float:
    return probed(people(bench.quick, 0.05), False)


def learned(bench: Any) -> float:
    return probed(people(bench.quick, 0.05), True) - probed(people(bench.quick, 0.0), True)


def held(bench: Any, what: str) -> float:
    with_, without = (getattr(people(bench.quick, weight), what) for weight in (0.05, 0.0))
    return float(with_.mean() - without.mean())
