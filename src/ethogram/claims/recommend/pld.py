"""What is claimed of `pld`, and how it is measured.

MovieLens-100K, ratings of 4 and more, each user's dealt 70/10/20 at random; accidents are planted in training only.
The penalty of every arm was chosen on the validation part at noise 0.3, tau by the paper. NDCG has the ideal of
min(k, targets); ties of score get mid-ranks. Baselines draw users uniformly as `pld` does, unless they are systems of
their own.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from ethogram.claims import Gap, Grid, Law, Laws, Ratio, claim
from ethogram.claims.recommend.accidents import fitted, frozen_rate, log, noisy, predicted_rates, selection
from ethogram.claims.recommend.floors import FLOORS, TIES, stored_order

BASE = {"epochs": 60, "patience": 20, "lr": 5e-3}
SHARP = {"tau": 0.1, "regularisation": 0.01}
"""The paper's tau, for accidents."""
OWN = {"personal": 0.03, "global": 0.01, "truncated": 0.03, "reweighted": 0.03, "plain": 0.06}
"""Penalty of each way, by validation."""
LEVELS = (0.3, 0.0, 0.6)
QUICK = {"epochs": 7, "iterations": 2, "questions": 64}
TIMES = 12


def mf(**options: Any) -> Any:
    return lambda: _on("bpr_mf", {"factors": 32}, options)


def gcn(**options: Any) -> Any:
    return lambda: _on("lightgcn", {"factors": 32, "layers": 2}, options)


def _on(key: str, how: dict[str, Any], options: dict[str, Any]) -> Any:
    from ethogram.system import system

    return system("pld", backbone=system(key, **how), **{**BASE, **options})


def arms(make: Any) -> dict[str, Any]:
    found = {"pld": make(**SHARP), "pld, tau 0.5": make(tau=0.5, regularisation=OWN["personal"])}
    found |= {"plain, penalty of pld": make(how="plain", regularisation=SHARP["regularisation"])}
    names = {"plain": "plain", "global": "global", "T-CE": "truncated", "R-CE": "reweighted"}
    return found | {n: make(how=how, tau=0.1, regularisation=OWN[how]) for n, how in names.items()}


OTHERS = FLOORS | {"BPR-MF": ("bpr_mf", {"factors": 32, "optimiser": "adam", "lr": 5e-3, "regularisation": 0.06})}


@claim("pld", "Stays good when clicks are accidents, where other ways of training lose")
def accidents(bench: Any) -> list[Grid]:
    grids = []
    for noise in LEVELS[:1] if bench.quick else LEVELS:
        wanted = {0.3: 1.08, 0.6: 1.12, 0.0: 0.98}[noise]
        holds = [Ratio("pld", "plain, penalty of pld") >= wanted]
        if noise:
            holds += [Gap("pld", other) >= 0 for other in ("plain", "global", "T-CE", "R-CE")]
        own = {"pld, folded in": mf(**SHARP, fold_in="always"), "pld, 2 in a pool": mf(**SHARP, pool=2)}
        own |= {"pld, BCE": mf(**SHARP, loss="bce")}
        own |= {"plain, BCE": mf(how="plain", loss="bce", regularisation=OWN["plain"])}
        grids.append(
            Grid(
                arms=arms(mf) | OTHERS, ablations=own if noise == 0.3 else {}, data=[(f"noise {noise}", log(noise))],
                metric="recall@20", seeds=3, protocol="leave-last-out", exclude_seen=True, quick=QUICK, holds=holds,
            )
        )  # fmt: skip
    return grids


@claim("pld", "Does the same for a graph model, and a sharp tau harms where the noise is of people's own making")
def elsewhere(bench: Any) -> list[Grid]:
    how = {"metric": "recall@20", "protocol": "leave-last-out", "exclude_seen": True, "quick": QUICK, "seeds": 1}
    few = {"pld, LightGCN": gcn(tau=0.1, regularisation=1e-4)}
    few |= {"pld, LightGCN, tau 0.5": gcn(tau=0.5, regularisation=1e-4)}
    few |= {"plain, LightGCN": gcn(how="plain", regularisation=0.01)}
    few |= {"plain, LightGCN, penalty of pld": gcn(how="plain", regularisation=1e-4)}
    natural = {n: arms(mf)[n] for n in ("pld", "pld, tau 0.5", "plain")}
    natural |= {"pld, tau 1": mf(tau=1.0, regularisation=OWN["personal"])}
    graph = [Gap("pld, LightGCN", "plain, LightGCN, penalty of pld") > 0, Gap("pld, LightGCN", "plain, LightGCN") >= 0]
    made = [Grid(arms=few | FLOORS, data=[("LightGCN, noise 0.3", log(0.3))], holds=graph, **how)]
    if bench.quick:
        return made
    own = [Gap("pld, tau 1", "pld") > 0, Gap("pld, tau 1", "plain") >= 0]
    return [*made, Grid(arms=natural | FLOORS, data=[("disliked films train too", log(0.0, True))], holds=own, **how)]


@claim("pld", "Beats the floors at what comes next in time")
def in_time(bench: Any) -> list[Grid]:
    if bench.quick:
        return []
    named = {"pld, tau 1": mf(tau=1.0, regularisation=OWN["personal"]), "plain": arms(mf)["plain"]}
    named |= {"pld, tau 1, folded in": mf(tau=1.0, regularisation=OWN["personal"], fold_in="always")}
    sasrec = {"SASRec": ("sasrec", {"dim": 32, "length": 100, "epochs": 15, "patience": 2})}
    return [
        Grid(
            arms=named | OTHERS | sasrec, data=["ml_100k", (TIES, stored_order)], metric="ndcg@10", seeds=1,
            protocol="leave-last-out", quick=QUICK, holds=[Gap("pld, tau 1", "transition kernel") >= 0],
        )
    ]  # fmt: skip


