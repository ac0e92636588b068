"""Points to be clustered, with what they were drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Cloud:
    """x float32[n, d]; truth int[n] (-1: noise), None where nobody knows it."""

    name: str
    x: np.ndarray
    truth: np.ndarray | None
    least: int = 50
    samples: int = 11


def blobs(n: int, d: int, *, clusters: int = 40, noise: float = 0.2, unequal: bool = False, seed: int = 0) -> Cloud:
    """Normal clusters and a share of uniform noise; `unequal` spreads and sizes differ eightfold and twentyfold."""
    rng = np.random.default_rng(seed)
    few = int(n * noise)
    centres = rng.uniform(-10, 10, (clusters, d))
    spread = np.geomspace(0.35, 2.8, clusters) if unequal else np.ones(clusters)
    size = np.geomspace(1, 20, clusters)[rng.permutation(clusters)] if unequal else np.ones(clusters)
    own = rng.choice(clusters, n - few, p=size / size.sum())
    x = np.concatenate([
        centres[own] + spread[own, None] * rng.standard_normal((n - few, d)), rng.uniform(-12, 12, (few, d)),
    ])  # fmt: skip
    order = rng.permutation(n)
    kind = ", unequal" if unequal else ""
    truth = np.append(own, np.full(few, -1))[order]
    return Cloud(f"{n:,} x {d} blobs{kind}", x[order].astype(np.float32), truth)


def posts(n: int = 5_000) -> Cloud:
    """Sentence vectors of real posts about shares."""
    from ethogram import data
    from ethogram.lm.embed import embed

    texts = data.load("investor_posts").table()["text"].to_pylist()[:n]
    return Cloud(f"{n:,} x 384 sentence vectors of posts", embed(texts), None, 10, 5)


CLOUDS: tuple[Callable[[], Cloud], ...] = (
    lambda: blobs(24_000, 32), lambda: blobs(24_000, 8), lambda: blobs(24_000, 8, unequal=True), posts,
)  # fmt: skip
