"""What is claimed of `dccf`, and how it is measured.

MovieLens-100K, ratings of 4 and more, each user's dealt 70/10/20 at random, so that simultaneous ratings do not matter;
random edges are planted in training only. "Random edges" is the same encoder without the learned views whose contrast
drops edges at random (SGL), "no views" the sum-form of LightGCN; `lightgcn` of this package stands beside them. The
whole catalogue is ranked, seen items are left out, ties of score get mid-ranks.

Settings of every arm come from a small grid on that set's validation part (recall@20, NDCG@10; one seed): dccf .326,
LightGCN .324, "no views" .321, "random edges" .310 at their best; a contrast of .1 in the place of .01 cost dccf .15,
128 prototypes in the place of 32 nothing. An earlier run let prototypes pay the mean of their squared entries, a
thousandth of what they should, stopped LightGCN on its first plateau and gave dccf a tenth of the penalty that its
validation asks for. Intents were looked at on people of another seed.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ethogram.claims import Gap, Grid, Law, Laws, claim
from ethogram.claims.recommend.accidents import log, noisy
from ethogram.claims.recommend.floors import FLOORS, TIES, stored_order
from ethogram.claims.recommend.icsrec import GAMES, some

SETTINGS = {
    "epochs": 40, "patience": 4, "batch": 2_048, "prototypes": 32, "lr": 2e-3, "regularisation": 1.0, "weight": 0.01,
}  # fmt: skip
OFF = {"intent": False, "masks": False}
PLAIN = {"lr": 5e-3, "regularisation": 0.3, "patience": 6}
RANDOM = {"lr": 5e-3, "patience": 6}
LIGHTGCN = {"factors": 32, "layers": 2, "epochs": 80, "patience": 10, "lr": 5e-3, "regularisation": 1e-3}
QUICK = {"epochs": 1, "questions": 48, "iterations": 2}
FOLDED = {"dccf, folded in": ("dccf", {**SETTINGS, "fold_in": "always"})}
NOISE = (0.1, 0.2, 0.3)


def arms() -> dict[str, Any]:
    def made(**options: Any) -> Any:
        return ("dccf", {**SETTINGS, **options})

    return {
        "dccf": made(),
        "random edges": made(**OFF, **RANDOM, augment="random"),
        "no views": made(**OFF, **PLAIN, augment="none"),
        "LightGCN": ("lightgcn", LIGHTGCN),
    }


@claim("dccf", "Beats LightGCN, and each of its parts adds")
def quality(bench: Any) -> list[Grid]:
    own = {
        "without intents": ("dccf", {**SETTINGS, "intent": False}),
        "without masks": ("dccf", {**SETTINGS, "masks": False}),
        "without contrast": ("dccf", {**SETTINGS, "augment": "none"}),
    }
    own |= FOLDED
    holds = [Gap("dccf", other) >= 0 for other in ("LightGCN", "no views", "random edges")]
    parts = [Gap("dccf", other) >= 0 for other in ("without intents", "without masks", "without contrast")]
    how = {"metric": "recall@20", "protocol": "leave-last-out", "quick": QUICK, "exclude_seen": True}
    kernel = [Gap("dccf", "transition kernel") >= 0]
    main = Grid(arms=arms() | FLOORS, ablations=own, data=[("ml_100k, dealt", log(0.0))], holds=holds + parts, **how)
    if bench.quick:
        return [main]
    noisier = [(f"noise {n}", log(n)) for n in NOISE]
    in_time = [("amazon_games, a quarter", some("amazon_games", GAMES)), "ml_100k", (TIES, stored_order)]
    return [
        main,
        Grid(arms=arms() | FLOORS, data=noisier, seeds=1, holds=[Gap("dccf", "random edges") >= 0], **how),
        Grid(arms=arms() | FOLDED | FLOORS, data=in_time, seeds=1, holds=holds + kernel, **how),
    ]


@claim("dccf", "Finds planted intents, notices random edges, and loses less by them")
def known(bench: Any) -> Laws:
    return Laws(
        Law("normalised mutual information of the users' largest intent with the planted one",
            lambda b: information(b.quick)[0], ">", 0.3),
        Law("the same less that of k-means of LightGCN's vectors",
            lambda b: information(b.quick)[0] - information(b.quick)[1], ">", 0),
        Law("that of k-means of the mixtures less that of k-means of LightGCN's vectors",
            lambda b: information(b.quick)[2] - information(b.quick)[1], ">", 0),
        Law("trust in true edges less that in planted ones, noise 0.15", lambda b: trusted(b.quick)[0], ">", 0),
        Law("AUC of trust as a detector of planted edges", lambda b: trusted(b.quick)[1], ">=", 0.65),
        Law("the same less that of the item's popularity", lambda b: trusted(b.quick)[1] - trusted(b.quick)[2], ">", 0),
        Law("recall@20 trained without the least trusted 13% of the edges, less trained with them",
            lambda b: pruned(b.quick), ">=", 0),
        Law("fall of recall@20 from noise 0 to 0.3, dccf less random edges", lambda b: falls(b), "<", 0),
    )  # fmt: skip


@cache
def information(quick: bool, kinds: int = 8) -> tuple[float, float, float]:
    """(of dccf's largest intents, with as many prototypes as there are intents; of k-means of LightGCN's vectors; of
    k-means of dccf's mixtures), one task a user. Few pairs: both take small batches, to have as many steps."""
    from ethogram import data
    from ethogram.evaluate.partition import normalised_information
    from ethogram.numeric.kmeans import kmeans
    from ethogram.system import system

    how = {"users": 150 if quick else 2_000, "intents": kinds, "tasks": 1, "steps": (6, 12), "items": 400}
    events, truth = data.load("intents", **how), data.truth("intents", **how)["events"].to_pydict()
    user, first = np.unique(np.array(truth["user"]), return_index=True)
    intent = dict(zip(user.tolist(), np.array(truth["intent"])[first].tolist(), strict=True))
    epochs = {"epochs": 1 if quick else 20, "batch": 512}
    ours = system("dccf", **{**SETTINGS, "prototypes": kinds, **epochs}).fit(events, seed=0)
    told = ours.intents().to_pydict()
    planted = [intent[u] for u in told["user"]]
    plain = system("lightgcn", **{**LIGHTGCN, **epochs}).fit(events, seed=0).fitted.model
    cluster = kmeans(plain.users, kinds, seed=0)[1]
    theirs = [intent[u] for u in plain.known.users.ids.to_pylist()]
    mixed = kmeans(np.array(told["mixture"], np.float32), kinds, seed=0)[1]
    pairs = ((told["intent"], planted), (cluster, theirs), (mixed, planted))
    one, other, third = (normalised_information(*p) for p in pairs)
    return one, other, third


@cache
def _noisy(quick: bool) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """(the split with 15% random edges, dccf fitted on it, trust of each pair, which are random)."""
    from ethogram.system import system

    made = noisy(0.15, small=quick, seed=1)  # accidents of seed 0 were looked at while trust was built
    cut = made.log.split("leave-last-out")
    built = system("dccf", **{**SETTINGS, **({"epochs": 1} if quick else {})}).fit(cut.train, cut.valid, seed=0)
    strays = set(zip(*(made.accidents[n].to_pylist() for n in ("user", "item")), strict=True))
    rows = built.trust().to_pydict()
    stray = np.array([pair in strays for pair in zip(rows["user"], rows["item"], strict=True)])
    return cut, built, np.array(rows["trust"]), stray


@cache
def trusted(quick: bool) -> tuple[float, float, float]:
    """(mean trust of true edges less planted ones, AUC of trust, AUC of how many people took the item)."""
    _, built, trust, stray = _noisy(quick)
    items = built.fitted.pairs.items
    popular = np.bincount(items)[items].astype(float)
    return float(trust[~stray].mean() - trust[stray].mean()), _auc(trust, stray), _auc(popular, stray)


def _auc(value: np.ndarray, stray: np.ndarray) -> float:
    """Chance that a true edge has a larger value than a planted one; ties count half."""
    below = np.searchsorted(np.sort(value[stray]), value[~stray], side="left")
    level = np.searchsorted(np.sort(value[stray]), value[~stray], side="right") - below
    return float((below + level / 2).mean() / max(int(stray.sum()), 1))


def pruned(quick: bool, share: float = 0.13) -> float:
    """Recall trained again without the edges of least trust, less that trained with all."""
    import pyarrow as pa

    from ethogram.evaluate.protocol import evaluate
    from ethogram.log import Log
    from ethogram.system import system

    cut, built, trust, _ = _noisy(quick)
    pairs = built.trust().to_pydict()
    low = trust <= np.quantile(trust, share)
    gone = {p for p, bad in zip(zip(pairs["user"], pairs["item"], strict=True), low, strict=True) if bad}
    rows = [r for r in cut.train.frame().collect().to_arrow().to_pylist() if (r["user"], r["item"]) not in gone]
    table = pa.table({n: [r[n] for r in rows] for n in ("user", "item", "order")})
    fresh = system("dccf", **{**SETTINGS, **({"epochs": 1} if quick else {})}).fit(Log.open(table), cut.valid, seed=0)
    found = [evaluate(s, cut, ks=(20,), exclude_seen=True, bootstrap=2).metrics["recall@20"] for s in (fresh, built)]
    return float(found[0] - found[1])


def falls(bench: Any) -> float:
    """Lost recall of ours less that of random edges, at the first seed."""
    lost = []
    for name in ("dccf", "random edges"):
        runs = {data: r for arm, data, seed, r in bench.records if arm == name and seed == 0}
        first, last = runs.get("ml_100k, dealt", runs.get("quick")), runs.get(f"noise {NOISE[-1]}", runs.get("quick"))
        assert first is not None
        assert last is not None
        lost.append(first.metrics["recall@20"] - last.metrics["recall@20"])
    return float(lost[0] - lost[1])
