"""Recommends items that share their users with what the person took last: item-kNN over a fading history.

    score(u, b) = sum over u's events k of decay^(g_k) C[h_k, b] + 1e-9 popularity(b)

C as in `item_knn`; g_k is the number of u's groups of equal times behind event k, so that events of one group weigh
the same and the last group weighs 1.

Reference: Y. Ding, X. Li: Time Weight Collaborative Filtering. CIKM 2005 (the weight there decays with time; here
with the number of later groups, which needs no unit).
"""

from __future__ import annotations

from dataclasses import dataclass

from ethogram.numeric.affinity import Affinity
from ethogram.numeric.known import Known
from ethogram.numeric.ledger import Ledger
from ethogram.options import searched
from ethogram.recommend.item_knn import ItemKNN, neighbourhood
from ethogram.system import system
from ethogram.verbs import Histories


@system(
    "item_knn_decay",
    paper="Time Weight Collaborative Filtering",
    year=2005,
    area="recommend",
    verbs=("score", "recommend", "explain", "update", "similar_items"),
    baseline=True,
)
@dataclass(kw_only=True)
class ItemKNNDecay(ItemKNN):
    """Items that share their users with those of the late history."""

    decay: float = searched(0.8, 0.3, 1.0)
    "Factor by which an event weighs less for each later group of equal times of the user."

    def _learn(self, known: Known, done: Histories, ledger: Ledger | None) -> Affinity:
        return neighbourhood(self, self.decay, known, done, ledger)
