"""Recommends to each person what they took themselves, often and lately: the floor to beat wherever people repeat.

    score(u, b) = sum over u's events k with item b of decay^(g_k) + 1e-9 popularity(b)

g_k is the number of u's groups of equal times (baskets) behind event k. What the person never took is ordered by
popularity alone.

Reference: M. Li, S. Jullien, M. Ariannezhad, M. de Rijke: A Next Basket Recommendation Reality Check. TOIS 2023
(there "P-TopFreq" without decay, backed by the global "G-TopFreq").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ethogram.numeric.affinity import POPULARITY, Affinity
from ethogram.numeric.known import Known
from ethogram.numeric.ledger import Ledger, remembered
from ethogram.numeric.neighbours import itself
from ethogram.numeric.traces import check_decay
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch


@system(
    "personal_frequency",
    paper="A Next Basket Recommendation Reality Check",
    year=2023,
    area="recommend",
    verbs=("score", "recommend", "explain", "update"),
    baseline=True,
)
@dataclass(kw_only=True)
class PersonalFrequency:
    """What the person took themselves, often and lately."""

    decay: float = 0.95
    "Factor by which an event weighs less for each later group of equal times of the user; 1 counts all alike."
    remember: bool = False
    "Keep the training events in the fitted system, so that `update` can go on from them."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Count items; the personal part is read from the history of each question."""
        check_decay("personal_frequency", self.decay)
        self.fitted = self._learn(Known.of(train), train.histories(), Ledger.of(train) if self.remember else None)
        return self

    def _learn(self, known: Known, done: Histories, ledger: Ledger | None) -> Affinity:
        return Affinity(known, itself(len(known.items)), POPULARITY * known.counts, self.decay, ledger)

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
        """Decayed counts of the person's own events."""
        return self.fitted.score(histories, candidates)

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None, among: Candidates | None = None
    ) -> Table:
        """The best items (see `ethogram.numeric.recommend`)."""
        return self.fitted.recommend(histories, k, exclude_seen=exclude_seen, among=among)

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events with the largest part in each score (see `Affinity.explain`)."""
        return self.fitted.explain(histories, candidates, k)

    def state(self) -> State:
        return self.fitted.state()

    def restore(self, state: State) -> Self:
        self.fitted = Affinity.restore(state)
        return self