@claim("pld", "Chooses accidents less often than they are offered, as its theory says and for its reason")
def theory(bench: Any) -> Laws:
    k, tau = 5, SHARP["tau"]
    return Laws(
        Law("accidents among the chosen over among the offered, noise 0.3", lambda b: selected(b), "<=", 0.5),
        Law("pick rate of accidents, simulation from means and deviations over measured, less 1, absolute",
            lambda b: abs(rates(b.quick, k, tau)[2] / rates(b.quick, k, tau)[0] - 1), "<=", 0.1),
        Law("the same of the closed form, which takes losses as equal within a kind",
            lambda b: abs(rates(b.quick, k, tau)[1] / rates(b.quick, k, tau)[0] - 1), "<=", 0.25),
        Law("moves of k and tau about whose direction the two disagree", lambda b: moves(b), "<=", 0),
        Law("overlap of losses inside users less as many from everybody, BPR", lambda b: inside(b, "bpr"), "<", 0),
        Law("the same, BCE", lambda b: inside(b, "bce"), "<", 0),
        Law("overlap of losses over everybody, BPR less BCE", lambda b: over(b, "bpr") - over(b, "bce"), ">", 0),
        Law("fall of recall@20 from noise 0 to 0.6, plain with the penalty of pld less 3 times that of pld",
            lambda b: falls(b, "plain, penalty of pld"), ">=", 0),
        Law("the same of plain with its own penalty", lambda b: falls(b, "plain"), ">=", 0),
        Law("CPU of an epoch with pools of five over plain", lambda b: overhead(b), "<=", 3),
    )  # fmt: skip


@cache
def _trained(quick: bool, loss: str, how: str) -> tuple[Any, np.ndarray]:
    options = SHARP if how == "personal" else {"regularisation": OWN[how], "how": how}
    return fitted(mf(loss=loss, **options, **({"epochs": 7} if quick else {}))(), 0.3, quick)


def selected(bench: Any) -> float:
    return selection(*_trained(bench.quick, "bpr", "personal"))


@cache
def rates(quick: bool, k: int, tau: float) -> tuple[float, float, float]:
    """(measured, closed form, simulated) share of accidents among the chosen, in the fitted model."""
    built, stray = _trained(quick, "bpr", "personal")
    draws = 2_000 if quick else 40_000
    return frozen_rate(built, stray, k, tau, draws), *predicted_rates(built, stray, k, tau)


def moves(bench: Any) -> float:
    """Of larger pools and sharper choices, how many move the two rates in opposite directions."""
    tried = [(2, 0.5), (5, 0.5), (5, 0.1)] if bench.quick else [(2, 1.0), (5, 1.0), (8, 1.0), (8, 0.5), (8, 0.1)]
    found = [rates(bench.quick, k, tau) for k, tau in tried]
    return float(sum((b[0] - a[0]) * (b[2] - a[2]) <= 0 for a, b in pairwise(found)))


@cache
def _overlap(quick: bool, loss: str) -> Any:
    from ethogram.numeric.overlap import overlaps
    from ethogram.recommend.pld import pair_losses

    built, stray = _trained(quick, loss, "plain")
    pairs = built.fitted.pairs
    return overlaps(pair_losses(built.fitted.model, pairs)[:, int(loss == "bce")], stray, pairs.owner)


def inside(bench: Any, loss: str) -> float:
    found = _overlap(bench.quick, loss)
    return float(found.personal - found.matched)


def over(bench: Any, loss: str) -> float:
    return float(_overlap(bench.quick, loss).whole)


def falls(bench: Any, other: str) -> float:
    """Lost recall of the other training less three times that of ours (a gain counts as no loss); seeds averaged."""
    lost = []
    for name in (other, "pld"):
        levels = []
        for noise in (0.0, 0.6):
            where = f"noise {noise}"
            runs = [r for arm, data, _, r in bench.records if (arm, data) == (name, where)]
            if not runs:  # only in a quick run, which has no such grid
                cut = noisy(noise, small=bench.quick).log.split("leave-last-out")
                built = bench.build(arms(mf)[name], {"epochs": 7})
                runs = [bench.run(built, cut, label=name, data=where, task="next", exclude_seen=True)]
            levels.append(np.mean([r.metrics["recall@20"] for r in runs]))
        lost.append(levels[0] - levels[1])
    return float(lost[0] - 3 * max(lost[1], 0.0))


def overhead(bench: Any) -> float:
    """Fastest epochs of both, taken in turns on the same pairs."""
    import time

    from ethogram.numeric.factors import matrix
    from ethogram.numeric.known import Known
    from ethogram.numeric.resampling import Pools
    from ethogram.recommend.pld import _Chooser

    train = noisy(0.3, small=bench.quick).log.split("leave-last-out").train
    pairs = matrix(train.histories(), Known.of(train))
    made, least = {}, {}
    for how in ("personal", "plain"):
        rng, built = np.random.default_rng(0), bench.build(mf(how=how, warm=0, tau=0.1))
        made[how] = _Chooser(built, built.backbone.network(pairs, rng), Pools(pairs, rng), rng)
        made[how].epoch()
    for _ in range(2 if bench.quick else TIMES):
        for how, chooser in made.items():
            began = time.process_time()
            chooser.epoch()
            least[how] = min(least.get(how, np.inf), time.process_time() - began)
    return float(least["personal"] / least["plain"])
