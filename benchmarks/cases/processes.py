"""EasyTPP's neural Hawkes process on sequences of a Hawkes process with known parameters.

No system of ours models continuous time yet, so there is no ratio: the rows are EasyTPP's figures, the ceiling that no
model can pass but by chance (the process itself), and the floor of a process without memory.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.hawkes import published
from benchmarks.peers import easytpp
from benchmarks.peers.peer import PeerError
from benchmarks.race import Found, Race

NAME = "hawkes, 5 types, window 40, at most 60 events, seeds 0-2"
COUNTS = {"train": 1_500, "valid": 200, "test": 300}
NHP = {"hidden_size": 32, "batch_size": 64, "learning_rate": 5e-3, "loss_integral_num_sample_per_step": 20}
EPOCHS = 5

Sequences = Sequence[tuple[np.ndarray, np.ndarray]]


@functools.cache
def parts() -> dict[str, Sequences]:
    process = published()
    return {part: list(process.sequences(n, seed)) for seed, (part, n) in enumerate(COUNTS.items())}


def per_event(total: float, asked: Sequences) -> float:
    """Log-likelihood per event behind the first of each sequence."""
    return total / sum(len(time) - 1 for time, _ in asked)


def steady(train: Sequences, test: Sequences) -> float:
    """Log-likelihood per event of a Poisson process with the rates of training."""
    kinds = np.concatenate([kind[1:] for _, kind in train])
    rate = np.bincount(kinds, minlength=5) / sum(time[-1] for time, _ in train)
    total = sum(float(np.log(rate[kind[1:]]).sum() - rate.sum() * time[-1]) for time, kind in test)
    return per_event(total, test)


def run() -> Found:
    found, held = Found(), parts()
    process, test = published(), held["test"]
    ceiling = per_event(sum(process.loglikelihood(*sequence) for sequence in test), test)
    found.rows += [
        {"": "the process itself", "test log-likelihood per event": ceiling},
        {"": "Poisson process", "test log-likelihood per event": steady(held["train"], test)},
    ]
    try:
        asked = easytpp.ask("NHP", held, 5, settings=NHP, name=NAME, seed=2019, epochs=EPOCHS)
    except PeerError as error:
        found.absent.append(f"EasyTPP NHP: {error}")
        return found
    answer, (low, high) = asked["answer"], asked["load"]
    best = max(answer["curve"], key=lambda row: row["valid"])
    found.rows.append(
        {
            "": "EasyTPP NHP, hidden 32, batch 64", "test log-likelihood per event": best["test"],
            "epochs": best["epoch"], "CPU s": best["cpu"], "events per CPU s": answer["events_per_cpu_second"],
            "peak MB": answer["peak_mb"], "parameters": answer["parameters"],
        }
    )  # fmt: skip
    found.notes += [
        f"{sum(len(t) for t, _ in held['train']):,} events of training in {COUNTS['train']:,} sequences; "
        f"{sum(len(t) for t, _ in test):,} of test; likelihood of events behind the first, given it",
        f"EasyTPP: best of {EPOCHS} epochs by validation, its integral by 20 samples an interval, one seed, "
        f"load {low}-{high}, {asked['at']}",
    ]
    return found


def cases() -> Iterable[Race]:
    """The harness's form."""
    yield Race("hawkes_easytpp", "EasyTPP on a Hawkes process with known parameters, one thread", run)
