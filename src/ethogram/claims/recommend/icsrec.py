"""What is claimed of `icsrec`, and how it is measured.

A to E as the specification names them: A SASRec with one sampled negative, B every prefix with the softmax over all
items (no contrast), C and D one contrast each, E both. One budget of epochs and one precision (bfloat16) for all; the
weights of the contrasts were chosen on the validation part of Beauty. The whole catalogue is ranked, seen items are
left out, ties of score get mid-ranks; on MovieLens-100K both readings of simultaneous ratings are measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Gap, Grid, Law, Laws, Ratio, claim
from ethogram.claims.recommend.floors import FLOORS, TIES, stored_order

SETTINGS = {"epochs": 12, "patience": 2, "precision": "bf16", "dropout": 0.4, "lr": 2e-3}
CONTRAST = {"coarse": 0.1, "fine": 0.1, "temperature": 4.0, "intents": 128}
PLAIN = {"coarse": 0.0, "fine": 0.0}
QUICK = {"epochs": 1, "questions": 48, "dim": 16, "intents": 8, "pairs": 32}
BEAUTY, GAMES = "user <= 5590", "user_code < 3800"
"""Users of Amazon Beauty and Games that are read, the first ones: a quarter. Those of Games are named by texts."""


def arms() -> dict[str, Any]:
    def made(**options: Any) -> Any:
        return ("icsrec", {**SETTINGS, **CONTRAST, **options})

    return {
        "A SASRec, one negative": made(**PLAIN, loss="negative"),
        "B prefixes, full softmax": made(**PLAIN),
        "C B and coarse": made(fine=0.0),
        "D B and fine": made(coarse=0.0),
        "icsrec": made(),
    }


def some(name: str, users: str) -> Any:
    """A function of the grid's form: the log of the users for whom an expression holds."""

    def first(quick: bool = False) -> Any:
        from ethogram import data
        from ethogram.claims.bench import SMALL

        return data.load("interests", **SMALL) if quick else data.load(name).where(users)

    return first


@claim("icsrec", "Contrast of intents adds to prefix augmentation with the full softmax, which beats one negative")
def quality(bench: Any) -> list[Grid]:
    how = {"metric": "ndcg@10", "protocol": "leave-last-out", "quick": QUICK}
    holds = [
        Ratio("icsrec", "A SASRec, one negative") >= 1.4,
        Gap("icsrec", "B prefixes, full softmax") >= 0,
        Gap("icsrec", "transition kernel") >= 0,
    ]
    own = {"without the mask": ("icsrec", {**SETTINGS, **CONTRAST, "mask": False})}
    own |= {"GRU": ("icsrec", {**SETTINGS, **CONTRAST, "encoder": "gru"})}
    mask = [Gap("without the mask", "icsrec") <= 0]
    beauty = ("amazon_beauty, a quarter", some("amazon_beauty", BEAUTY))
    made = [Grid(arms=arms() | FLOORS, ablations=own, data=[beauty], seeds=3, holds=holds + mask, budget="20m", **how)]
    if bench.quick:
        return made
    others = [("amazon_games, a quarter", some("amazon_games", GAMES)), "ml_100k", (TIES, stored_order)]
    return [*made, Grid(arms=arms() | FLOORS, data=others, seeds=1, holds=holds, budget="20m", **how)]


@claim("icsrec", "Finds the purposes that sequences with the same goal share")
def purposes(bench: Any) -> Laws:
    text = "adjusted Rand index of assigned against planted intents, both contrasts less none"
    return Laws(Law(text, lambda b: found(b, CONTRAST) - found(b, PLAIN), ">=", 0.1))


def found(bench: Any, weights: dict[str, Any], kinds: int = 8) -> float:
    """Agreement of k-means of the states at the goals' prefixes with the tasks' purposes."""
    from ethogram import data
    from ethogram.evaluate.partition import adjusted_rand
    from ethogram.log import Histories
    from ethogram.numeric.kmeans import kmeans

    how = {"users": 150, "items": 80} if bench.quick else {"users": 2_000}
    log, truth = data.load("intents", **how), data.truth("intents", **how)["events"].to_pydict()
    options = {**SETTINGS, **CONTRAST, **weights, "intents": 32, "length": 20, "epochs": 1 if bench.quick else 8}
    built = bench.build(("icsrec", options)).fit(log, seed=0)
    user, item, intent = (np.array(truth[n]) for n in ("user", "item", "intent"))
    goal = np.flatnonzero(np.array(truth["goal"]))
    first = np.searchsorted(user, np.arange(user.max() + 1))
    asked = Histories.of([item[first[user[g]] : g].tolist() for g in goal])
    states, there = built.fitted.model.states(asked)
    scores = []
    for seed in range(3):
        _, cluster = kmeans(states[there], kinds, seed=seed)
        scores.append(adjusted_rand(cluster, intent[goal][there]))
    return float(np.mean(scores))
