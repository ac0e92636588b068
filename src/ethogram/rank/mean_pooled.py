"""Ranks candidates with a network that sums a person up without looking at the candidate: the base that attention has
to beat, and the networks of its time.

    v    = mean_j e_j                                    or the sum
    p(t) = sigmoid(Tower([e_t ; v ; user ; context ; log(1 + L)]))

`cross` adds interactions of columns (`ethogram.nn.cross`): none is the base model (embedding and tower), `lr` logistic
regression, `wide_deep` Wide & Deep, `pnn` PNN with inner products, `deepfm` DeepFM; `product` gives the tower e_t * v.

Reference of the base model: P. Covington, J. Adams, E. Sargin: Deep Neural Networks for YouTube Recommendations. RecSys
2016 (the watch history as the mean of its embeddings); as "BaseModel" in G. Zhou et al.: Deep Interest Network for
Click-Through Rate Prediction. KDD 2018, where the others are its competitors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from ethogram.nn.ranker import SlateRanker, check
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch


@system(
    "mean_pooled",
    paper="Deep Neural Networks for YouTube Recommendations",
    year=2016,
    area="rank",
    verbs=("score",),
    needs=("torch",),
    baseline=True,
)
@dataclass(kw_only=True)
class MeanPooled:
    """Embeddings, the pooled history and a tower; LR, Wide & Deep, PNN and DeepFM by one option."""

    cross: Literal["none", "product", "lr", "wide_deep", "pnn", "deepfm"] = "none"
    "Interactions of columns: none, candidate times history, or those of LR, Wide & Deep, PNN, DeepFM."
    pool: Literal["mean", "sum"] = "mean"
    "How the history is summed up."
    dim: int = 16
    "Width of the item identity's embedding."
    side: int = 8
    "Width of the embeddings of all other columns."
    last: int | None = 50
    "Events of the history that are read, from the end; none reads all."
    activation: Literal["prelu", "dice", "relu"] = "dice"
    "Activation of the tower."
    hidden: tuple[int, ...] = (128, 64)
    "Hidden layers of the tower."
    dropout: float = 0.1
    "Share of hidden values of the tower that are dropped in training."
    decay: float = 0.01
    "Weight of the mini-batch aware L2 penalty on embeddings; 0 switches it off."
    lr: float = 1e-3
    "Step size of Adam."
    epochs: int = 8
    "Passes over the questions, at most."
    patience: int = 1
    "Epochs without a better validation log-loss before training stops."
    batch: int = 1_024
    "Candidates per step."
    questions: int | None = None
    "Questions per epoch, drawn anew each epoch; none takes all."
    precision: Literal["fp32", "bf16"] = "fp32"
    "Arithmetic of matrix products in training."

    def __post_init__(self) -> None:
        check(self)

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from the labelled events of `train`; `valid` decides when to stop."""
        self.fitted = SlateRanker.fit(self, self._interest, train, valid, seed=seed, watch=watch)
        return self

    def _interest(self, width: int) -> Any:
        from ethogram.nn.interest import Pooled

        return Pooled(width, self.pool)

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Probability of a positive answer for each candidate."""
        scores: np.ndarray = self.fitted.score(histories, candidates, context)
        return scores

    def state(self) -> State:
        found: State = self.fitted.state()
        return found

    def restore(self, state: State) -> Self:
        self.fitted = SlateRanker.restore(self, self._interest, state)
        return self
