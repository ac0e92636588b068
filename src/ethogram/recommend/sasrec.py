"""Recommends what tends to come next after a history that is read as a whole, by self-attention.

    x_j = sqrt(d) e_{i_j} + p_{dist(j)}                 dist: groups of equal times from j to the history's last group
    H   = Transformer(x)                                row j reads the rows of its own and of earlier groups
    P(next = i | j) = exp(h_j . e_i) / sum over all items of exp(h_j . e)           the same e in and out

All positions of a window of at most `length` events are trained in one causal pass: row j is asked for an item drawn
from the group after its own, anew each epoch, over the whole catalogue; above `CATALOGUE` items over the target and
samples shared by the batch, each logit less the log of its expected count, with row-sparse updates. What is asked is
answered by the mean state of the history's last group.

Deviations: cross-entropy over the catalogue in the place of one sampled negative (over-confident: A. Petrov,
C. Macdonald, gSASRec, RecSys 2023); rows of equal time are one unordered group; windows begin at a random event
instead of keeping a user's last events only; GELU; normalisation before each branch.

Reference: W.-C. Kang, J. McAuley: Self-Attentive Sequential Recommendation. ICDM 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.nn.embedding import Table as Embeddings
from ethogram.nn.losses import full_softmax, sampled_softmax
from ethogram.nn.nextitem import Judge, NextItem
from ethogram.nn.optimise import RowAdam
from ethogram.nn.rows import gather_rows
from ethogram.nn.slates import arrays, restore
from ethogram.nn.train import Trained, train
from ethogram.nn.transformer import CausalTransformer
from ethogram.nn.windows import Batch, Windows
from ethogram.numeric.known import Known
from ethogram.numeric.recommend import recommend
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

CATALOGUE = 20_000
"""Trained items up to which loss='auto' goes over all of them."""
POWER = 0.75
"""Samples are drawn by count to this power (T. Mikolov et al., NIPS 2013)."""


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

    dim: int = 64
    "Width of item vectors and states."
    layers: int = 2
    "Blocks of attention and feed-forward."
    heads: int = 2
    "Heads of attention; they divide `dim`."
    hidden: int | None = None
    "Width of the feed-forward layer; none is `dim`, as in the paper."
    length: int = 50
    "Events that are read: of a window in training, from the end of the history in use."
    dropout: float = 0.2
    "Share of inputs, attention weights and branches that is dropped in training."
    norm: Literal["pre", "post"] = "pre"
    "Normalise before each branch, or after each sum as in the paper."
    loss: Literal["auto", "softmax", "sampled"] = "auto"
    "Cross-entropy over all items, over samples, or by the size of the catalogue (all up to 20,000 items)."
    negatives: int = 512
    "Samples that a batch shares, where the loss is sampled."
    proposal: Literal["popularity", "mixture"] = "popularity"
    "Samples are drawn by count^0.75, or half so and half uniformly."
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
            heads that do not divide dim, numbers below 1, or a log in which nobody has two groups of events.
        """
        known = Known.of(train)
        model = NextItem(known, self._network(int(np.count_nonzero(known.counts)), seed), self.length)
        self.fitted = _Fitted(model, self._learn(model, train, valid, seed, watch))
        return self

    def _network(self, items: int, seed: int) -> _Network:
        sparse = self.loss == "sampled" or (self.loss == "auto" and items > CATALOGUE)
        encoder = CausalTransformer(
            self.dim, layers=self.layers, heads=self.heads, hidden=self.hidden or self.dim, positions=self.length,
            dropout=self.dropout, norm=self.norm, seed=seed,
        )  # fmt: skip
        return _Network(items, encoder, sparse, seed)

    def _learn(self, model: NextItem, log: Log, valid: Log | None, seed: int, watch: Watch | None) -> Trained:
        network = model.network
        assert isinstance(network, _Network)
        done = log.histories()
        item = model.rows[np.asarray(done.item)]
        windows = Windows.of(done.only(item >= 0) if (item < 0).any() else done)
        item = item[item >= 0]
        proposal = self._proposal(model.known.counts[model.known.counts > 0])
        log_q = torch.from_numpy(np.log(proposal).astype(np.float32))
        ladder = np.cumsum(proposal)

        def batches(rng: np.random.Generator) -> Iterator[tuple[Batch, np.ndarray]]:
            for batch in windows.batches(rng, length=self.length, tokens=self.batch, windows=self.windows):
                drawn = np.searchsorted(ladder, rng.random(self.negatives if network.sparse else 0) * ladder[-1])
                yield batch, drawn

        def loss(given: tuple[Batch, np.ndarray]) -> Tensor:
            batch, drawn = given
            target, samples = torch.from_numpy(item[batch.target]), torch.from_numpy(drawn)
            at = torch.from_numpy(item[batch.rows]), torch.from_numpy(batch.offsets), torch.from_numpy(batch.group)
            states = network(*at)
            if not network.sparse:
                return full_softmax(states, network.vectors, target)
            positive, negative = network.embed(target), network.embed(samples)
            return sampled_softmax(states, positive, negative, target, samples, log_q)

        asked = valid.questions("next") if valid is not None and len(valid.sequences()) else None
        return train(
            network, batches, loss, optimisers=network.optimisers(self.lr), epochs=self.epochs, seed=seed,
            valid=Judge(model, asked, most=self.questions, seed=seed) if asked is not None else None,
            patience=self.patience, precision=self.precision, watch=watch,
        )  # fmt: skip

    def _proposal(self, counts: np.ndarray) -> np.ndarray:
        """Probability of each trained item to be a sample, float64[M]."""
        if not len(counts):
            raise OptionError("sasrec: the training log holds no item to learn from.")
        weight = counts.astype(np.float64) ** POWER
        weight /= weight.sum()
        return weight if self.proposal == "popularity" else 0.5 * weight + 0.5 / len(weight)

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Products of state and item vector, float32; what they mean for the unknown stands in `nn.nextitem`."""
        return self.fitted.model.score(histories, candidates)

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None, among: Candidates | None = None
    ) -> Table:
        """The best items (see `ethogram.numeric.recommend`)."""
        model = self.fitted.model
        return recommend(model.score, model.known, histories, k, exclude_seen=exclude_seen, among=among)

    def state(self) -> State:
        model, trained = self.fitted.model, self.fitted.trained
        return State(arrays(model.network), {}, {"trained": asdict(trained)}, {"known": model.known.state()})

    def restore(self, state: State) -> Self:
        known = Known.restore(state.parts["known"])
        network = self._network(int(np.count_nonzero(known.counts)), 0)
        restore(network, state.arrays)
        network.eval()
        self.fitted = _Fitted(NextItem(known, network, self.length), Trained(**state.json["trained"]))
        return self


@dataclass(frozen=True)
class _Fitted:
    model: NextItem
    trained: Trained


class _Network(nn.Module):
    """Item vectors and the transformer over them; `sparse` gradients touch only the rows of the batch."""

    def __init__(self, items: int, encoder: CausalTransformer, sparse: bool, seed: int):
        super().__init__()
        self.items = Embeddings(items + 1, encoder.position.embedding_dim, seed=seed, deviation=0.02)
        self.encoder, self.sparse = encoder, sparse
        self.scale = float(encoder.position.embedding_dim) ** 0.5

    @property
    def vectors(self) -> Tensor:
        """[M, dim] of the trained items; row 0 of the table stands for nothing."""
        return self.items.weight[1:]

    def embed(self, rows: Tensor) -> Tensor:
        """[N, dim] of trained rows."""
        return self.items(rows + 1) if self.sparse else gather_rows(self.items.weight, rows + 1)

    def forward(self, rows: Tensor, offsets: Tensor, group: Tensor) -> Tensor:
        """States [T, dim] of packed histories."""
        return self.encoder(self.embed(rows) * self.scale, offsets, group)

    def optimisers(self, lr: float) -> list[RowAdam | torch.optim.Optimizer]:
        """Adam; where gradients are sparse, its row-wise form for the table."""
        if self.sparse:
            return [RowAdam([self.items.weight], lr), torch.optim.Adam(self.encoder.parameters(), lr, fused=True)]
        return [torch.optim.Adam(self.parameters(), lr, fused=True)]
