"""What is claimed of `desmil`, and how it is measured.

ComiRec-SA is the same network with all examples alike. One budget for all networks. The whole catalogue is ranked, seen
items are left out, ties of score get mid-ranks; on MovieLens-100K both readings of simultaneous ratings are measured.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Gap, Grid, Law, Laws, claim
from ethogram.claims.recommend.floors import FLOORS, TIES, stored_order
from ethogram.claims.recommend.icsrec import GAMES, some

SETTINGS = {"epochs": 10, "patience": 2, "lr": 3e-3, "dropout": 0.3}
SASREC = {"epochs": 10, "patience": 2, "lr": 2e-3, "dropout": 0.4, "precision": "bf16"}
SHIFT = {"dim": 32, "epochs": 6, "lr": 5e-3, "batch": 2_048, "inner": 20}
QUICK = {"epochs": 1, "questions": 48, "dim": 16, "inner": 2}
LEVELS = (0.1, 0.5, 0.9)


@claim("desmil", "Beats the same network with all examples alike, and the floors, on real histories")
def real(bench: Any) -> list[Grid]:
    arms = {"desmil": ("desmil", SETTINGS), "ComiRec-SA": ("desmil", {**SETTINGS, "stable": False})}
    own = {"one interest": ("desmil", {**SETTINGS, "interests": 1, "stable": False})}
    own |= {"5 functions, as in the paper": ("desmil", {**SETTINGS, "features": 5, "dims": 16})}
    holds = [Gap("desmil", "ComiRec-SA") >= 0, Gap("desmil", "transition kernel") >= 0]
    how = {"metric": "ndcg@20", "protocol": "leave-last-out", "quick": QUICK, "holds": holds, "budget": "15m"}
    everybody = arms | {"SASRec": ("sasrec", SASREC)} | FLOORS
    games = ("amazon_games, a quarter", some("amazon_games", GAMES))
    others: list[Any] = [] if bench.quick else ["ml_100k", (TIES, stored_order)]
    return [Grid(arms=everybody, ablations=own, data=[games, *others], seeds=3, **how)]


@claim("desmil", "Stays good when what goes together changes")
def shift(bench: Any) -> Laws:
    return Laws(
        Law("recall@20 where companions are rare, desmil / ComiRec-SA", lambda b: gain(b, 0.1), ">=", 1.05),
        Law("recall@20 where they are as in training, desmil / ComiRec-SA, less 1, absolute",
            lambda b: abs(gain(b, 0.9) - 1), "<=", 0.01),
        Law("loss of recall@20 from companions as in training to rare ones, desmil less ComiRec-SA",
            lambda b: lost(b, True) - lost(b, False), "<", 0),
    )  # fmt: skip


@claim("desmil", "Weights of examples make interests more independent and stay sane")
def weights(bench: Any) -> Laws:
    return Laws(
        Law("dependence of numbers of correlation 0.8, weighted over unweighted", lambda b: under(5)[0], "<=", 0.7),
        Law("largest weight", lambda b: under(5)[1], "<", 10),
        Law("effective share of the examples", lambda b: under(5)[2], ">=", 0.5),
        Law("the same by other random functions, 5 of them as in the paper", lambda b: under(5)[3], "<=", 0.7),
        Law("the same, 20 of them", lambda b: under(20)[3], "<=", 0.7),
        Law("dependence of the interests in the last epoch over the first, all examples alike, Games",
            lambda b: growth(b), ">", 1),
        Law("gain of ndcg@10 over ComiRec-SA, people with rare pairs of interests, Games", lambda b: rare(b), ">", 0),
    )  # fmt: skip


@cache
def _shifted(quick: bool, stable: bool) -> dict[float, float]:
    """Mean recall@20 over the seeds by how often companions go together in the test."""
    from ethogram import data
    from ethogram.data.companions import Companions
    from ethogram.log import Candidates, Histories
    from ethogram.system import system

    users, seeds = (200, 1) if quick else (4_000, 3)
    log = data.load("companions", users=users, together=0.9)
    found: dict[float, list[float]] = {level: [] for level in LEVELS}
    options = {**SHIFT, "stable": stable} | ({"epochs": 1} if quick else {})
    for seed in range(seeds):
        built = system("desmil", **options).fit(log, seed=seed)
        for level in LEVELS:
            made = Companions(users=users, together=level, seed=99 + seed)
            taken, target = made._made["taken"], made._made["target"]
            every = Candidates.of(list(range(2 * made.pairs * made.items)))
            scores = np.array(built.score(Histories.of(taken.tolist()), every))
            np.put_along_axis(scores, taken, -np.inf, 1)
            above = (scores > scores[np.arange(users), target][:, None]).sum(1)
            found[level].append(float((above < 20).mean()))
    return {level: float(np.mean(values)) for level, values in found.items()}


def gain(bench: Any, level: float) -> float:
    return _shifted(bench.quick, True)[level] / max(_shifted(bench.quick, False)[level], 1e-9)


def lost(bench: Any, stable: bool) -> float:
    found = _shifted(bench.quick, stable)
    return found[0.9] - found[0.1]


@cache
def under(functions: int, n: int = 1_000) -> tuple[float, float, float, float]:
    """(dependence under the weights over without, largest weight, effective share, the ratio by other functions)."""
    import torch

    from ethogram.nn.independence import dependence, effective, fourier, learn_weights

    one, other = torch.randn(2, n, generator=torch.Generator().manual_seed(0))
    both = torch.stack([one, 0.8 * one + 0.6 * other], 1).unsqueeze(2)
    fitted, fresh = (fourier(both, functions, torch.Generator().manual_seed(s)) for s in (2, 9))
    weight = learn_weights(fitted, steps=30)
    ratios = [float(dependence(f, weight) / dependence(f)) for f in (fitted, fresh)]
    return ratios[0], float(weight.max()), effective(weight) / n, ratios[1]


@cache
def _games(quick: bool, stable: bool, epochs: int | None = None) -> tuple[Any, Any]:
    """(the split, a system fitted on it)."""
    from ethogram.system import system

    cut = some("amazon_games", GAMES)(quick).split("leave-last-out")
    options = {**SETTINGS, "stable": stable} | ({"epochs": 1, "dim": 16} if quick else {})
    if epochs is not None:
        options |= {"epochs": epochs}
    return cut, system("desmil", **options).fit(cut.train, None if epochs else cut.valid, seed=0)


def growth(bench: Any) -> float:
    built = _games(bench.quick, False, 2 if bench.quick else 8)[1]
    found = built.dependence().column("dependence").to_pylist()
    return float(found[-1] / found[0])


def rare(bench: Any, kinds: int = 20) -> Estimate:
    """Difference over the users whose two commonest kinds of items are the rarest tenth of pairs in training.

    Kinds are k-means of the items' vectors under implicit ALS of the training part.
    """
    from ethogram.evaluate.protocol import evaluate
    from ethogram.numeric.kmeans import kmeans
    from ethogram.system import system

    cut, ours = _games(bench.quick, True)
    plain = _games(bench.quick, False)[1]
    als = system("als", factors=16, iterations=3 if bench.quick else 10).fit(cut.train)
    model = als.fitted.model
    unit = model.vectors / np.maximum(np.linalg.norm(model.vectors, axis=1, keepdims=True), 1e-9)
    kind = np.append(kmeans(unit, kinds, seed=0)[1], -1)
    pair = _pairs(cut.train.histories(), kind, model.known, kinds)
    counts = np.bincount(pair[pair >= 0], minlength=kinds * kinds)
    told = [evaluate(s, cut, ks=(10,), bootstrap=2).vectors for s in (ours, plain)]
    histories = cut.test.questions("next").histories
    mine = _pairs(histories, kind, model.known, kinds)
    known = np.where(mine >= 0, counts[np.maximum(mine, 0)], np.iinfo(np.int64).max)
    gap = np.asarray(told[0]["ndcg@10"]) - np.asarray(told[1]["ndcg@10"])
    chosen = gap[np.argsort(known, kind="stable")[: max(2, len(known) // 10)]]
    drawn = np.random.default_rng(0).choice(chosen, (1_000, len(chosen))).mean(1)
    return Estimate(float(chosen.mean()), *np.quantile(drawn, [0.025, 0.975]).tolist(), units=len(chosen))


def _pairs(histories: Any, kind: np.ndarray, known: Any, kinds: int) -> np.ndarray:
    """The two commonest kinds of each history as one number, -1 where there are not two."""
    places, offsets = histories.flat()
    mine = kind[known.rows_in(histories.vocabularies["item"])[np.asarray(histories.item)[places]]]
    owner = np.repeat(np.arange(len(histories)), np.diff(offsets))
    there = mine >= 0
    counts = np.zeros((len(histories), kinds), np.int64)
    np.add.at(counts, (owner[there], mine[there]), 1)
    top = np.sort(np.argsort(-counts, axis=1, kind="stable")[:, :2], axis=1)
    return np.where((counts > 0).sum(1) >= 2, top[:, 0] * kinds + top[:, 1], -1)
