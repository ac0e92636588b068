"""Matrix and graph factorisation: BPR-MF and LightGCN beside RecBole, ALS, BPR-MF and item-kNN beside implicit.

Beside RecBole, both sides have the same width, layers, batch and learning rate, and the clock (CPU seconds of training
and validation) stops at the first epoch whose validation NDCG@10 is at least that of RecBole's best epoch, seed by
seed. Beside implicit, both sides have the same matrix, objective, width and number of iterations, and the clock is
that of the whole training. Every system of ours has a row with the vectors of training and one with all users folded
in from their histories.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Target
from benchmarks.peers import implicit, recbole
from benchmarks.peers.peer import PeerError
from benchmarks.race import Found, Race, gain, paired

MOST, K, WIDE = 150, 10, 20_000
"""Epochs after which a run that has not arrived is given up; list length; items from which exact ALS is left out."""


@dataclass(frozen=True)
class Beside:
    """A model of RecBole's and ours; `budget`: CPU seconds after which RecBole's training ends."""

    key: str
    peer: str
    ours: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    budget: float | None = None


ADAM = {"optimiser": "adam", "lr": 1e-3, "regularisation": 0.0, "batch": 2_048}
GRAPH = {"layers": 2, "lr": 1e-3, "regularisation": 1e-5, "batch": 2_048}
PAIRS = [
    Beside("bpr_mf", "BPR", {"Adam, as RecBole": ADAM, "plain steps, our defaults": {}}, (2020, 2021, 2022)),
    Beside(
        "lightgcn",
        "LightGCN",
        {"as RecBole": GRAPH, "step size 0.005": {**GRAPH, "lr": 5e-3}},
        (2020, 2021, 2022),
        300.0,
    ),
]


@dataclass(frozen=True)
class Run:
    """One training of ours up to a target; `gains`: test NDCG@10 by user, trained and folded in."""

    cpu: float
    epochs: int
    reached: bool
    best: float
    rate: float
    memory: float
    gains: Mapping[str, np.ndarray]


def to_target(pair: Beside) -> Found:
    """Both sides of a pair, from the peer's answers on this machine."""
    found, answers = Found(), []
    try:
        for seed in pair.seeds:
            answers.append(recbole.ask(pair.peer, "ml_100k", {}, seed=seed, cpu_seconds=pair.budget))
    except PeerError as error:
        found.absent.append(f"RecBole {pair.peer}: {error}")
        return found
    theirs = [a["answer"] for a in answers]
    best = [a["curve"][a["best_epoch"] - 1] for a in theirs]
    users = theirs[0]["ranks"]["user"]
    gains = np.stack([gain(np.array(a["ranks"]["masked"]))[_order(a["ranks"]["user"], users)] for a in theirs])
    cpu, rate = float(np.mean([b["cpu"] for b in best])), float(np.mean([a["examples_per_cpu_second"] for a in theirs]))
    found.rows.append(
        {
            "": f"RecBole {pair.peer}", "CPU s to target": cpu, "epochs": "/".join(str(b["epoch"]) for b in best),
            "arrived": "", "examples per CPU s": rate, "peak MB": max(a["peak_mb"] for a in theirs),
            "validation NDCG@10": float(np.mean([b["valid_masked"] for b in best])),
            "test NDCG@10": float(gains.mean()), "difference": "",
        }
    )  # fmt: skip
    for name, options in pair.ours.items():
        runs = [
            trained(pair.key, options, target["valid_masked"], seed, users)
            for seed, target in zip(pair.seeds, best, strict=True)
        ]
        _ours(found, f"ethogram, {name}", runs, best, rate, gains)
    found.notes += [
        f"{len(answers)} seeds of each side; target of a seed: RecBole's best validation NDCG@10 with it; CPU seconds "
        "are of training and validation; ours counts only runs that arrived",
        "RecBole stopped by: " + ", ".join(a["stopped"] for a in theirs) + "; load at its runs "
        + ", ".join(f"{a['load'][0]}-{a['load'][1]}" for a in answers),
        "difference: test NDCG@10 per user, ours - RecBole's (means of seeds), 95% interval over users; seen items "
        "are masked on both sides; folded in: history with the validation event, vectors of RecBole's users lack it",
    ]  # fmt: skip
    return found


def _ours(found: Found, name: str, runs: list[Run], best: list[Any], rate: float, gains: np.ndarray) -> None:
    there = [i for i, r in enumerate(runs) if r.reached]
    cpu = float(np.mean([runs[i].cpu for i in there])) if there else None
    mine = {how: np.stack([r.gains[how] for r in runs]) for how in ("trained", "folded in")}
    for how, values in mine.items():
        gap = paired(values, gains)
        row = {"": f"{name}, {how}"}
        if how == "trained":
            row |= {
                "CPU s to target": cpu if there else "not reached", "epochs": "/".join(str(r.epochs) for r in runs),
                "arrived": f"{len(there)} of {len(runs)}",
                "examples per CPU s": float(np.mean([r.rate for r in runs])),
                "peak MB": max(r.memory for r in runs),
                "validation NDCG@10": float(np.mean([r.best for r in runs])),
            }  # fmt: skip
            found.values[f"{name}: quality"] = gap[1]
        told = f"{gap[0]:+.4f} [{gap[1]:+.4f}, {gap[2]:+.4f}]"
        found.rows.append(row | {"test NDCG@10": float(values.mean()), "difference": told})
    if there:
        found.values[f"{name}: ratio"] = float(np.mean([best[i]["cpu"] for i in there])) / (cpu or 1.0)
    found.values[f"{name}: rate"] = float(np.mean([r.rate for r in runs])) / rate


