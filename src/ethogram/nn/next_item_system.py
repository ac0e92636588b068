"""Options and verbs that every recommending system shares whose model is a next-item network.

A system adds the options of its encoder, and `_network`, which makes it. A default of its own is written as the same
field again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

if TYPE_CHECKING:
    from ethogram.nn.nextfit import NextItemFit, NextItemNetwork


@dataclass(kw_only=True)
class NextItemSystem(ABC):
    """A next-item network as a system; its fitted state is a `NextItemFit`."""

    loss: Literal["auto", "softmax", "sampled", "negative"] = "auto"
    "Cross-entropy over all items, over samples, or by size (all up to 20,000 items); or one negative for each event."
    negatives: int = 512
    "Samples that a batch shares, where the loss is sampled."
    lr: float = 1e-3
    "Step size of Adam."
    epochs: int = 30
    "Passes over the windows, at most."
    patience: int = 3
    "Epochs without a better validation NDCG@10 before training stops."
    batch: int = 1_024
    "Events per step."
    windows: int | None = None
    "Windows per epoch, drawn anew each epoch; none takes all."
    questions: int | None = 4_096
    "Validation questions that decide when to stop, drawn once; none takes all."
    precision: Literal["fp32", "bf16"] = "fp32"
    "Arithmetic of matrix products in training."

    @abstractmethod
    def _network(self, items: int, sparse: bool, seed: int) -> NextItemNetwork:
        """The untrained network for a catalogue of this many items."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from behaviour; `valid` decides when to stop.

        Raises
        ------
        OptionError
            Numbers that no network can have, or a log in which nobody has two groups of events.
        """
        from ethogram.nn.nextfit import NextItemFit

        self.fitted: NextItemFit | Any = NextItemFit.fit(self, self._network, train, valid, seed=seed, watch=watch)
        return self

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Products of state and item vector, float32; what they mean for the unknown stands in `nn.nextitem`."""
        scores: np.ndarray = self.fitted.score(histories, candidates)
        return scores

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None, among: Candidates | None = None
    ) -> Table:
        """The best items (see `ethogram.numeric.recommend`)."""
        return self.fitted.recommend(histories, k, exclude_seen=exclude_seen, among=among)

    def similar_items(self, items: Sequence[Any], k: int = 10, *, among: Candidates | None = None) -> Table:
        """Items of largest cosine of vectors (see `ethogram.numeric.similar`)."""
        return self.fitted.model.similar_items(items, k, among)

    def state(self) -> State:
        found: State = self.fitted.state()
        return found

    def restore(self, state: State) -> Self:
        from ethogram.nn.nextfit import NextItemFit

        self.fitted = NextItemFit.restore(self, self._network, state)
        return self
