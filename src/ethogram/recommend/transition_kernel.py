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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric.affinity import POPULARITY, Affinity
from ethogram.numeric.known import Known
from ethogram.numeric.ledger import Ledger, remembered
from ethogram.numeric.neighbours import transitions
from ethogram.numeric.traces import check_decay
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch


@system(
    "transition_kernel",
    paper="Evaluation of Session-based Recommendation Algorithms",
    year=2018,
    area="recommend",
    verbs=("score", "recommend", "explain", "update", "similar_items"),
    baseline=True,
)
@dataclass(kw_only=True)
class TransitionKernel:
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
    remember: bool = False
    "Keep the training events in the fitted system, so that `update` can go on from them."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Count transitions.

        Raises
        ------
        OptionError
            gap or neighbours below 1, reverse below 0, decay outside (0, 1].
        """
        check_decay("transition_kernel", self.decay)
        if self.reverse < 0:
            raise OptionError(f"transition_kernel: reverse = {self.reverse} is below 0.")
        if self.neighbours is not None and self.neighbours < 1:
            raise OptionError(f"transition_kernel: neighbours = {self.neighbours}; give 1 or more, or none for all.")
        self.fitted = self._learn(Known.of(train), train.histories(), Ledger.of(train) if self.remember else None)
        return self

    def _learn(self, known: Known, done: Histories, ledger: Ledger | None) -> Affinity:
        rows = transitions(
            done, np.maximum(known.counts, 1.0), gap=self.gap, reverse=self.reverse,
            limit=self.memory * 2**20, cap=self.neighbours,
        )  # fmt: skip
        return Affinity(known, rows, POPULARITY * known.counts, self.decay, ledger)

    def update(self, log: Log) -> Self:
        """Go on from what was read with later events: what a fit on both would give.

        Raises
        ------
        OptionError, StepError
            Fitted without `remember`; events earlier than what is known of their user.
        """
        ledger = remembered(self, log)
        self.fitted = self._learn(ledger.known(), ledger.histories, ledger)
        return self

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Summed kernel weights from the items of the history."""
        return self.fitted.score(histories, candidates)

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None, among: Candidates | None = None
    ) -> Table:
        """The best items (see `ethogram.numeric.recommend`)."""
        return self.fitted.recommend(histories, k, exclude_seen=exclude_seen, among=among)

    def similar_items(self, items: Sequence[Any], k: int = 10, *, among: Candidates | None = None) -> Table:
        """Items of largest kernel weight (see `ethogram.numeric.similar`)."""
        return self.fitted.similar_items(items, k, among)

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events with the largest part in each score (see `Affinity.explain`)."""
        return self.fitted.explain(histories, candidates, k)

    def state(self) -> State:
        return self.fitted.state()

    def restore(self, state: State) -> Self:
        self.fitted = Affinity.restore(state)
        return self
