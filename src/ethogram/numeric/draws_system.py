"""What the factor systems share that learn from draws of a user, an item that they took and one that they did not.

A system adds its own options and `_learn`; when training stops is decided by NDCG@10 of the trained vectors on the
validation part, whatever `fold_in` says.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from ethogram.errors import OptionError
from ethogram.numeric.factor_system import judge
from ethogram.numeric.factors import Factors, matrix
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.known import Known
from ethogram.numeric.vectors import Judge
from ethogram.verbs import Log, Watch

Stop = Callable[[Factors], Judge | None]
"""From a model that still learns to what judges it; None where no validation part asks anything."""


@dataclass(kw_only=True)
class DrawsSystem:
    """Beside `FactorSystem`: epochs of draws, stopped by validation."""

    epochs: int = 60
    "Passes over as many draws as there are distinct pairs, at most."
    batch: int = 2_048
    "Draws per step."
    patience: int = 10
    "Epochs without a better NDCG@10 on validation before it stops."
    questions: int | None = 4_096
    "Validation questions that decide when to stop, drawn once; none takes all."

    @abstractmethod
    def _check(self) -> None:
        """OptionError where an option is outside its range."""

    @abstractmethod
    def _learn(self, known: Known, pairs: Interactions, stop: Stop, seed: int, watch: Watch | None) -> Any:
        """What was fitted, from who took what."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from draws; `valid` decides when to stop, by the trained vectors whatever `fold_in` says.

        Raises
        ------
        OptionError
            A number outside its range, or a log that holds no item to learn from.
        StateError
            The loss is not finite.
        """
        self._check()
        known = Known.of(train)
        pairs = matrix(train.histories(), known)
        if not len(pairs.items):
            key = self.info.key  # type: ignore[attr-defined]
            raise OptionError(f"{key}: the training log holds no item to learn from.")
        self.fitted = self._learn(known, pairs, lambda model: judge(model, valid, self.questions, seed), seed, watch)
        return self
