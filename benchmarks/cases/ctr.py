"""Seven networks beside FuxiCTR on MovieLens-100K as a table of click questions.

Both sides have the same rows, columns, embedding width 16, history of 50, layers 128 and 64 (and 64 in DIN's
attention), batch 1,024, Adam with learning rate 0.001, dropout 0.1, float32, and stop by validation. What differs
beside the implementation: FuxiCTR shrinks all embedding rows (1e-5), ours the rows of a batch (`decay`); ours also
reads the length of the history, and DIN and SDIM the product of candidate and interest. SDIM has a history of 200, two
signatures of four bits, and reads the last 50 events by attention: DIN's, where FuxiCTR's has two heads of dot
products. MMoE and PLE answer two questions at once, four stars or more and five; the AUC is that of the first. One row
of MMoE reads three histories, of what was liked, rated three stars, and disliked.
"""

from __future__ import annotations

import functools
import os
import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import memory
from benchmarks.cases.topk import sgemm_rate
from benchmarks.harness import Target
from benchmarks.peers import fuxictr
from benchmarks.peers.peer import PeerError
from benchmarks.race import Found, Race
from benchmarks.ratings import KINDS, Ratings, ratings

SEED, EPOCHS = 2019, 10
EQUAL = {
    "dim": 16, "side": 16, "last": 50, "hidden": (128, 64), "dropout": 0.1, "batch": 1024, "lr": 1e-3,
    "patience": 2, "epochs": EPOCHS,
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """One network on both sides; `options` of ours beside `EQUAL`, chosen on the validation part."""

    key: str
    peer: str
    options: Mapping[str, Any]
    several: bool = False
    "Whether both labels are answered."
    told: str = ""
    "What a reader must know of our options that were not chosen on the validation part."

    @property
    def name(self) -> str:
        return self.options.get("top", self.key) + ("_three" if self.kinds else "")

    @property
    def kinds(self) -> bool:
        """Whether three histories are read."""
        return len(self.options.get("kinds", ())) > 1

    @property
    def length(self) -> int:
        """Of a history at most."""
        return self.options.get("last", EQUAL["last"])


HEADS = {
    "kinds": ("all",), "interest": "mean", "refine": "none", "product": False, "expert": (64,), "hidden": (32,),
    "experts": 4, "own": 2, "activation": "relu",
}  # fmt: skip
PAIRS = [
    Pair("din", "DIN", {"attention": (64,), "activation": "dice", "normalise": "length"}),
    Pair("mean_pooled", "DNN", {"activation": "relu"}),
    Pair("deepfm", "DeepFM", {}),
    Pair("dcn_v2", "DCNv2", {"layers": 2}),
    Pair(
        "sdim",
        "SDIM",
        {
            "last": fuxictr.SDIM["length"],
            "short": fuxictr.SDIM["short"],
            "width": fuxictr.SDIM["bits"],
            "hashes": fuxictr.SDIM["hashes"] * fuxictr.SDIM["bits"],
            "attention": (64,),
            "activation": "prelu",
        },
        told="ours takes PReLU for its speed; Dice reached the better validation log-loss (.5484 against .5531) "
        "at 3.3 to 3.6 times the peer's speed",
    ),
    Pair("dtrn", "MMoE", {**HEADS, "top": "mmoe"}, several=True),
    Pair("dtrn", "PLE", {**HEADS, "top": "ple"}, several=True),
    Pair("dtrn", "MMoE", {**HEADS, "top": "mmoe", "kinds": tuple(KINDS)}, several=True),
]


def run(pair: Pair) -> Found:
    """Both sides of a pair."""
    found, table = Found(), ratings(several=pair.several, length=pair.length, kinds=pair.kinds)
    try:
        more = {"sequences": list(KINDS.values())} if pair.kinds else {}
        asked = fuxictr.ask(pair.peer, table, seed=SEED, **more)
    except PeerError as error:
        asked = None
        found.absent.append(f"FuxiCTR {pair.peer}: {error}")
    mine = train(pair, table, SEED)
    label = table.of("test")["label"].to_numpy()
    if asked is not None:
        theirs = asked["answer"]
        found.rows.append(_row(f"FuxiCTR {pair.peer}", theirs, label, pair))
        _compare(found, mine, theirs, label)
        low, high = asked["load"]
        found.notes.append(f"FuxiCTR {theirs['versions']['fuxictr']}: seed {SEED}, load {low}-{high}, {asked['at']}")
    found.rows.append(_row("ethogram", mine, label, pair))
    found.values["share"] = found.rows[-1]["% of FLOP limit"] / 100
    found.notes += [pair.told] if pair.told else []
    found.notes += [
        "examples per CPU second: of the median epoch, validation included, after the first; data prepared before",
        f"FLOP limit: {flops(pair) / 1e6:.2f} MFLOP per example forwards and backwards, histories padded, first layer "
        f"as published, over this run's sgemm rate of {rate() / 1e9:.0f} GFLOP/s: doing less raises the share",
    ]
    return found


def _row(name: str, run: Mapping[str, Any], label: np.ndarray, pair: Pair) -> dict[str, Any]:
    from ethogram.evaluate.classification import auc, logloss

    said = np.array(run["said"]["test"])
    best = max(run["curve"], key=lambda row: row["valid_auc"])
    return {
        "": name, "examples per CPU s": run["examples_per_cpu_second"], "CPU s": run["curve"][-1]["cpu"],
        "epochs": len(run["curve"]), "% of FLOP limit": 100 * run["examples_per_cpu_second"] * flops(pair) / rate(),
        "peak MB": run["peak_mb"], "parameters": run["parameters"], "validation AUC": best["valid_auc"],
        "test AUC": auc(label, said), "test log-loss": logloss(label, said),
    }  # fmt: skip


def _compare(found: Found, mine: Mapping[str, Any], theirs: Mapping[str, Any], label: np.ndarray) -> None:
    from ethogram.evaluate.bootstrap import auc_difference

    gap = auc_difference(label, mine["said"]["test"], theirs["said"]["test"])
    found.values["auc"], found.values["low"], found.values["high"] = gap.value, gap.low, gap.high
    found.values["speed"] = mine["examples_per_cpu_second"] / theirs["examples_per_cpu_second"]
    found.values["memory"] = mine["peak_mb"] / theirs["peak_mb"]
    found.notes.append(
        f"test AUC, ours - FuxiCTR: {gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}], paired bootstrap of the "
        f"{len(label)} rows, 95%"
    )


@functools.cache
def rate() -> float:
    """Floating-point operations per CPU second of a 2048^3 float32 product here and now."""
    return sgemm_rate()


def flops(pair: Pair) -> float:
    """Of one example as published: padded history, first layer on the concatenation; backwards costs twice."""
    dim, length, (one, two), crosses = EQUAL["dim"], pair.length, EQUAL["hidden"], 0
    width = (9 if pair.kinds else 7) * dim
    if pair.several:
        goals, (wide,), (tower,) = 2, pair.options["expert"], pair.options["hidden"]
        shared, own = pair.options["experts"], pair.options["own"] if pair.options["top"] == "ple" else 0
        experts = (shared + goals * own) * width * wide
        gates = goals * (width + wide) * (shared + own)
        return 3 * 2.0 * (experts + gates + goals * (wide * tower + tower))
    if pair.key == "din":
        (hidden,) = pair.options["attention"]
        crosses = length * (4 * dim * hidden + hidden + dim)
    if pair.key == "sdim":  # the short part as FuxiCTR has it, which is less
        (heads,), short = pair.options["attention"], pair.options["short"]
        width = 8 * dim
        crosses = pair.options["hashes"] * dim * (length + 1) + 2 * heads * (dim + (dim + 1) * short)
    if pair.key == "dcn_v2":
        crosses = pair.options["layers"] * width * width
    return 3 * 2.0 * (width * one + one * two + two + crosses)


def train(pair: Pair, table: Ratings, seed: int) -> dict[str, Any]:
    """Ours, in the form of the peer's answer."""
    import torch

    from ethogram.evaluate.classification import auc
    from ethogram.system import system

    cut = table.log.split("leave-last-out")
    asked = {part: getattr(cut, part).questions("slates") for part in ("train", "valid", "test")}
    # the log's own order of questions is not the table's, which is that of the ratings' numbers, the log's clock
    place = {p: np.argsort(q.histories.time) for p, q in asked.items()}
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    built = system(pair.key, **{**EQUAL, **pair.options})
    marks: list[float] = []
    curve: list[dict[str, Any]] = []

    def watch(fact: Mapping[str, Any]) -> None:
        if not marks:
            marks.append(time.process_time())  # the first step is over: the first epoch is left out of the median
        if fact["step"] is None:
            marks.append(time.process_time())
            curve.append({"epoch": fact["epoch"], "valid_logloss": -float(fact["valid"]), "cpu": marks[-1] - began})

    _warm(pair, cut)
    began = time.process_time()
    built.fit(cut.train, cut.valid, seed=seed, watch=watch)
    network = built.fitted.network
    said = {p: _said(built, asked[p])[place[p]] for p in ("valid", "test")}
    # the validation AUC is that of the epoch that was kept
    kept = auc(table.of("valid")["label"].to_numpy(), said["valid"])
    for row in curve:
        row["valid_auc"] = kept if row["epoch"] == built.fitted.trained.best_epoch else 0.0
    seconds = np.diff(marks)[1:] if len(marks) > 2 else np.diff(marks)
    return {
        "said": {p: s.tolist() for p, s in said.items()}, "curve": curve, "peak_mb": memory.of(pair.name, table.log),
        "examples_per_cpu_second": len(asked["train"]) / float(statistics.median(seconds)),
        "parameters": sum(p.numel() for p in network.parameters()),
    }  # fmt: skip


def _said(built: Any, asked: Any) -> np.ndarray:
    return np.asarray(built.score(asked.histories, asked.candidates, asked.context or None)).reshape(-1)


def _warm(pair: Pair, cut: Any) -> None:
    """Compile what is compiled once."""
    from ethogram.system import system

    system(pair.key, **{**EQUAL, **pair.options, "epochs": 1, "questions": 2_048}).fit(cut.train)


def _goals(pair: Pair) -> list[Target]:
    return [
        Target("examples per CPU s, ours / FuxiCTR's", lambda v: v["speed"], least=2.0),
        Target("the same, the goal", lambda v: v["speed"], least=4.0),
        Target("upper end of the test AUC's difference", lambda v: v["high"], least=0.0),
        Target("peak memory, ours / FuxiCTR's", lambda v: v["memory"], most=0.5 if pair.kinds else 1.0),
    ]


def cases() -> Iterable[Race]:
    """The harness's form: one race per network."""
    for pair in PAIRS:
        read = f"{'three histories' if pair.kinds else 'history'} of {pair.length}"
        title = f"{pair.peer} beside FuxiCTR, ml-100k as 98,061 click questions, width 16, {read}, batch 1,024"
        yield Race(f"{pair.name}_fuxictr", f"{title}, one thread", functools.partial(run, pair), _goals(pair))
