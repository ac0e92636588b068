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

from ethogram.nn.next_item_system import NextItemSystem
from ethogram.nn.nextfit import NextItemNetwork
from ethogram.nn.recurrent import Recurrent
from ethogram.system import system


@system(
    "gru4rec",
    paper="Session-based Recommendations with Recurrent Neural Networks",
    year=2016,
    area="recommend",
    verbs=("score", "recommend", "similar_items"),
    needs=("torch",),
    baseline=True,
)
@dataclass(kw_only=True)
class GRU4Rec(NextItemSystem):
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

    def _network(self, items: int, sparse: bool, seed: int) -> NextItemNetwork:
        encoder = Recurrent(self.dim, hidden=self.hidden, layers=self.layers, dropout=self.dropout, seed=seed)
        # the deviation of item vectors after X. Glorot, Y. Bengio (AISTATS 2010)
        deviation = (2 / (items + 1 + self.dim)) ** 0.5
        return NextItemNetwork(items, self.dim, encoder, sparse=sparse, deviation=deviation, seed=seed)
