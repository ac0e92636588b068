"""People with two interests of which one decides what comes next: a generator for shifts in what goes together.

Clusters of items come in pairs, a cause and its companion. A user has one cause; with probability `together` the other
interest is its companion, else another cause's. The past, one unordered basket, holds a few items of the cause, some
of which are of any cause (`noise`), and many of the companion; what comes next is of the cause alone. Where interests
mostly go together, the companion tells more of it than the basket's own few items; where they do not, only these do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError


@data_set(
    "companions",
    what="generated: people with two interests of which only one decides what comes next",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Companions:
    """Baskets (order 0) and what comes next (order 1); items number cause clusters first, then companions."""

    users: int = 4_000
    "People."
    pairs: int = 3
    "Pairs of a cause and its companion."
    items: int = 60
    "Items of a cluster, popular ones taken more often."
    basket: tuple[int, int] = (2, 6)
    "Items of a basket of the cause, and of the companion."
    noise: float = 0.5
    "Share of the former that are of any cause."
    together: float = 0.9
    "Share of users whose interests are a pair."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        if min(self.users, *self.basket) < 1 or self.pairs < 2 or self.items <= sum(self.basket):
            raise OptionError(
                f"companions: users = {self.users}, pairs = {self.pairs}, items = {self.items}, basket = "
                f"{self.basket}; give 1 or more, 2 or more, more items than a basket holds."
            )
        if not (0 <= self.together <= 1 and 0 <= self.noise <= 1):
            raise OptionError(f"companions: together = {self.together}, noise = {self.noise}; give shares.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def _made(self) -> dict[str, np.ndarray]:
        rng, n, (few, many) = np.random.default_rng(self.seed), self.users, self.basket
        cause = rng.integers(0, self.pairs, n)
        other = (cause + rng.integers(1, self.pairs, n)) % self.pairs
        companion = np.where(rng.random(n) < self.together, cause, other)
        # different items of a cluster, by a power law (Gumbel's trick draws without replacement)
        appeal = -0.7 * np.log(np.arange(1, self.items + 1)) + rng.gumbel(size=(2, n, self.items))
        within = np.argsort(-appeal, axis=2)
        stray = rng.random((n, few)) < self.noise
        kind = np.where(stray, rng.integers(0, self.pairs, (n, few)), cause[:, None])
        own = kind * self.items + within[0, :, 1 : few + 1]
        others = (self.pairs + companion)[:, None] * self.items + within[1, :, :many]
        target = cause * self.items + within[0, :, 0]
        return {"cause": cause, "companion": companion, "taken": np.hstack([own, others]), "target": target}

    def read(self) -> Reading:
        m = self._made
        rows = np.concatenate([m["taken"], m["target"][:, None]], 1)
        order = np.zeros_like(rows)
        order[:, -1] = 1
        user = np.repeat(np.arange(self.users), rows.shape[1])
        events = pa.table({"user": user, "item": rows.ravel(), "order": order.ravel()})
        return Reading(events, {"user": "user", "item": "item", "order": "order"})

    def truth(self) -> dict[str, pa.Table]:
        """`users`: user, cause, companion (numbers of clusters; a companion has the number of its cause), target."""
        m = self._made
        named = {"user": np.arange(self.users), "cause": m["cause"], "companion": m["companion"], "target": m["target"]}
        return {"users": pa.table(named)}