def trained(key: str, options: Mapping[str, Any], target: float, seed: int, users: list[str]) -> Run:
    """Train ours until its validation value is at least `target`, after an epoch that compiles."""
    from ethogram.data import load
    from ethogram.evaluate.machine import measure
    from ethogram.system import system
    from ethogram.verbs import Enough

    cut = load("ml_100k").ties("order").split("leave-last-out")
    system(key, **{**options, "epochs": 1}).fit(cut.train, cut.valid)

    def watch(fact: Mapping[str, Any]) -> None:
        if fact["valid"] >= target:
            raise Enough

    built = system(key, **{**options, "epochs": MOST, "patience": MOST})
    with measure() as cost:
        built.fit(cut.train, cut.valid, seed=seed, watch=watch)
    went = built.fitted.course
    began = time.process_time()
    system(key, **{**options, "epochs": went.epoch}).fit(cut.train, seed=seed)  # the same without validation
    rate = len(cut.train.sequences()) * went.epoch / (time.process_time() - began)
    gains = {how: _gains(one, cut, users) for how, one in _both(built).items()}
    memory = float(cost.peak_mb or 0)
    return Run(cost.cpu_seconds, went.epoch, went.stopped == "asked", float(went.best or 0), rate, memory, gains)


def _both(built: Any) -> dict[str, Any]:
    """The fitted system as it is, and with all users folded in."""
    from ethogram.system import options, system

    if not hasattr(built, "fold_in"):
        return {"": built}
    always = system(built.info.key, **{**options(built), "fold_in": "always"})
    return {"trained": built, "folded in": always.restore(built.state())}


def _gains(built: Any, cut: Any, users: list[str] | None = None) -> np.ndarray:
    """Test NDCG@10 by question, in the order of `users` where they are given."""
    from ethogram.evaluate.protocol import evaluate

    said = evaluate(built, cut, ks=(K,), bootstrap=1).vectors
    values = np.asarray(said[f"ndcg@{K}"])
    return values if users is None else values[_order([str(u) for u in said["user"].to_pylist()], users)]


def _order(mine: list[str], wanted: list[str]) -> np.ndarray:
    place = {user: i for i, user in enumerate(mine)}
    return np.array([place[user] for user in wanted])


def beside_implicit(data: str, options: Mapping[str, Any], iterations: int, epochs: int, turns: int) -> Found:
    """All models of both sides on one data set, leave-last-out; exact ALS where implicit has it in good time."""
    from ethogram.data import load
    from ethogram.numeric.factors import matrix
    from ethogram.numeric.known import Known
    from ethogram.system import system

    cut = load(data, **options).split("leave-last-out")
    known = Known.of(cut.train)
    pairs, histories = matrix(cut.train.histories(), known), cut.train.histories()
    filtered = known.excludes(None)
    found = Found()
    als, bpr = {"factors": 64, "iterations": iterations}, {"factors": 64, "lr": 0.05, "regularisation": 0.01}
    plans: list[tuple[str, str, Any, dict[str, Any], str, dict[str, Any]]] = [
        (name, "als", 1 + pairs.counts, {"use_cg": cg, "regularization": 10.0, **als}, "als",
         {**als, "alpha": 1.0, "regularisation": 10.0, "solver": "cg" if cg else "cholesky"})
        for name, cg in (("ALS, 3 conjugate gradients", True), ("ALS, exact", False))
        if cg or pairs.width < WIDE
    ]  # fmt: skip
    theirs = {"factors": 64, "learning_rate": 0.05, "regularization": 0.01, "iterations": epochs}
    plans.append(("BPR-MF", "bpr", None, theirs, "bpr_mf", {**bpr, "epochs": epochs}))
    plans.append(("item-kNN, 20 neighbours", "cosine", None, {"K": 20}, "item_knn", {"neighbours": 20}))
    for name, kind, counts, settings, key, ours in plans:
        given = pairs if counts is None else type(pairs)(pairs.offsets, pairs.items, counts, pairs.width)
        try:
            peer = implicit.ask(kind, given, settings, k=K, filtered=filtered, turns=turns)
        except PeerError as error:
            found.absent.append(f"implicit {name}: {error}")
            continue
        base = _gains(_Peer(known, peer), cut)
        row = {"": f"implicit {name}", "training CPU s": peer["fit"]["cpu"]}
        row |= {"all users' lists, CPU s": peer["recommend"]["cpu"]}
        found.rows.append(row | {"test NDCG@10": float(base.mean()), "difference": ""})
        fit, built = _fastest(lambda key=key, ours=ours: system(key, **ours).fit(cut.train, seed=0), turns)
        listed, _ = _fastest(lambda built=built: built.recommend(histories, K, exclude_seen=filtered), turns)
        for how, one in _both(built).items():
            values = _gains(one, cut)
            gap = paired(values, base)
            row = {"": f"ethogram {name}{', ' if how else ''}{how}"}
            if how != "folded in":
                row |= {"training CPU s": fit, "all users' lists, CPU s": listed}
                found.values[f"{name}: training"] = peer["fit"]["cpu"] / fit
                found.values[f"{name}: lists"] = peer["recommend"]["cpu"] / listed
                found.values[f"{name}: quality"] = gap[1]
            told = f"{gap[0]:+.4f} [{gap[1]:+.4f}, {gap[2]:+.4f}]"
            found.rows.append(row | {"test NDCG@10": float(values.mean()), "difference": told})
    found.notes += [
        f"{len(pairs):,} users, {pairs.width:,} items, {len(pairs.items):,} pairs; seen items "
        f"{'left out' if filtered else 'stay in'}; 64 factors; ALS: {iterations} iterations, confidence 1 + count, "
        f"lambda 10; BPR-MF: {epochs} epochs, step 0.05, lambda 0.01; one seed; fastest of {turns} turns",
        "ours counts the matrix from the log and the table of ids in its clocks, implicit is handed the matrix and "
        "returns places; ours ALS ends with one exact half-step more",
        "item-kNN: where the log repeats itself, cosines of counts with an item its own neighbour, as implicit has "
        "them everywhere; elsewhere ours counts users and leaves the item itself out",
    ]
    return found


