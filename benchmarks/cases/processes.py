"""Point processes beside EasyTPP on sequences of a Hawkes process with known parameters.

Both sides have the same widths, layers, batch, learning rate, integral samples, epochs and sequences, and take turns:
a training of ours, one of theirs, the next seed of each. Beside them stand the ceiling that no model can pass but by
chance (the process itself) and the floor of a process without memory.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Target
from benchmarks.hawkes import published, sequences
from benchmarks.peers import easytpp
from benchmarks.peers.inside import peak
from benchmarks.peers.peer import PeerError
from benchmarks.race import Found, Race
from ethogram.numeric.rescaling import chained, kolmogorov
from ethogram.numeric.streams import Streams

COUNTS = {"train": 1_500, "valid": 200, "test": 300}
SHARED = {"hidden_size": 32, "batch_size": 64, "loss_integral_num_sample_per_step": 20}
DRAWS, SEEDS = 10, int(os.environ.get("SEEDS", "3"))
"""Next times that are drawn behind each event; trainings of each side."""
LIKELIHOOD, LOWEST, HIGHEST = "test log-likelihood per event", "below the process, worst seed", "best seed"

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Pair:
    """One model on both sides."""

    name: str
    peer: str
    lr: float
    epochs: int
    settings: dict[str, Any]


PAIRS = (
    Pair("recurrent", "NHP", 5e-3, 5, {}),
    Pair("attentive", "AttNHP", 1e-3, 3, {"time_emb_size": 16, "num_layers": 2, "num_heads": 2}),
)


@functools.cache
def parts() -> dict[str, Pairs]:
    process = published()
    return {part: list(sequences(process, n, seed)) for seed, (part, n) in enumerate(COUNTS.items())}


def per_event(total: float, asked: Pairs) -> float:
    """Log-likelihood per event behind the first of each sequence."""
    return total / sum(len(time) - 1 for time, _ in asked)


def steady(train: Pairs, test: Pairs) -> float:
    """Log-likelihood per event of a Poisson process with the rates of training."""
    kinds = np.concatenate([kind[1:] for _, kind in train])
    rate = np.bincount(kinds, minlength=5) / sum(time[-1] for time, _ in train)
    total = sum(float(np.log(rate[kind[1:]]).sum() - rate.sum() * time[-1]) for time, kind in test)
    return per_event(total, test)


def network(name: str, seed: int) -> Any:
    from ethogram.nn.attentive_process import AttentiveProcess
    from ethogram.nn.recurrent_process import RecurrentProcess

    return RecurrentProcess(5, seed=seed) if name == "recurrent" else AttentiveProcess(5, seed=seed)


def train(pair: Pair, seed: int) -> dict[str, Any]:
    """Best epoch by validation: test log-likelihood per event, CPU seconds of all epochs, the network."""
    import copy

    from ethogram.nn.adam import adam
    from ethogram.nn.processes import Neural, batch_loss

    held = {part: Streams.of(pairs, 5) for part, pairs in parts().items()}
    net, rng, cpu = network(pair.name, seed), np.random.default_rng(seed), 0.0
    step, best, curve = adam(net.parameters(), pair.lr), None, []
    warm = held["train"].take(slice(0, 2))
    batch_loss(net, warm, 20, "random", rng).backward()  # compiled passes are compiled before the clock runs
    for epoch in range(pair.epochs):
        order, began = rng.permutation(len(held["train"])), time.process_time()
        for at in range(0, len(order), 64):
            step.zero_grad()
            batch_loss(net, held["train"].take(order[at : at + 64]), 20, "random", rng).backward()
            step.step()
        cpu += time.process_time() - began
        judged = {
            p: float(Neural(net, 1.0).loglikelihood(held[p]).sum() / held[p].judged.sum()) for p in held if p != "train"
        }
        curve.append({"epoch": epoch + 1, "cpu": cpu, **judged})
        if best is None or judged["valid"] > best[0]:
            best = judged["valid"], judged["test"], epoch + 1, copy.deepcopy(net)
    assert best is not None
    events = int(held["train"].judged.sum()) * pair.epochs
    return {"test": best[1], "epoch": best[2], "cpu": cpu, "network": best[3], "events_per_cpu": events / cpu}


def run(pair: Pair) -> Found:
    found, held, own, theirs = Found(), parts(), [], []
    process, test = published(), held["test"]
    ceiling = per_event(float(process.loglikelihood(Streams.of(test, 5)).sum()), test)
    floor = steady(held["train"], test)
    found.rows += [
        {"": "the process itself", LIKELIHOOD: ceiling},
        {"": "Poisson process", LIKELIHOOD: floor, LOWEST: ceiling - floor},
    ]
    settings = {**SHARED, "learning_rate": pair.lr, **pair.settings}
    absent, loads, memory = "", [], 0.0
    for seed in range(SEEDS):
        with peak() as highest:
            own.append(train(pair, seed))
            memory = max(memory, highest())
        loads.append(round(os.getloadavg()[0], 1))
        try:
            if not absent:
                args = {"settings": settings, "seed": seed, "epochs": pair.epochs, "draws": 0 if seed else DRAWS}
                theirs.append(easytpp.ask(pair.peer, held, 5, **args))
        except PeerError as error:
            absent = f"EasyTPP {pair.peer}: {error}"
    net, drawn = own[0]["network"], draws(own[0]["network"], test)
    law, sampled = rescaled(net)
    size = {"parameters": sum(p.numel() for p in net.parameters()), "peak MB": memory, "draws per CPU s": drawn}
    found.rows.append(_row(f"ethogram, {pair.name}", own, size, ceiling))
    found.notes += [
        f"{sum(len(t) for t, _ in held['train']):,} events of training in {COUNTS['train']:,} sequences; "
        f"{sum(len(t) for t, _ in test):,} of test; likelihood of events behind the first, given it; best of "
        f"{pair.epochs} epochs by validation; CPU seconds of training, the fastest of {SEEDS} seeds",
        "ethogram: integral of training by 20 random points, of judging by Gauss points",
        f"time rescaling, p-values: exact sampler under the known law {law:.3f}, thinning under the trained network's "
        f"own intensity {sampled:.3f}",
    ]
    found.values |= {"law p": law, "thinning p": sampled}
    found.values["below the process"] = ceiling - min(r["test"] for r in own)
    if absent or not theirs:
        found.absent.append(absent)
        return found
    answers = [_best(answer) for answer in theirs]
    asked = theirs[0]
    rate = asked["asked"] * DRAWS / asked["draw_cpu"]
    size = {"parameters": asked["parameters"], "peak MB": asked["peak_mb"], "draws per CPU s": rate}
    found.rows.append(_row(f"EasyTPP {pair.peer}", answers, size, ceiling))
    found.notes.append(
        f"turn by turn, one thread each, load {' '.join(map(str, loads))}; EasyTPP's likelihood by the trapezoid rule "
        f"over its 20 points, as it computes it {', '.join(format(r['said'], '.4f') for r in answers)}; draws of the "
        f"next time ({DRAWS} behind each event): its thinning with 500 proposals, ours exact"
    )
    found.values |= {
        "train": min(_fast(own, answers)), "draw": drawn / rate,
        "gap": min(r["test"] for r in own) - max(r["test"] for r in answers),
    }  # fmt: skip
    return found


def _best(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of the peer in the form of `train`."""
    best = max(answer["curve"], key=lambda row: row["valid"])
    cpu = sum(row["train_cpu"] for row in answer["curve"])
    return {
        "test": best["trapezoid"], "said": best["test"], "epoch": best["epoch"], "cpu": cpu,
        "events_per_cpu": answer["events_per_cpu_second"],
    }  # fmt: skip


