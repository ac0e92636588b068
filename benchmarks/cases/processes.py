"""Point processes beside EasyTPP on sequences of a Hawkes process with known parameters.

Both sides have the same widths, layers, batch, learning rate, integral samples and sequences. Beside them stand the
ceiling that no model can pass but by chance (the process itself) and the floor of a process without memory.
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

NAME = "hawkes, 5 types, window 40, at most 60 events, seeds 0-2"
COUNTS = {"train": 1_500, "valid": 200, "test": 300}
SHARED = {"hidden_size": 32, "batch_size": 64, "loss_integral_num_sample_per_step": 20}
DRAWS, SEEDS = 10, int(os.environ.get("SEEDS", "2"))
"""Next times that are drawn behind each event; trainings of ours."""

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
    events = len(held["train"].time) * pair.epochs
    return {"test": best[1], "epoch": best[2], "cpu": cpu, "network": best[3], "events_per_cpu": events / cpu}


def run(pair: Pair) -> Found:
    found, held = Found(), parts()
    process, test = published(), held["test"]
    asked = Streams.of(test, 5)
    ceiling = per_event(float(process.loglikelihood(asked).sum()), test)
    likelihood = "test log-likelihood per event"
    found.rows += [
        {"": "the process itself", likelihood: ceiling},
        {"": "Poisson process", likelihood: steady(held["train"], test)},
    ]
    with peak() as highest:
        runs = [train(pair, seed) for seed in range(SEEDS)]
        memory = highest()
    own = [r["test"] for r in runs]
    drawn = draws(runs[0]["network"], test)
    fastest = max(r["events_per_cpu"] for r in runs)
    found.rows.append(
        {
            "": f"ethogram, {pair.name}", likelihood: float(np.mean(own)), "epochs": runs[0]["epoch"],
            "CPU s": min(r["cpu"] for r in runs), "events per CPU s": fastest, "peak MB": memory,
            "parameters": sum(p.numel() for p in runs[0]["network"].parameters()), "draws per CPU s": drawn,
        }
    )  # fmt: skip
    law, sampled = rescaled(runs[0]["network"])
    found.notes += [
        f"{sum(len(t) for t, _ in held['train']):,} events of training in {COUNTS['train']:,} sequences; "
        f"{sum(len(t) for t, _ in test):,} of test; likelihood of events behind the first, given it",
        f"ethogram: {SEEDS} seeds, best of {pair.epochs} epochs by validation, integral of training by 20 random "
        f"points, of judging by Gauss points; test {', '.join(f'{v:.4f}' for v in own)}",
        f"time rescaling, p-values: exact sampler under the known law {law:.3f}, thinning under the trained network's "
        f"own intensity {sampled:.3f}",
    ]
    found.values |= {"law p": law, "thinning p": sampled, "own": float(np.mean(own)), "ceiling": ceiling}
    settings = {**SHARED, "learning_rate": pair.lr, **pair.settings}
    try:
        told = easytpp.ask(
            pair.peer, held, 5, settings=settings, name=NAME, seed=2019, epochs=pair.epochs, draws=DRAWS
        )  # fmt: skip
    except PeerError as error:
        found.absent.append(f"EasyTPP {pair.peer}: {error}")
        return found
    answer, (low, high) = told["answer"], told["load"]
    best = max(answer["curve"], key=lambda row: row["valid"])
    rate = answer["asked"] * DRAWS / answer["draw_cpu"]
    found.rows.append(
        {
            "": f"EasyTPP {pair.peer}", likelihood: best["test"], "epochs": best["epoch"], "CPU s": best["cpu"],
            "events per CPU s": answer["events_per_cpu_second"], "peak MB": answer["peak_mb"],
            "parameters": answer["parameters"], "draws per CPU s": rate,
        }
    )  # fmt: skip
    found.notes.append(
        f"EasyTPP: best of {pair.epochs} epochs by validation, one seed, load {low}-{high}, {told['at']}; draws of the "
        f"next time ({DRAWS} behind each event): its thinning with 500 proposals, ours exact"
    )
    found.values |= {
        "train": fastest / answer["events_per_cpu_second"], "draw": drawn / rate, "gap": min(own) - best["test"],
    }  # fmt: skip
    return found


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
            Target("events per CPU second in training, over EasyTPP", lambda v: v["train"], least=GOALS[pair.name]),
            Target("draws of the next time per CPU second, over EasyTPP", lambda v: v["draw"], least=5.0),
            Target("worst seed's log-likelihood per event, less EasyTPP's", lambda v: v["gap"], least=-0.01),
            Target("p-value of the exact sampler under the known law", lambda v: v["law p"], least=0.05),
            Target("p-value of thinning under the network's intensity", lambda v: v["thinning p"], least=0.05),
        ]
        yield Race(
            f"hawkes_{pair.name}_easytpp", f"The {pair.name} process and EasyTPP's {pair.peer} on a Hawkes process "
            "with known parameters, one thread", lambda pair=pair: run(pair), targets,
        )  # fmt: skip
