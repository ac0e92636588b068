"""DIN on tables of a million and of a hundred million parameters: a step costs the rows that it touches.

Both train on the same questions with Dice and the mini-batch aware penalty; only the number of ids that items are
hashed to differs. Memory is that above the start, weights and both moments of Adam included.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks.harness import Target
from benchmarks.race import Found, Race

DIM, IDS = 16, (62_500, 6_250_000)


class Touched:
    """Rows of embedding tables with a gradient, counted before each step."""

    def __init__(self, network: Any) -> None:
        self.tables = [p for p, _ in network.sparse]
        self.rows: list[int] = []

    def zero_grad(self) -> None:
        """The optimisers do it."""

    def step(self) -> None:
        grads = [p.grad for p in self.tables if p.grad is not None]
        self.rows.append(sum(len(g._indices()[0].unique()) for g in grads))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing is kept."""


def run() -> Found:
    found = Found(notes=["2 epochs of 128 candidates a step; CPU seconds of the median step of the second"])
    for ids in IDS:
        row = train(ids)
        found.rows.append({"": f"ethogram DIN, {ids:,} ids", **row})
    small, large = (row["ms per step"] for row in found.rows)
    found.values = {
        "parameters": found.rows[-1]["embedding parameters"], "growth": large / small,
        "memory": found.rows[-1]["peak MB"],
    }  # fmt: skip
    return found


def train(ids: int) -> dict[str, Any]:
    """Parameters, rows touched and CPU milliseconds per step, peak memory."""
    from ethogram import data
    from ethogram.evaluate.machine import measure
    from ethogram.nn.ranker import SlateRanker
    from ethogram.system import system

    log = data.load("interests", users=300, length=(60, 90), slates=5, candidates=5)
    features = log.features().with_("item", of="item", buckets=ids)
    features = features.without(*(c.name for c in features.columns if c.name != "item"))
    built = system("din", dim=DIM, epochs=2, patience=2, decay=0.01, activation="dice", batch=128)
    marks: list[float] = []
    held: list[Touched] = []

    def before(network: Any) -> list[Touched]:
        held.append(Touched(network))
        return held

    def watch(fact: Mapping[str, Any]) -> None:
        if fact["step"] is not None and fact["epoch"] == 1:  # the second: memory is given in the first
            marks.append(time.process_time())

    with measure() as cost:
        ranker = SlateRanker.fit(
            built, built._interest, log, None, seed=0, watch=watch, features=features, before=before
        )  # fmt: skip
    (touched,) = held
    return {
        "embedding parameters": sum(p.numel() for p in ranker.network.tables.parameters()),
        "rows touched per step": sum(touched.rows) / len(touched.rows),
        "ms per step": 1e3 * float(np.median(np.diff(marks))), "steps": len(touched.rows),
        "peak MB": float(cost.peak_mb or 0),
    }  # fmt: skip


def cases() -> Iterable[Race]:
    """The harness's form."""
    title = "DIN on 1 M and on 100 M embedding parameters, width 16, Dice, penalty, 128 candidates a step, one thread"
    yield Race(
        "din_large", title, functools.partial(run),
        [
            Target("embedding parameters", lambda v: v["parameters"], least=1e8),
            Target("step at 100 M parameters / at 1 M", lambda v: v["growth"], most=1.3),
            Target("peak memory, MB", lambda v: v["memory"], most=2_048.0),
        ],
    )  # fmt: skip
