"""Recommends what a person would remember most readily: the base level of ACT-R's memory, and nothing else.

    B(u, i) = ln sum over u's events k with item i of (t - t_k)^-d             score = exp B + 1e-9 popularity(i)

t is when is asked, in hours. What the person never took is ordered by popularity alone. The exponential keeps the
order, and makes the score a sum over the past that `explain` takes apart.

Reference: J. R. Anderson, L. J. Schooler: Reflections of the Environment in Memory. Psychological Science 2, 1991.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric.affinity import POPULARITY, Affinity
from ethogram.numeric.known import Known
from ethogram.numeric.neighbours import itself
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch


@system(
    "base_level",
    paper="Reflections of the Environment in Memory",
    year=1991,
    area="recommend",
    verbs=("score", "recommend", "explain"),
    baseline=True,
)
@dataclass(kw_only=True)
class BaseLevel:
    """What the person took themselves, by the power law of forgetting."""

    decay: float = searched(0.5, 0.1, 0.9)
    "Exponent d: how fast an event is forgotten; 0 forgets nothing."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Count items; the personal part is read from the history of each question.

        Raises
        ------
        OptionError
            decay below 0.
        """
        if not self.decay >= 0:
            raise OptionError(f"base_level: decay = {self.decay} is below 0.")
        known = Known.of(train)
        self.fitted = Affinity(known, itself(len(known.items)), POPULARITY * known.counts, power=self.decay)
        return self

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """exp B of each candidate."""
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
