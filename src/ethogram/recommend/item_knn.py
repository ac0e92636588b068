"""Recommends items that share their users with the person's own: item-based neighbours under the cosine.

    C[a, b]     = users with both a and b / sqrt(D_a D_b),  C[a, a] = 0
    score(u, b) = sum over u's events k of C[h_k, b] + 1e-9 popularity(b)

D counts training events, at least 1 (repeats count in D, but a user counts once for a pair). Order plays no part, so
groups of equal times need no rule.

Where people come back to the same items (`often`), how often is the evidence, and what somebody bought before is worth
recommending: with n[u, a] events of u at a

    C[a, b] = sum over users of n[u, a] n[u, b] / (|n[., a]| |n[., b]|),  so C[a, a] = 1

All neighbours are kept. Where their rows could need more than `memory`, they are not built: the same sums are
taken through users for each question (the fitted state says so), which costs a pass over all distinct (user, item)
pairs a question; a truncated `neighbours=200` answers faster there, at a small loss.

Reference: M. Deshpande, G. Karypis: Item-Based Top-N Recommendation Algorithms. TOIS 22(1), 2004.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric.affinity import POPULARITY, Affinity
from ethogram.numeric.affinity_system import AffinitySystem
from ethogram.numeric.fitted_verbs import Alike, Explained, Scored
from ethogram.numeric.known import Known
from ethogram.numeric.ledger import Ledger
from ethogram.numeric.neighbours import Baskets, similar
from ethogram.numeric.traces import check_decay
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Histories


@system(
    "item_knn",
    paper="Item-Based Top-N Recommendation Algorithms",
    year=2004,
    area="recommend",
    verbs=("score", "recommend", "explain", "update", "similar_items"),
    baseline=True,
)
@dataclass(kw_only=True)
class ItemKNN(AffinitySystem, Scored, Explained, Alike):
    """Items that share their users with those of the history."""

    neighbours: int | None = searched(None, among=(None, 50, 200, 800))
    "Neighbours kept per item, those of largest cosine; none keeps all."
    memory: int = 1024
    "MiB that the neighbours may take; where all could need more, scores are summed through users instead."
    often: bool | None = None
    "Count how often a user met an item, and let an item speak for itself; none: where the training log has repeats."

    def _learn(self, known: Known, done: Histories, ledger: Ledger | None) -> Affinity:
        return neighbourhood(self, 1.0, known, done, ledger)


def neighbourhood(asked: ItemKNN, decay: float, known: Known, done: Histories, ledger: Ledger | None) -> Affinity:
    """Fit item-kNN, with the options of `asked`, whose history fades by `decay` per group.

    Raises
    ------
    OptionError
        Fewer than one neighbour, or a decay outside (0, 1].
    """
    check_decay("item_knn", decay)
    cap = asked.neighbours
    if cap is not None and cap < 1:
        raise OptionError(f"item_knn: neighbours = {cap}; give 1 or more, or none for all.")
    often = not known.excludes(None) if asked.often is None else asked.often
    baskets = Baskets.of(done, often=often)
    squares = np.maximum(baskets.squares() if often else known.counts, 1.0)
    rows = similar(baskets, squares, cap=cap, limit=asked.memory * 2**20, own=often)
    return Affinity(known, rows, POPULARITY * known.counts, decay, ledger)
