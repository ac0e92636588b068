"""A small world with known truth for tests of grids, claims and reports: items with a taste, answered by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ethogram.log import Log

FITS: list[tuple[str, int]] = []
"""(what, seed) of every fit of a `Taster`, in order."""


def world(users: int = 80, slates: int = 8, seed: int = 0) -> Log:
    """Slates of five items; item i is liked with probability sigmoid of its taste, which its id tells."""
    rng = np.random.default_rng(seed)
    n = users * slates * 5
    user = np.repeat(np.arange(users), slates * 5)
    item = rng.integers(0, 40, n)
    label = rng.random(n) < 1 / (1 + np.exp(-taste(item)))
    time = (np.tile(np.repeat(np.arange(slates), 5), users) + 1) * 1_000_000 + user
    slate = np.arange(n) // 5
    table = {"user": user, "item": item, "time": time, "slate": slate, "label": label.astype(np.float32)}
    return Log.open(pa.table(table))


def taste(item: np.ndarray) -> np.ndarray:
    return (np.asarray(item) % 8) / 2 - 2


@dataclass(kw_only=True)
class Taster:
    """Knows the truth up to noise; with `knows=False` it guesses."""

    name: str = "taster"
    knows: bool = True
    noise: float = 0.0
    epochs: int = 3
    fails: str = ""

    def fit(self, train, valid=None, *, seed=0, watch=None):
        FITS.append((self.name, seed))
        if self.fails == "interrupt":
            raise KeyboardInterrupt
        if self.fails == "fault":
            raise ValueError("a fault in the system")
        if watch is not None:
            watch({"epoch": 1, "loss": 0.5})
        self.fitted = {"seed": seed}
        return self

    def score(self, histories, candidates, context=None):
        ids = np.array(candidates.vocabulary.ids.to_pylist())
        rng = np.random.default_rng(self.fitted["seed"])
        own = self.noise * rng.standard_normal(len(ids))
        known = taste(ids) if self.knows else rng.standard_normal(len(ids))
        made = 1 / (1 + np.exp(-(known + own)))
        scores = made[candidates.items]
        return np.broadcast_to(scores, (len(histories), len(scores))) if candidates.shared else scores
