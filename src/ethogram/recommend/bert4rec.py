"""Recommends what tends to come next by filling in blanks, read from both sides.

    x_j = e_{i_j} + p_{dist(j)},  of a hidden group the mask vector instead of e
    h = LayerNorm(GELU(W Transformer(x) + b)),   every row reads every row
    P(item at a hidden place = i) = exp(h . e_i) / sum over all items of exp(h . e)       the same e in and out

Training hides groups of a window at random and always what follows it (`nn.cloze`); in use a mask stands behind the
history and its state answers. A stranger is answered from the history alone.

Deviations: the end of each window is always hidden, in the place of windows of their own in which only the end is;
windows begin at a random event; the output has no bias of its own per item; normalisation before each branch.

Reference: F. Sun, J. Liu, J. Wu, C. Pei, X. Lin, W. Ou, P. Jiang: BERT4Rec: Sequential Recommendation with
Bidirectional Encoder Representations from Transformer. CIKM 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from ethogram.errors import OptionError
from ethogram.nn.cloze import ClozeNetwork, Hidden
from ethogram.nn.next_item_system import NextItemSystem
from ethogram.nn.transformer import BidirectionalTransformer
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Log, Watch


@system(
    "bert4rec",
    paper="BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from Transformer",
    year=2019,
    area="recommend",
    verbs=("score", "recommend", "similar_items"),
    needs=("torch",),
    baseline=True,
)
@dataclass(kw_only=True)
class BERT4Rec(NextItemSystem):
    """A transformer that reads from both sides, trained by filling in blanks."""

    dim: int = searched(64, among=(32, 64, 128))
    "Width of item vectors and states."
    layers: int = searched(2, 1, 3)
    "Blocks of attention and feed-forward."
    heads: int = 2
    "Heads of attention; they divide `dim`."
    hidden: int | None = None
    "Width of the feed-forward layer; none is four times `dim`, as in the paper."
    length: int = searched(50, among=(20, 50, 100))
    "Events that are read: of a window in training, from the end of the history in use."
    masked: float = searched(0.3, 0.1, 0.7)
    "Share of the groups of a window that are hidden in training."
    dropout: float = searched(0.2, 0.0, 0.6)
    "Share of inputs, attention weights and branches that is dropped in training."
    norm: Literal["pre", "post"] = "pre"
    "Normalise before each branch, or after each sum as in the paper."
    lr: float = searched(1e-3, 2e-4, 1e-2, log=True)
    epochs: int = 60

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from behaviour; `valid` decides when to stop.

        Raises
        ------
        OptionError
            Numbers that no network can have, or a log in which nobody has two groups of events.
        """
        from ethogram.nn.nextfit import NextItemFit, Training

        if not 0 <= self.masked < 1:
            raise OptionError(f"bert4rec: masked = {self.masked} is not in [0, 1).")

        def objective(training: Training) -> Hidden:
            assert isinstance(training.network, ClozeNetwork)
            return Hidden(training.network)

        self.fitted = NextItemFit.fit(self, self._network, train, valid, seed=seed, watch=watch, objective=objective)
        return self

    def _network(self, items: int, sparse: bool, seed: int) -> ClozeNetwork:
        encoder = BidirectionalTransformer(
            self.dim, layers=self.layers, heads=self.heads, hidden=self.hidden, positions=self.length + 1,
            dropout=self.dropout, norm=self.norm, seed=seed,
        )  # fmt: skip
        return ClozeNetwork(items, self.dim, encoder, share=self.masked, sparse=sparse, seed=seed)
