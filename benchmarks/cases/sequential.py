"""SASRec and GRU4Rec beside RecBole on MovieLens-100K, leave-one-out in the stored order of the rows.

Both sides have the same layers, widths, history length, dropout, optimiser, learning rate and precision. RecBole
trains one example per prefix; we train all positions of a window in one pass. The clock is CPU seconds of training
and validation; ours stops at the first epoch whose validation NDCG@10 (among all items, seen ones masked) is at least
that of RecBole's best epoch with the same seed number, and that model is tested. A further row takes our best
validation epoch within a tenth of RecBole's CPU seconds.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Target
from benchmarks.peers import recbole
from benchmarks.peers.peer import PeerError
from benchmarks.race import Found, Race, gain, paired

DATA, SEEDS, MOST = "ml_100k", int(os.environ.get("SEEDS", "3")), 60
"""Data set, seeds of ours (`SEEDS=1 make bench` for one), epochs after which a run that has not arrived is given up."""
PEER = {"train_neg_sample_args": None, "train_batch_size": 256, "epochs": 100}
"""RecBole's settings beside its defaults: cross-entropy over all items, and the batch at which it learns faster."""


FULL, HALF, TENTH = "ethogram", "ethogram, bf16", "ethogram, a tenth of RecBole's CPU s"
"""Two runs that stop at the target, and one that takes its best epoch within a budget."""


@dataclass(frozen=True)
class Pair:
    """One model on both sides; `budget`: CPU seconds after which RecBole's training ends (its best epoch counts)."""

    key: str
    peer: str
    options: Mapping[str, Any]
    length: int
    budget: float


SASREC = {"dim": 64, "layers": 2, "heads": 2, "hidden": 256, "dropout": 0.5, "norm": "post", "lr": 1e-3}
GRU = {"dim": 64, "hidden": 128, "layers": 1, "dropout": 0.3, "lr": 1e-3}
PAIRS = [Pair("sasrec", "SASRec", SASREC, 20, 1_000), Pair("gru4rec", "GRU4Rec", GRU, 20, 800)]


@dataclass(frozen=True)
class Run:
    """One training of ours up to the target."""

    cpu: float
    wall: float
    epochs: int
    reached: bool
    best: float
    per_second: float
    memory: float
    gains: Mapping[bool, np.ndarray]
    users: list[str]


def run(pair: Pair) -> Found:
    """Both sides of a pair, `SEEDS` times; the target of a seed is RecBole's with it."""
    found, asked = Found(), []
    try:
        for seed in range(SEEDS):
            settings = {**PEER, "MAX_ITEM_LIST_LENGTH": pair.length}
            asked.append(recbole.ask(pair.peer, DATA, settings, seed=2020 + seed, cpu_seconds=pair.budget))
    except PeerError as error:
        found.absent.append(f"RecBole {pair.peer}: {error}")
        return found
    best = [a["answer"]["curve"][a["answer"]["best_epoch"] - 1] for a in asked]
    peer = _theirs(found, pair, asked, best)
    for name, precision in ((FULL, "fp32"), (HALF, "bf16"), (TENTH, "fp32")):
        runs = [
            train(pair, row["valid_masked"], seed, precision, row["cpu"] / 10 if name == TENTH else None)
            for seed, row in enumerate(best)
        ]
        _ours(found, name, runs, peer)
    targets = ", ".join(format(row["valid_masked"], ".4f") for row in best)
    ends = ", ".join(a["answer"]["stopped"] for a in asked)
    loads = ", ".join(f"{low}-{high}" for low, high in (a["load"] for a in asked))
    found.notes += [
        f"{SEEDS} seeds of each side; target of a seed: validation NDCG@10 (seen items masked) of RecBole's best epoch "
        f"with it, {targets}; RecBole stopped by: {ends} ({pair.budget:g} CPU s)",
        f"load at RecBole's runs: {loads}, on a core of its own; ours: each in the same process after a warm-up; one "
        "row is our best validation epoch within a tenth of RecBole's seconds to its best, others end at the target",
        "both trained with Adam, learning rate 0.001; RecBole batch 256 prefixes; difference: test NDCG@10 per user, "
        "ours - RecBole's (means of seeds), with its 95% interval over users",
        f"a run of ours that has not arrived after {MOST} epochs is given up; the ratio is of the seeds that did",
    ]
    return found


