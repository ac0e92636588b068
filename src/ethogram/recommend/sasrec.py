"""Recommends what tends to come next after a history that is read as a whole, by self-attention.

    x_j = sqrt(d) e_{i_j} + p_{dist(j)}                 dist: groups of equal times from j to the history's last group
    H   = Transformer(x)                                row j reads the rows of its own and of earlier groups
    P(next = i | j) = exp(h_j . e_i) / sum over all items of exp(h_j . e)           the same e in and out

All positions of a window of at most `length` events are trained in one causal pass: row j is asked for an item drawn
from the group after its own, anew each epoch, over the whole catalogue or samples of it (`nn.nextfit`). What is asked
is answered by the mean state of the history's last group.

Deviations: cross-entropy over the catalogue in the place of one sampled negative (over-confident: A. Petrov,
C. Macdonald, gSASRec, RecSys 2023); rows of equal time are one unordered group; windows begin at a random event
instead of keeping a user's last events only; GELU; normalisation before each branch.

Reference: W.-C. Kang, J. McAuley: Self-Attentive Sequential Recommendation. ICDM 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from ethogram.nn.nextfit import NextItemFit, NextItemNetwork
from ethogram.nn.transformer import CausalTransformer
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch


@system(
    "sasrec",
    paper="Self-Attentive Sequential Recommendation",
    year=2018,
    area="recommend",
    verbs=("score", "recommend"),
    needs=("torch",),
    baseline=True,
)
@dataclass(kw_only=True)
class SASRec:
    """A causal transformer over the history, trained at all positions."""

    dim: int = searched(64, among=(32, 64, 128))
    "Width of item vectors and states."
    layers: int = searched(2, 1, 3)
    "Blocks of attention and feed-forward."
    heads: int = 2
    "Heads of attention; they divide `dim`."
    hidden: int | None = None
    "Width of the feed-forward layer; none is `dim`, as in the paper."
    length: int = searched(50, among=(20, 50, 100))
    "Events that are read: of a window in training, from the end of the history in use."
    dropout: float = searched(0.2, 0.0, 0.6)
    "Share of inputs, attention weights and branches that is dropped in training."
    norm: Literal["pre", "post"] = "pre"
    "Normalise before each branch, or after each sum as in the paper."
    loss: Literal["auto", "softmax", "sampled"] = "auto"
    "Cross-entropy over all items, over samples, or by the size of the catalogue (all up to 20,000 items)."
    negatives: int = 512
    "Samples that a batch shares, where the loss is sampled."
    proposal: Literal["popularity", "mixture"] = "popularity"
    "Samples are drawn by count^0.75, or half so and half uniformly."
    lr: float = searched(1e-3, 2e-4, 5e-3, log=True)
    "Step size of Adam."
    epochs: int = 30
    "Passes over the windows, at most."
    patience: int = 3
    "Epochs without a better validation NDCG@10 before training stops."
    batch: int = searched(1_024, among=(512, 1_024, 2_048, 4_096))
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
            heads that do not divide dim, numbers below 1, or a log in which nobody has two groups of events.
        """
        self.fitted = NextItemFit.fit(self, self._network, train, valid, seed=seed, watch=watch)
        return self

    def _network(self, items: int, sparse: bool, seed: int) -> NextItemNetwork:
        encoder = CausalTransformer(
            self.dim, layers=self.layers, heads=self.heads, hidden=self.hidden or self.dim, positions=self.length,
            dropout=self.dropout, norm=self.norm, seed=seed,
        )  # fmt: skip
        return NextItemNetwork(items, self.dim, encoder, sparse=sparse, scale=self.dim**0.5, seed=seed)

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