def _fastest(call: Callable[[], Any], turns: int) -> tuple[float, Any]:
    """(CPU seconds of the fastest turn, its value), after one turn that compiles."""
    call()
    least, value = float("inf"), None
    for _ in range(turns):
        began = time.process_time()
        value = call()
        least = min(least, time.process_time() - began)
    return least, value


class _Peer:
    """What implicit learned, as a scorer: its vectors, or its neighbours' rows."""

    def __init__(self, known: Any, learned: Mapping[str, Any]):
        from ethogram.numeric.affinity import Affinity
        from ethogram.numeric.factors import Factors
        from ethogram.numeric.neighbours import Neighbours

        if "users" in learned:
            width = learned["users"].shape[1]
            self.model: Any = Factors(known, learned["users"], learned["items"], lambda p: np.zeros((len(p), width)))
            return
        code = np.flatnonzero(known.counts > 0).astype(np.int32)
        sizes = np.zeros(len(known.counts), np.int64)
        sizes[code] = np.diff(learned["offsets"])
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        rows = Neighbours(offsets, code[learned["columns"]], learned["weights"].astype(np.float32))
        self.model = Affinity(known, rows, np.zeros(len(known.counts)))

    def score(self, histories: Any, candidates: Any, context: Any = None) -> np.ndarray:
        return np.asarray(self.model.score(histories, candidates))


def _goals(pair: Beside) -> Iterable[Target]:
    for name in (f"ethogram, {n}" for n in pair.ours):
        yield Target(f"{name}: CPU s of RecBole / ours", lambda v, n=name: v[f"{n}: ratio"], least=2.0)
        yield Target(f"{name}: examples per CPU s, ours / RecBole's", lambda v, n=name: v[f"{n}: rate"], least=2.0)
        yield Target(
            f"{name}: lower end of the test difference", lambda v, n=name: v[f"{n}: quality"], least=-0.01
        )  # fmt: skip


def _levels() -> Iterable[Target]:
    for name in ("ALS, 3 conjugate gradients", "ALS, exact", "BPR-MF", "item-kNN, 20 neighbours"):
        yield Target(f"{name}: training CPU s, implicit / ours", lambda v, n=name: v[f"{n}: training"], least=1.0)
        yield Target(f"{name}: all users' lists, implicit / ours", lambda v, n=name: v[f"{n}: lists"], least=1.0)
        yield Target(f"{name}: lower end of the difference", lambda v, n=name: v[f"{n}: quality"], least=-0.01)


def cases() -> Iterable[Race]:
    """The harness's form: a race per model of RecBole's, and one per data set beside implicit."""
    for pair in PAIRS:
        yield Race(
            f"{pair.key}_recbole", f"{pair.peer} to RecBole's best validation NDCG@10, ml-100k, one thread",
            functools.partial(to_target, pair), list(_goals(pair)),
        )  # fmt: skip
    for name, data, options, how in (
        ("ml-100k", "ml_100k", {}, (15, 30, 3)),
        ("Complete Journey", "complete_journey", {"exposures": False}, (8, 10, 1)),
    ):
        yield Race(
            f"factorisation_{data}", f"ALS, BPR-MF and item-kNN beside implicit, {name}, one thread",
            functools.partial(beside_implicit, data, options, *how), list(_levels()),
        )  # fmt: skip
