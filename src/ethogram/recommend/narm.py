"""Recommends what tends to come next, from where a history stands and from those of its events that matter for it.

    h_t = GRU(e_1 ... e_t),   c_t = [h_t ; sum over j <= t of alpha_tj h_j],   alpha_tj = v . sigma(A_1 h_t + A_2 h_j)
    P(next = i | t) = exp(e_i . B c_t) / sum over all items of exp(e . B c_t)             the same e in and out

All positions of a window are trained in one pass (`nn.nextfit`); a stranger is answered from the history alone.

Deviations: cross-entropy over shared samples above 20,000 items, as everywhere in `nn.nextfit`; rows of equal time
are one step.

Reference: J. Li, P. Ren, Z. Chen, Z. Ren, T. Lian, J. Ma: Neural Attentive Session-based Recommendation. CIKM 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ethogram.errors import OptionError
from ethogram.nn.attentive import AttentiveRecurrent
from ethogram.nn.next_item_system import NextItemSystem
from ethogram.nn.nextfit import NextItemNetwork
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Log, Watch


@system(
    "narm",
    paper="Neural Attentive Session-based Recommendation",
    year=2017,
    area="recommend",
    verbs=("score", "recommend", "similar_items"),
    needs=("torch",),
    baseline=True,
)
@dataclass(kw_only=True)
class NARM(NextItemSystem):
    """A recurrent network with attention over its own states, trained at all positions."""

    dim: int = searched(64, among=(32, 64, 128))
    "Width of item vectors."
    hidden: int = 100
    "Units of the recurrent layer."
    length: int = searched(50, among=(20, 50, 100))
    "Events that are read: of a window in training, from the end of the history in use."
    dropout: float = searched(0.25, 0.0, 0.6)
    "Share of the input that is dropped in training."
    after: float = searched(0.5, 0.0, 0.6)
    "Share of [h ; c] that is dropped in training."
    lr: float = searched(1e-3, 2e-4, 1e-2, log=True)

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from behaviour; `valid` decides when to stop.

        Raises
        ------
        OptionError
            Numbers that no network can have, or a log in which nobody has two groups of events.
        """
        if not 0 <= self.after < 1:
            raise OptionError(f"narm: after = {self.after} is not in [0, 1).")
        return super().fit(train, valid, seed=seed, watch=watch)

    def _network(self, items: int, sparse: bool, seed: int) -> NextItemNetwork:
        encoder = AttentiveRecurrent(
            self.dim, hidden=self.hidden, dropout=self.dropout, after=self.after, seed=seed
        )  # fmt: skip
        deviation = (2 / (items + 1 + self.dim)) ** 0.5
        return NextItemNetwork(items, self.dim, encoder, sparse=sparse, deviation=deviation, seed=seed)
