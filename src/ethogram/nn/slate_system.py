"""Options and verbs that every ranking system shares whose model is a slate network.

A system adds what its paper is about: the options of its interest, and `_interest`, which makes it. A default of its
own is written as the same field again.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from ethogram.errors import NotFitted, OptionError
from ethogram.numeric.calibrated import Calibrated
from ethogram.options import searched
from ethogram.verbs import Candidates, Histories, Log, State, Table, Vocabulary, Watch

if TYPE_CHECKING:
    from torch import nn

    from ethogram.nn.prepared import Prepared
    from ethogram.nn.ranker import SlateRanker

AT_LEAST_ONE = ("dim", "side", "batch", "last", "questions", "epochs", "patience")
LAYERS = ("hidden", "attention")


@dataclass(kw_only=True)
class SlateSystem(Calibrated, ABC):
    """A slate network as a system; its fitted state is a `SlateRanker`."""

    dim: int = searched(32, among=(16, 32, 64))
    "Width of the item identity's embedding."
    side: int = 8
    "Width of the embeddings of all other columns."
    last: int | None = searched(50, among=(20, 50, 100))
    "Events of the history that are read, from the end; none reads all."
    activation: Literal["prelu", "dice", "relu"] = searched("dice", among=("prelu", "dice", "relu"))
    "Activation of attention and tower."
    hidden: tuple[int, ...] = (128, 64)
    "Hidden layers of the tower."
    dropout: float = searched(0.1, 0.0, 0.5)
    "Share of hidden values of the tower that are dropped in training."
    decay: float = searched(0.01, 1e-4, 1.0, log=True)
    "Weight of the mini-batch aware L2 penalty on embeddings; 0 switches it off."
    lr: float = searched(1e-3, 2e-4, 1e-2, log=True)
    "Step size of Adam."
    epochs: int = 4
    "Passes over the questions, at most."
    patience: int = 1
    "Epochs without a better validation log-loss before training stops."
    batch: int = searched(2_048, among=(1_024, 2_048, 4_096))
    "Candidates per step."
    questions: int | None = None
    "Questions per epoch, drawn anew each epoch; none takes all."
    precision: Literal["fp32", "bf16"] = "fp32"
    "Arithmetic of matrix products in training."

    def __post_init__(self) -> None:
        key = self.info.key  # type: ignore[attr-defined]
        for name in AT_LEAST_ONE:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{key}: {name} = {value}; give 1 or more.")
        for name in LAYERS:
            if any(width < 1 for width in getattr(self, name, ())):
                raise OptionError(f"{key}: {name} = {getattr(self, name)}; layers have 1 or more values.")
        if not 0 <= self.dropout < 1:
            raise OptionError(f"{key}: dropout = {self.dropout} is not in [0, 1).")
        if not self.lr > 0 or self.decay < 0:
            raise OptionError(f"{key}: lr = {self.lr} must be above 0, decay = {self.decay} not below.")

    @abstractmethod
    def _interest(self, width: int) -> nn.Module:
        """What reads a history for a candidate, an `Interest`, for item vectors of this width."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from the labelled events of `train`; `valid` decides when to stop."""
        from ethogram.nn.ranker import SlateRanker

        self.fitted: SlateRanker | Any = SlateRanker.fit(self, self._interest, train, valid, seed=seed, watch=watch)
        return self

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Probability of a positive answer for each candidate."""
        scores: np.ndarray = self.fitted.score(histories, candidates, context)
        return scores

    def prepared(self, vocabulary: Vocabulary | None = None, *, tables: Mapping[str, Table] | None = None) -> Prepared:
        """The fitted network held ready for single requests, with the same scores; see `ethogram.nn.prepared`.

        Parameters
        ----------
        vocabulary : the items that are asked about; those that training knew unless given.
        tables : side tables of the histories that will come; those of training unless given.

        Raises
        ------
        OptionError
            There is no such form of this network: serve it by `score`.
        """
        from ethogram.nn.prepared import Prepared

        if self.fitted is None:
            raise NotFitted(f"{self.info.key}: prepared before fit; call fit(log), or load a saved system.")  # type: ignore[attr-defined]
        if inspect.unwrap(type(self).score) is not SlateSystem.score:
            raise OptionError(f"prepared: {self.info.key} scores in a way of its own.")  # type: ignore[attr-defined]
        return Prepared.of(self.fitted, vocabulary, tables=tables, finish=self.calibrated)

    def state(self) -> State:
        found: State = self.fitted.state()
        return found

    def restore(self, state: State) -> Self:
        from ethogram.nn.ranker import SlateRanker

        self.fitted = SlateRanker.restore(self, self._interest, state)
        return self
