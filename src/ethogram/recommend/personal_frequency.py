"""Recommends to each person what they took themselves, often and lately: the floor to beat wherever people repeat.

    score(u, b) = sum over u's events k with item b of decay^(g_k) + 1e-9 popularity(b)

g_k is the number of u's groups of equal times (baskets) behind event k. What the person never took is ordered by
popularity alone.

Reference: M. Li, S. Jullien, M. Ariannezhad, M. de Rijke: A Next Basket Recommendation Reality Check. TOIS 2023
(there "P-TopFreq" without decay, backed by the global "G-TopFreq").
"""

from __future__ import annotations

from dataclasses import dataclass

from ethogram.numeric.affinity import POPULARITY, Affinity
from ethogram.numeric.affinity_system import AffinitySystem
from ethogram.numeric.fitted_verbs import Explained, Scored
from ethogram.numeric.known import Known
from ethogram.numeric.ledger import Ledger
from ethogram.numeric.neighbours import itself
from ethogram.numeric.traces import check_decay
from ethogram.system import system
from ethogram.verbs import Histories


@system(
    "personal_frequency",
    paper="A Next Basket Recommendation Reality Check",
    year=2023,
    area="recommend",
    verbs=("score", "recommend", "explain", "update"),
    baseline=True,
)
@dataclass(kw_only=True)
class PersonalFrequency(AffinitySystem, Scored, Explained):
    """What the person took themselves, often and lately."""

    decay: float = 0.95
    "Factor by which an event weighs less for each later group of equal times of the user; 1 counts all alike."

    def _check(self) -> None:
        check_decay("personal_frequency", self.decay)

    def _learn(self, known: Known, done: Histories, ledger: Ledger | None) -> Affinity:
        return Affinity(known, itself(len(known.items)), POPULARITY * known.counts, self.decay, ledger)
