"""Recommends what tends to come soon after what the person did last: a kernel of decayed transitions.

    T[a, b]     = sum over training histories of 1/g for every b that follows an a at a distance g <= gap
    P           = D^-1/2 (T + reverse T') D^-1/2
    score(u, b) = sum over u's events k of decay^(g_k) P[h_k, b] + 1e-9 popularity(b)

D counts training events, at least 1. Distances g, and g_k from the end of the history, count groups of equal times:
all items of one group precede all items of the next, and nothing is said inside a group. With distinct times
groups are events. It is untrained, and beats many a published neural model on short histories.

Rows longer than fits into `memory` are cut to their largest weights (the fitted state then names the longest row kept).

Reference: the weights 1/g are those of sequential rules in M. Ludewig, D. Jannach: Evaluation of Session-based
Recommendation Algorithms. UMUAI 28, 2018; the reverse share and the symmetric scaling are of this package.
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
from ethogram.numeric.neighbours import transitions
from ethogram.numeric.traces import check_decay
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Histories


@system(
    "transition_kernel",
    paper="Evaluation of Session-based Recommendation Algorithms",
    year=2018,
    area="recommend",
    verbs=("score", "recommend", "explain", "update", "similar_items"),
    baseline=True,
)
@dataclass(kw_only=True)
class TransitionKernel(AffinitySystem, Scored, Explained, Alike):
    """What tends to follow, within a few steps, what the history ends with."""

    gap: int = searched(3, 1, 10)
    "Longest distance, in groups of equal times, at which an event counts as following another."
    reverse: float = searched(0.5, 0.0, 1.0)
    "Weight of the reverse direction: how much b before a speaks for b after a."
    decay: float = searched(0.8, 0.3, 1.0)
    "Factor by which an event of the history weighs less for each later group of equal times."
    neighbours: int | None = searched(None, among=(None, 50, 200, 800))
    "Followers kept per item, those of largest weight; none keeps all."
    memory: int = 1024
    "MiB that the followers may take; longer rows are cut until they fit."

    def _check(self) -> None:
        check_decay("transition_kernel", self.decay)
        if self.reverse < 0:
            raise OptionError(f"transition_kernel: reverse = {self.reverse} is below 0.")
        if self.neighbours is not None and self.neighbours < 1:
            raise OptionError(f"transition_kernel: neighbours = {self.neighbours}; give 1 or more, or none for all.")

    def _learn(self, known: Known, done: Histories, ledger: Ledger | None) -> Affinity:
        rows = transitions(
            done, np.maximum(known.counts, 1.0), gap=self.gap, reverse=self.reverse,
            limit=self.memory * 2**20, cap=self.neighbours,
        )  # fmt: skip
        return Affinity(known, rows, POPULARITY * known.counts, self.decay, ledger)
