"""What is claimed of `reloop2`, and how it is measured.

Every arm but the floors is the same system with another memory, so all have the same base, trained on the first half
of the log, and are asked the same blocks of the second half, one behind the other. Options and the step size of the
incremental arm were chosen on logs of the generator with another seed; nothing was chosen on the logs that judge.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ethogram.claims import Gap, Grid, Law, Laws, Ratio, claim

BASE = {"epochs": 20, "dim": 8, "side": 8, "lr": 5e-3, "batch": 256, "patience": 2}
STREAM = {"windows": 20, "test": 0.025, "valid": 0.05}
WORLD = {"impressions": 20_000, "users": 300, "items": 200}
SLOW = {"slow_lr": 1e-2, "slow_epochs": 3}
"""The incremental arm: the best of steps of 0.001 to 0.03 and 1, 3 and 5 passes a block, on a log of another seed."""
FILMS = {"epochs": 4, "dim": 16, "side": 8, "lr": 5e-3, "batch": 512, "patience": 1, "last": 20}


def made(base: dict[str, Any], **options: Any) -> Callable[[], Any]:
    """An arm: the network as it was fitted, inside the loop."""

    def make() -> Any:
        from ethogram.system import system

        return system("reloop2", base=system("mean_pooled", **base), **options)

    return make


FLOORS = {
    "smoothed rates": "smoothed_rates",
    "hashed regression": "hashed_regression",
    "boosted aggregates": "boosted_aggregates",
}
"""Fitted once, as the frozen base is; what happens in the stream reaches them through the histories alone."""


def arms(base: dict[str, Any]) -> dict[str, Any]:
    return FLOORS | {
        "reloop2": made(base),
        "frozen": made(base, memory="none"),
        "incremental": made(base, memory="none", **SLOW),
        "item residual": made(base, memory="item"),
        "exact neighbours": made(base, memory="exact"),
        "reloop2, incremental": made(base, **SLOW),
    }


def world(quick: bool = False, **how: Any) -> Any:
    """Impressions of the generator, cut as a stream."""
    from ethogram import data

    size = {"impressions": 2_000, "users": 60, "items": 40} if quick else WORLD
    return data.load("drifting_clicks", **size, **how)


def shift(quick: bool = False) -> Any:
    return cut(world(quick, seed=1), quick)


def still() -> Any:
    return cut(world(seed=1, shifts=()), False)


def films() -> Any:
    from ethogram import data

    return cut(data.load("ml_100k"), False)


def cut(log: Any, quick: bool) -> Any:
    return log.split("stream", **({**STREAM, "windows": 3} if quick else STREAM))


@claim("reloop2", "After tastes and items change it is right again before the base could be trained again")
def after(bench: Any) -> Grid:
    return Grid(
        arms=arms(QUICK if bench.quick else BASE),
        data=[("shift", shift)],
        metric="auc",
        seeds=3,
        questions="slates",
        budget="15m",
        holds=[
            Gap("reloop2", "frozen") >= 0.02,
            Gap("reloop2", "incremental") > 0,
            Gap("reloop2", "item residual") > 0,
            Gap("exact neighbours", "frozen") >= 0.02,
            Gap("reloop2, incremental", "incremental") > 0,
            Ratio("reloop2", "frozen", "ece") <= 0.7,
        ],
    )


@claim("reloop2", "Where nothing changes it does no harm")
def harmless(bench: Any) -> list[Grid]:
    if bench.quick:
        return []
    few = {name: arm for name, arm in arms(BASE).items() if name != "reloop2, incremental"}
    holds = [
        Gap("reloop2", "frozen") >= -0.002,
        Gap("reloop2", "frozen").within(0.002),
        Gap("reloop2", "frozen", "logloss") <= 0.002,
    ]
    return [Grid(arms=few, data=[("no shift", still)], questions="slates", budget="15m", holds=holds)]


@claim("reloop2", "On films, where new people and items keep arriving, its probabilities are not worse")
def real(bench: Any) -> list[Grid]:
    if bench.quick:
        return []
    few = {n: a for n, a in arms(FILMS).items() if n != "reloop2, incremental"}
    holds = [
        Gap("reloop2", "frozen", "logloss") <= 0,
        Gap("reloop2", "frozen") > 0,
        Gap("reloop2", "item residual") > 0,
        Gap("reloop2", "incremental") > 0,
    ]
    return [Grid(arms=few, data=[("ml_100k", films)], seeds=1, questions="slates", budget="15m", holds=holds)]


QUICK = {**BASE, "epochs": 1}


@claim("reloop2", "It recovers sooner than small steps do; its sketch stands for exact neighbours at a constant cost")
def laws(bench: Any) -> Laws:
    return Laws(
        Law("blocks to win back 80% of the lost AUC, over those of incremental steps", recovery, "<=", 1 / 3),
        Law("correlation of the errors that sketch and exact neighbours expect", correlation, ">=", 0.8),
        Law("largest difference of the sketch's mean from its expectation, 20,000 tables", expectation, "<=", 0.01),
        Law("time of an access of the sketch after 1 M writes over 10 k writes", sketch_growth, "<=", 1.3),
        Law("the same of exact neighbours, 200 k over 10 k", exact_growth, ">=", 5.0),
        Law("bytes of the sketch after 1 M writes over 10 k writes", flat, "<=", 1.0),
    )


@cache
def curves(quick: bool) -> dict[str, np.ndarray]:
    """AUC of each block after a shift in the middle of the stream, means over three worlds; by arm."""
    from ethogram import data
    from ethogram.evaluate import run

    size = {"impressions": 2_000, "users": 60, "items": 40} if quick else WORLD
    found: dict[str, list[list[float]]] = {"reloop2": [], "frozen": [], "incremental": []}
    windows = 6 if quick else 30
    for seed in range(1 if quick else 3):
        log = data.load("drifting_clicks", **size, shifts=(0.5,), fresh=0.0, seed=10 + seed)
        stream = log.split("stream", windows=windows, test=0.6 / windows, valid=0.05)
        ways = arms(QUICK if quick else BASE)
        for name in found:
            told = run(ways[name](), stream, bootstrap=20).metrics
            found[name].append([told[f"auc/block {b + 1}"] for b in range(windows)])
    return {name: np.mean(rows, 0) for name, rows in found.items()}


def recovery(bench: Any) -> float:
    """The stream begins a sixth of its length before the shift; means of three blocks, against noise."""
    found = curves(bench.quick)
    before = len(found["frozen"]) // 6
    level, lost = found["frozen"][:before].mean(), found["frozen"][before:].mean()
    wanted = lost + 0.8 * (level - lost)

    def blocks(curve: np.ndarray) -> int:
        smooth = np.convolve(curve[before:], np.ones(3) / 3, "valid")
        return int(np.argmax(smooth >= wanted)) + 1 if (smooth >= wanted).any() else len(smooth) + 1

    own, other = blocks(found["reloop2"]), blocks(found["incremental"])
    return own / other if own <= len(found["frozen"]) - before - 2 else float("inf")


def correlation(bench: Any) -> float:
    """Both memories hold the same errors of the second half, and are asked about the last block."""
    log = world(bench.quick, seed=2)
    stream = log.split("stream", windows=2, test=0.25, valid=0.05)
    asked = stream.parts[1].test.questions("slates")
    told = []
    for kind in ("sketch", "exact"):
        built = made(QUICK if bench.quick else BASE, memory=kind)()
        built.fit(stream.parts[0].train, stream.parts[0].valid, seed=0).update(stream.reveals[0])
        told.append(built.errors(asked.histories, asked.candidates)["error"].to_numpy())
    return float(np.corrcoef(*told)[0, 1])


def expectation(bench: Any) -> float:
    """s / n of a sketch against sum_i K_i e_i / sum_i K_i with K_i = (1 - theta_i / pi)^bits."""
    from ethogram.nn.error_memory import Keys, Sketched
    from ethogram.numeric.identity import unit

    rng = np.random.default_rng(0)
    keys = unit(rng.standard_normal((40, 8)).astype(np.float32))
    error = rng.uniform(-1, 1, 40)
    sketch = Sketched(8, 200 if bench.quick else 20_000, 4, None, 0)
    sketch.write(_keys(keys), np.stack([np.ones(40), error, np.ones(40)], 1), np.zeros(40))
    asked = unit(rng.standard_normal((20, 8)).astype(np.float32))
    n, s, _ = sketch.read(Keys(asked, np.zeros(20, np.uint64)), np.zeros(20)).T
    kernel = (1 - np.arccos(np.clip(asked.astype(np.float64) @ keys.T, -1, 1)) / np.pi) ** 4
    return float(np.abs(s / n - kernel @ error / kernel.sum(1)).max())


def _keys(vectors: np.ndarray) -> Any:
    from ethogram.nn.error_memory import Keys

    return Keys(vectors, np.arange(len(vectors), dtype=np.uint64))


@cache
def filled(kind: str, writes: int) -> Any:
    """A memory of random keys and errors."""
    from ethogram.nn.error_memory import Nearest, Sketched
    from ethogram.numeric.identity import unit

    memory = Sketched(32, 16, 16, 5_000.0, 0) if kind == "sketch" else Nearest(32, 50, 0.1, 5_000.0, writes)
    rng = np.random.default_rng(0)
    for first in range(0, writes, 10_000):
        n = min(10_000, writes - first)
        keys = unit(rng.standard_normal((n, 32)).astype(np.float32))
        memory.write(_keys(keys), rng.standard_normal((n, 3)), first + np.arange(n, dtype=float))
    return memory


def growth(bench: Any, kind: str) -> Any:
    """Reading 64 requests and writing them, after many writes over after few."""
    many = 10_000 if bench.quick else 1_000_000 if kind == "sketch" else 200_000
    sizes = (many // 10 if bench.quick else 10_000, many)
    rng = np.random.default_rng(1)
    from ethogram.numeric.identity import unit

    asked = _keys(unit(rng.standard_normal((64, 32)).astype(np.float32)))

    def access(writes: int) -> Callable[[], None]:
        memory, now = filled(kind, writes), np.full(64, float(writes))

        def call() -> None:
            memory.read(asked, now)
            if kind == "sketch":  # the exact memory would grow under the race
                memory.write(asked, np.ones((64, 3)), now)

        return call

    return bench.race({"many": access(sizes[1]), "few": access(sizes[0])}).ratio("many", "few")


def sketch_growth(bench: Any) -> Any:
    return growth(bench, "sketch")


def exact_growth(bench: Any) -> Any:
    return growth(bench, "exact")


def flat(bench: Any) -> float:
    few, many = (1_000, 10_000) if bench.quick else (10_000, 1_000_000)
    return float(filled("sketch", many).nbytes / filled("sketch", few).nbytes)