def _row(name: str, runs: Sequence[dict[str, Any]], size: dict[str, Any], ceiling: float) -> dict[str, Any]:
    test = [r["test"] for r in runs]
    return {
        "": name, LIKELIHOOD: float(np.mean(test)), LOWEST: ceiling - min(test), HIGHEST: ceiling - max(test),
        "epochs": max(r["epoch"] for r in runs), "CPU s": min(r["cpu"] for r in runs),
        "events per CPU s": max(r["events_per_cpu"] for r in runs), **size,
    }  # fmt: skip


def _fast(own: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> Iterable[float]:
    """Ratio of each turn."""
    return (a["events_per_cpu"] / b["events_per_cpu"] for a, b in zip(own, theirs, strict=True))


def draws(net: Any, test: Pairs) -> float:
    """Next times per CPU second, behind every event but the last of each sequence."""
    from ethogram.nn.processes import Neural

    asked = Streams.of(test[:128], 5)
    states = asked.gaps.states
    Neural(net, 1.0).next(asked, states.take(slice(0, 10)), 2)
    began = time.process_time()
    Neural(net, 1.0).next(asked, states, DRAWS)
    return len(states) * DRAWS / (time.process_time() - began)


def rescaled(net: Any) -> tuple[float, float]:
    """p-values of the time-rescaling test of 5,000 events of the exact sampler, and of next events of the network."""
    from ethogram.nn.processes import Neural

    process = published()
    own = process.sample(np.full(85, 40.0), seed=5)
    law = kolmogorov(chained(process.residuals(own), own))[1]
    asked = Streams.of(parts()["test"][:100], 5)
    built, last = Neural(net, 1.0), asked.last()
    gap, _ = built.next(asked, last, 50, seed=6)
    rows = np.repeat(np.arange(len(asked)), gap.shape[1])
    some = np.isfinite(gap.ravel())
    longer = asked.take(rows[some])
    spent = built.residuals(
        Streams(longer.time, longer.kind, longer.offsets, longer.end, longer.end + gap.ravel()[some], 5)
    )
    return law, kolmogorov(spent)[1]


GOALS = {"recurrent": 2.0, "attentive": 5.0}


def cases() -> Iterable[Race]:
    """The harness's form."""
    for pair in PAIRS:
        targets = [
            Target(
                "events per CPU s in training over EasyTPP, worst turn",
                lambda v: v["train"],
                least=GOALS[pair.name],
            ),
            Target("draws of the next time per CPU second, over EasyTPP", lambda v: v["draw"], least=5.0),
            Target("log-likelihood per event, our worst seed less EasyTPP's best", lambda v: v["gap"], least=-0.01),
            Target("p-value of the exact sampler under the known law", lambda v: v["law p"], least=0.05),
            Target("p-value of thinning under the network's intensity", lambda v: v["thinning p"], least=0.05),
        ]
        yield Race(
            f"hawkes_{pair.name}_easytpp", f"The {pair.name} process and EasyTPP's {pair.peer} on a Hawkes process "
            "with known parameters, one thread", lambda pair=pair: run(pair), targets,
        )  # fmt: skip
