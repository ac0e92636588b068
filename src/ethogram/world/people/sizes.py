"""How many different items a trip takes.

    P_h(n) = (c_h(bin(n)) + k pi(bin(n))) / (c_h + k) * q(n | bin(n))

c_h counts trips of household h by bins of sizes (older ones count less), pi and q are those of all households: a
Dirichlet prior of k pseudo-trips. Strength and half-life are those under which the last days of the fit's own window
were most probable.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ethogram.world.people.purchases import Purchases

EDGES = np.array([1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 23, 31, 46, 71])
"""Smallest size of each bin."""
HALF_LIVES = (56.0, 112.0, float("inf"))
STRENGTHS = (10.0, 30.0, 100.0)
HELD = 28


@dataclass
class Sizes:
    """Fitted distributions: `chance` float64[U, largest], of sizes 1, 2, ... in each household."""

    chance: np.ndarray
    chosen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ends = np.cumsum(self.chance, 1)

    @classmethod
    def fit(cls, past: Purchases, half_life: float | None = None, strength: float | None = None) -> Sizes:
        """Fit on all trips of `past`."""
        user, day, _ = past.trips
        size, largest = past.sizes, int(past.sizes.max())
        if half_life is None or strength is None:
            cut = past.days - min(HELD, past.days // 4)
            old = day < cut
            lives, strengths = [half_life] if half_life else HALF_LIVES, [strength] if strength else STRENGTHS
            grid = [(h, s) for h in lives for s in strengths]
            scored = []
            for h, s in grid:
                p = _chances(user[old], cut - day[old], size[old], past.households, largest, h, s)
                scored.append(float(np.log(p[user[~old], size[~old] - 1]).mean()) if (~old).any() else 0.0)
            half_life, strength = grid[int(np.argmax(scored))]
        made = _chances(user, past.days - day, size, past.households, largest, half_life, strength)
        return cls(made, {"half_life": half_life, "strength": strength})

    def draw(self, who: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Sizes int64[n] of households `who`, from numbers between 0 and 1."""
        ends = self._ends[who]
        return (ends < uniform[:, None] * ends[:, -1:]).sum(1) + 1


def _chances(
    user: np.ndarray,
    age: np.ndarray,
    size: np.ndarray,
    households: int,
    largest: int,
    half_life: float,
    strength: float,
) -> np.ndarray:
    bins = np.searchsorted(EDGES, np.arange(1, largest + 1), "right") - 1
    known = np.bincount(size - 1, minlength=largest) + 0.5  # a size that nobody had yet is possible
    within = known / np.bincount(bins, known)[bins]
    pooled = np.bincount(bins, known) / known.sum()
    weight = np.exp2(-age / half_life) if np.isfinite(half_life) else np.ones(len(age))
    m = len(pooled)
    counts = np.bincount(user * m + bins[size - 1], weight, households * m).reshape(households, m)
    share = (counts + strength * pooled) / (counts.sum(1, keepdims=True) + strength)
    return np.asarray(share[:, bins] * within)
