"""Recommends what a person would remember most readily: the base level of ACT-R's memory, and nothing else.

    B(u, i) = ln sum over u's events k with item i of (t - t_k)^-d             score = exp B + 1e-9 popularity(i)

t is when is asked, in hours. What the person never took is ordered by popularity alone. The exponential keeps the
order, and makes the score a sum over the past that `explain` takes apart.

Reference: J. R. Anderson, L. J. Schooler: Reflections of the Environment in Memory. Psychological Science 2, 1991.
"""

from __future__ import annotations

from dataclasses import dataclass

from ethogram.errors import OptionError
from ethogram.numeric.affinity import POPULARITY, Affinity
from ethogram.numeric.affinity_system import AffinitySystem
from ethogram.numeric.fitted_verbs import Explained, Scored
from ethogram.numeric.known import Known
from ethogram.numeric.ledger import Ledger
from ethogram.numeric.neighbours import itself
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Histories


@system(
    "base_level",
    paper="Reflections of the Environment in Memory",
    year=1991,
    area="recommend",
    verbs=("score", "recommend", "explain", "update"),
    baseline=True,
)
@dataclass(kw_only=True)
class BaseLevel(AffinitySystem, Scored, Explained):
    """What the person took themselves, by the power law of forgetting."""

    decay: float = searched(0.5, 0.1, 0.9)
    "Exponent d: how fast an event is forgotten; 0 forgets nothing."

    def _check(self) -> None:
        if not self.decay >= 0:
            raise OptionError(f"base_level: decay = {self.decay} is below 0.")

    def _learn(self, known: Known, done: Histories, ledger: Ledger | None) -> Affinity:
        rows = itself(len(known.items))
        return Affinity(known, rows, POPULARITY * known.counts, ledger=ledger, power=self.decay)
