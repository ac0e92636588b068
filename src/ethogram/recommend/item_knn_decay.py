"""Recommends items that share their users with what the person took last: item-kNN over a fading history.

    score(u, b) = sum over u's events k of decay^(g_k) C[h_k, b] + 1e-9 popularity(b)

C as in `item_knn`; g_k is the number of u's groups of equal times behind event k, so that events of one group weigh
the same and the last group weighs 1.

Reference: Y. Ding, X. Li: Time Weight Collaborative Filtering. CIKM 2005 (the weight there decays with time; here
with the number of later groups, which needs no unit).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ethogram.options import searched
from ethogram.recommend.item_knn import ItemKNN, neighbourhood
from ethogram.system import system
from ethogram.verbs import Log, Watch


@system(
    "item_knn_decay",
    paper="Time Weight Collaborative Filtering",
    year=2005,
    area="recommend",
    verbs=("score", "recommend", "explain"),
    baseline=True,
)
@dataclass(kw_only=True)
class ItemKNNDecay(ItemKNN):
    """Items that share their users with those of the late history."""

    decay: float = searched(0.8, 0.3, 1.0)
    "Factor by which an event weighs less for each later group of equal times of the user."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Count which items share users."""
        self.fitted = neighbourhood(train, self.decay, self.neighbours, self.memory)
        return self
