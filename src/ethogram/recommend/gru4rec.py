"""Recommends what tends to come next after a history that is read event by event, by a gated recurrent unit.

    x_t = mean of e_i over the items of group t                      a group: events of equal time
    r, z = sigma(W_r x_t + U_r h_{t-1}), sigma(W_z x_t + U_z h_{t-1})
    n = tanh(W_n x_t + r * (U_n h_{t-1})),   h_t = (1 - z) * n + z * h_{t-1}
    P(next = i | t) = exp((V h_t + b) . e_i) / sum over all items of exp((V h_t + b) . e)     the same e in and out

A person whom training never met is answered from the history alone, as everybody is.

Deviations: cross-entropy over the catalogue (above 20,000 items over samples shared by the batch, see `nn.nextfit`)
in the place of the ranking losses TOP1 and BPR, as in later work of the same authors (CIKM 2018); item vectors enter
and answer, in the place of one-hot input and a matrix of its own for the output; whole windows are trained from a zero
state, in the place of session-parallel batches that carry states over; rows of equal time are one step.

References: B. Hidasi, A. Karatzoglou, L. Baltrunas, D. Tikk: Session-based Recommendations with Recurrent Neural
Networks. ICLR 2016. Y. K. Tan, X. Xu, Y. Liu: Improved Recurrent Neural Networks for Session-based Recommendations.
DLRS 2016 (dropout of the input).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from ethogram.nn.nextfit import NextItemFit, NextItemNetwork
from ethogram.nn.recurrent import Recurrent
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch


@system(
    "gru4rec",
    paper="Session-based Recommendations with Recurrent Neural Networks",
    year=2016,
    area="recommend",
    verbs=("score", "recommend"),
    needs=("torch",),
    baseline=True,
)
@dataclass(kw_only=True)
class GRU4Rec:
    """A recurrent network over the history, trained at all positions."""

    dim: int = 64
    "Width of item vectors."
    hidden: int = 128
    "Units of a recurrent layer."
    layers: int = 1
    "Recurrent layers."
    length: int = 50
    "Events that are read: of a window in training, from the end of the history in use."
    dropout: float = 0.3
    "Share of the input that is dropped in training."
    loss: Literal["auto", "softmax", "sampled"] = "auto"
    "Cross-entropy over all items, over samples, or by the size of the catalogue (all up to 20,000 items)."
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

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from behaviour; `valid` decides when to stop.

        Raises
        ------
        OptionError
            Numbers below 1, or a log in which nobody has two groups of events.
        """
        self.fitted = NextItemFit.fit(self, self._network, train, valid, seed=seed, watch=watch)
        return self

    def _network(self, items: int, sparse: bool, seed: int) -> NextItemNetwork:
        encoder = Recurrent(self.dim, hidden=self.hidden, layers=self.layers, dropout=self.dropout, seed=seed)
        # the deviation of item vectors after X. Glorot, Y. Bengio (AISTATS 2010)
        deviation = (2 / (items + 1 + self.dim)) ** 0.5
        return NextItemNetwork(items, self.dim, encoder, sparse=sparse, deviation=deviation, seed=seed)

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Products of state and item vector, float32; what they mean for the unknown stands in `nn.nextitem`."""
        return self.fitted.score(histories, candidates)

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None, among: Candidates | None = None
    ) -> Table:
        """The best items (see `ethogram.numeric.recommend`)."""
        return self.fitted.recommend(histories, k, exclude_seen=exclude_seen, among=among)

    def state(self) -> State:
        return self.fitted.state()

    def restore(self, state: State) -> Self:
        self.fitted = NextItemFit.restore(self, self._network, state)
        return self
