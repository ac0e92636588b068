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
from typing import Literal

from ethogram.nn.next_item_system import NextItemSystem
from ethogram.nn.nextfit import NextItemNetwork
from ethogram.nn.transformer import CausalTransformer
from ethogram.options import searched
from ethogram.system import system


@system(
    "sasrec",
    paper="Self-Attentive Sequential Recommendation",
    year=2018,
    area="recommend",
    verbs=("score", "recommend", "similar_items"),
    needs=("torch",),
    baseline=True,
)
@dataclass(kw_only=True)
class SASRec(NextItemSystem):
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
    proposal: Literal["popularity", "mixture"] = "popularity"
    "Samples are drawn by count^0.75, or half so and half uniformly."
    lr: float = searched(1e-3, 2e-4, 5e-3, log=True)
    batch: int = searched(1_024, among=(512, 1_024, 2_048, 4_096))

    def _network(self, items: int, sparse: bool, seed: int) -> NextItemNetwork:
        encoder = CausalTransformer(
            self.dim, layers=self.layers, heads=self.heads, hidden=self.hidden or self.dim, positions=self.length,
            dropout=self.dropout, norm=self.norm, seed=seed,
        )  # fmt: skip
        return NextItemNetwork(items, self.dim, encoder, sparse=sparse, scale=self.dim**0.5, seed=seed)