def _theirs(
    found: Found, pair: Pair, asked: Sequence[Mapping[str, Any]], best: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    users = asked[0]["answer"]["ranks"]["user"]
    gains = {
        masked: np.stack([gain(_aligned(a["answer"]["ranks"], how, users)) for a in asked])
        for masked, how in ((True, "masked"), (False, "unmasked"))
    }
    peer = {
        "cpu": float(np.mean([row["cpu"] for row in best])), "each": [row["cpu"] for row in best],
        "gains": gains, "users": users,
        "rate": float(np.mean([a["answer"]["examples_per_cpu_second"] for a in asked])),
    }  # fmt: skip
    found.rows.append(
        {
            "": f"RecBole {pair.peer}", "CPU s": peer["cpu"], "epochs": "/".join(str(row["epoch"]) for row in best),
            "arrived": "", "targets per CPU s": peer["rate"], "peak MB": max(a["answer"]["peak_mb"] for a in asked),
            "validation NDCG@10": float(np.mean([row["valid_masked"] for row in best])),
            "test NDCG@10, seen masked": gains[True].mean(), "difference": "",
            "test NDCG@10, all items": gains[False].mean(), "difference ": "",
        }
    )  # fmt: skip
    return peer


def _aligned(ranks: Mapping[str, Any], how: str, users: Sequence[str]) -> np.ndarray:
    place = {user: i for i, user in enumerate(ranks["user"])}
    return np.array(ranks[how])[[place[user] for user in users]]


def _ours(found: Found, name: str, runs: list[Run], peer: Mapping[str, Any]) -> None:
    place = {user: i for i, user in enumerate(peer["users"])}
    told: dict[str, str] = {}
    gaps = {}
    for masked in (True, False):
        mine = np.stack([r.gains[masked][np.argsort([place[u] for u in r.users])] for r in runs])
        gaps[masked] = paired(mine, peer["gains"][masked])
        told[str(masked)] = f"{gaps[masked][0]:+.4f} [{gaps[masked][1]:+.4f}, {gaps[masked][2]:+.4f}]"
    there = [i for i, r in enumerate(runs) if r.reached]
    found.rows.append(
        {
            "": name, "CPU s": float(np.mean([r.cpu for r in runs])),
            "epochs": "/".join(str(r.epochs) for r in runs), "arrived": f"{len(there)} of {len(runs)}",
            "targets per CPU s": float(np.mean([r.per_second for r in runs])),
            "peak MB": max(r.memory for r in runs), "validation NDCG@10": float(np.mean([r.best for r in runs])),
            "test NDCG@10, seen masked": float(np.mean([r.gains[True].mean() for r in runs])),
            "difference": told["True"],
            "test NDCG@10, all items": float(np.mean([r.gains[False].mean() for r in runs])),
            "difference ": told["False"],
        }
    )  # fmt: skip
    if there and name != TENTH:
        ratio = sum(peer["each"][i] for i in there) / sum(runs[i].cpu for i in there)
        found.values[f"{name}: ratio"] = ratio
    found.values[f"{name}: rate"] = float(np.mean([r.per_second for r in runs])) / peer["rate"]
    found.values[f"{name}: masked"], found.values[f"{name}: all"] = gaps[True][1], gaps[False][1]


def train(pair: Pair, target: float, seed: int, precision: str, seconds: float | None = None) -> Run:
    """Train ours until its validation value is at least `target`, or for so many CPU seconds whatever it is."""
    from ethogram.data import load
    from ethogram.evaluate.machine import measure
    from ethogram.evaluate.protocol import evaluate
    from ethogram.nn.train import Enough
    from ethogram.nn.windows import Windows
    from ethogram.system import system

    cut = load(DATA).ties("order").split("leave-last-out")
    targets = Windows.of(cut.train.histories()).events
    options = {**pair.options, "length": pair.length, "epochs": MOST, "patience": MOST, "precision": precision}
    spent = {"learning": 0.0, "mark": time.process_time()}

    def watch(fact: Mapping[str, Any]) -> None:
        now = time.process_time()
        if fact["step"] is not None:
            spent["learning"] += now - spent["mark"]
        spent["mark"] = now
        if fact["step"] is None and (fact["valid"] >= target if seconds is None else now - began >= seconds):
            raise Enough

    _warm(pair, options)
    built = system(pair.key, **options)
    spent["mark"] = began = time.process_time()
    with measure() as cost:
        built.fit(cut.train, cut.valid, seed=seed, watch=watch)
    went = built.fitted.trained
    tested = {m: evaluate(built, cut, ks=(10,), exclude_seen=m).vectors for m in (True, False)}
    return Run(
        cost.cpu_seconds, cost.wall_seconds, went.epoch, float(went.best or 0) >= target, float(went.best or 0),
        targets * went.epoch / spent["learning"], float(cost.peak_mb or 0),
        {m: np.asarray(v["ndcg@10"]) for m, v in tested.items()}, [str(u) for u in tested[True]["user"].to_pylist()],
    )  # fmt: skip


@functools.cache
def _kept() -> set[str]:
    return set()


def _warm(pair: Pair, options: Mapping[str, Any]) -> None:
    """Compile what is compiled once, on other data."""
    if pair.key in _kept():
        return
    import pyarrow as pa

    from ethogram.log import Log
    from ethogram.system import system

    rng = np.random.default_rng(0)
    rows = {
        "user": np.repeat(np.arange(50), 30),
        "item": rng.integers(0, 100, 1_500),
        "time": np.tile(np.arange(30), 50),
    }
    cut = Log.open(pa.table(rows)).split("leave-last-out")
    system(pair.key, **{**options, "epochs": 1}).fit(cut.train, cut.valid)
    _kept().add(pair.key)


def _goals() -> Iterable[Target]:
    for name in (FULL, HALF):
        yield Target(f"{name}: CPU s of RecBole / ours", lambda v, n=name: v[f"{n}: ratio"], least=10.0)
        yield Target(f"{name}: targets per CPU s, ours / RecBole's", lambda v, n=name: v[f"{n}: rate"], least=10.0)
    for name in (FULL, HALF, TENTH):
        text = f"{name}: lower end of the test difference"
        yield Target(f"{text}, seen items masked", lambda v, n=name: v[f"{n}: masked"], least=-0.01)
        yield Target(f"{text}, all items", lambda v, n=name: v[f"{n}: all"], least=-0.01)


def cases() -> Iterable[Race]:
    """The harness's form: one race per model."""
    for pair in PAIRS:
        yield Race(
            f"{pair.key}_{pair.length}_recbole",
            f"{pair.peer} to RecBole's best validation NDCG@10, ml-100k, history {pair.length}, one thread",
            functools.partial(run, pair),
            list(_goals()),
        )
