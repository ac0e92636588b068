"""Fits a next-item network on a log: item vectors that an encoder of histories reads, and the same vectors answer.

    x_j = scale * e_{i_j},   H = encoder(x),   P(next = i | j) = exp(h_j . e_i) / sum over all items of exp(h_j . e)

All positions of a window are trained in one pass; a row is asked for an item drawn from the group after its own,
anew each epoch. The loss goes over the whole catalogue or, above `CATALOGUE` trained items, over the target and
samples that the batch shares, each logit less the log of its expected count, with row-sparse updates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ethogram.errors import OptionError
from ethogram.log import room
from ethogram.nn import distributed
from ethogram.nn.embedding import Table as Embeddings
from ethogram.nn.losses import full_softmax, mean, sampled_softmax
from ethogram.nn.nextitem import NextItem
from ethogram.nn.optimise import RowAdam
from ethogram.nn.rows import gather_rows
from ethogram.nn.saved import arrays, restore
from ethogram.nn.train import Trained, train
from ethogram.nn.windows import Batch, Windows
from ethogram.numeric.known import Known
from ethogram.numeric.vectors import Judge
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

CATALOGUE = 20_000
"""Trained items up to which loss='auto' goes over all of them."""
POWER = 0.75
"""Samples are drawn by count to this power (T. Mikolov et al., NIPS 2013)."""
SIZES = ("dim", "hidden", "layers", "length", "negatives", "epochs", "patience", "batch", "windows", "questions")


class NextItemNetwork(nn.Module):
    """Item vectors and the encoder over them; `sparse` gradients touch only the rows of the batch.

    Parameters
    ----------
    items : how many training met. dim : width of their vectors.
    encoder : (rows [T, dim], offsets, group) -> states [T, dim] of packed histories.
    scale : of the vectors on their way into the encoder. deviation : of their initial values.
    """

    def __init__(
        self, items: int, dim: int, encoder: nn.Module, *, sparse: bool, scale: float = 1.0, deviation: float = 0.02,
        seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.items = Embeddings(items + 1, dim, seed=seed, deviation=deviation)
        self.encoder, self.sparse, self.scale = encoder, sparse, scale

    @property
    def interests(self) -> int:
        """Vectors of a state, side by side."""
        return 1

    @property
    def vectors(self) -> Tensor:
        """[M, dim] of the trained items; row 0 of the table stands for nothing."""
        return self.items.weight[1:]

    def embed(self, rows: Tensor) -> Tensor:
        """[N, dim] of trained rows."""
        return self.items(rows + 1) if self.sparse else gather_rows(self.items.weight, rows + 1)

    def forward(self, rows: Tensor, offsets: Tensor, group: Tensor) -> Tensor:
        """States [T, dim] of packed histories."""
        found = self.embed(rows)
        return self.encoder(found if self.scale == 1 else found * self.scale, offsets, group)

    def answer(self, states: Tensor, target: Tensor) -> Tensor:
        """The vectors [T, d] that are asked for the targets, from states of packed rows."""
        return states

    def optimisers(self, lr: float) -> list[RowAdam | torch.optim.Optimizer]:
        """Adam; where gradients are sparse, its row-wise form for the table."""
        if self.sparse:
            return [RowAdam([self.items.weight], lr), torch.optim.Adam(self.encoder.parameters(), lr, fused=True)]
        return [torch.optim.Adam(self.parameters(), lr, fused=True)]


class Objective(Protocol):
    """What a system trains beside the next item, on the same batches."""

    def begin(self, rng: np.random.Generator) -> None:
        """Called before each epoch."""
        ...

    def draw(self, batch: Batch, rng: np.random.Generator) -> Any:
        """What the loss of this batch needs that is drawn."""
        ...

    def weights(self, states: Tensor, drawn: Any) -> Tensor | None:
        """What each row of the batch counts in the loss of the next item, [T]; None for all alike."""
        ...

    def loss(self, states: Tensor, drawn: Any) -> Tensor | None:
        """Added to the loss of the next item; states [T, d] are those of the batch's rows."""
        ...


@dataclass(frozen=True)
class Training:
    """What an objective is made from.

    Attributes
    ----------
    network : that learns. windows : cut from histories of trained items only. length : of a window, in events.
    item : int64[N], trained row of each of the windows' rows.
    """

    network: NextItemNetwork
    windows: Windows
    length: int
    item: np.ndarray


Build = Callable[[int, bool, int], NextItemNetwork]
"""(trained items, whether gradients are sparse, seed) -> the network that a system's options describe."""


@dataclass(frozen=True)
class NextItemFit:
    """What a next-item system keeps: the model, how its training went, and `more`, which the system saves itself."""

    model: NextItem
    trained: Trained
    more: Any = None

    @classmethod
    def fit(
        cls, options: Any, build: Build, log: Log, valid: Log | None, *, seed: int, watch: Watch | None,
        objective: Callable[[Training], Objective] | None = None,
    ) -> NextItemFit:  # fmt: skip
        """Train what `build` makes.

        Parameters
        ----------
        options : a system with `length`, `loss`, `negatives`, `lr`, `epochs`, `patience`, `batch`, `windows`,
            `questions`, `precision`, and perhaps `proposal`; what they mean stands beside its fields.
        valid : decides when to stop, by NDCG@10.
        objective : makes what is trained beside the next item.

        Raises
        ------
        OptionError
            Numbers below 1, or a log in which nobody has two groups of events.
        """
        check(options)
        known = Known.of(log)
        items = int(np.count_nonzero(known.counts))
        network = build(items, _sparse(options, items), seed)
        model = NextItem(known, network, options.length, network.interests)
        return cls(model, _learn(model, options, log, valid, seed, watch, objective))

    def score(self, histories: Histories, candidates: Candidates) -> np.ndarray:
        return self.model.score(histories, candidates)

    def recommend(
        self, histories: Histories, k: int, *, exclude_seen: bool | None, among: Candidates | None
    ) -> Table:  # fmt: skip
        """See `ethogram.numeric.recommend`."""
        return self.model.recommend(histories, k, exclude_seen=exclude_seen, among=among)

    def state(self) -> State:
        network = self.model.network
        assert isinstance(network, NextItemNetwork)
        return State(arrays(network), {}, {"trained": asdict(self.trained)}, {"known": self.model.known.state()})

    @classmethod
    def restore(cls, options: Any, build: Build, state: State) -> NextItemFit:
        """The inverse of `state`."""
        known = Known.restore(state.parts["known"])
        items = int(np.count_nonzero(known.counts))
        network = build(items, _sparse(options, items), 0)
        restore(network, state.arrays)
        network.eval()
        return cls(NextItem(known, network, options.length, network.interests), Trained(**state.json["trained"]))


def check(options: Any) -> None:
    """Refuse sizes and rates that no network can have.

    Raises
    ------
    OptionError
        One of them, by name.
    """
    key = options.info.key
    for name in SIZES:
        value = getattr(options, name, None)
        if value is not None and value < 1:
            raise OptionError(f"{key}: {name} = {value}; give 1 or more.")
    if not 0 <= options.dropout < 1:
        raise OptionError(f"{key}: dropout = {options.dropout} is not in [0, 1).")
    if not options.lr > 0:
        raise OptionError(f"{key}: lr = {options.lr}; give a step size above 0.")


def _sparse(options: Any, items: int) -> bool:
    return options.loss == "sampled" or (options.loss == "auto" and items > CATALOGUE)


def _learn(
    model: NextItem, options: Any, log: Log, valid: Log | None, seed: int, watch: Watch | None,
    objective: Callable[[Training], Objective] | None,
) -> Trained:  # fmt: skip
    network = model.network
    assert isinstance(network, NextItemNetwork)
    done = log.histories()
    item = room.mapped(np.asarray(done.item), np.int64, lambda codes: model.rows[codes])
    if item.min(initial=0) < 0:
        done, item = done.only(item >= 0), item[item >= 0]
    windows = Windows.of(done[slice(*distributed.bounds(done.lengths))])
    chances = proposal(model.known.counts[model.known.counts > 0], getattr(options, "proposal", "popularity"))
    log_q = torch.from_numpy(np.log(chances).astype(np.float32))
    ladder = np.cumsum(chances)
    negatives = options.negatives if network.sparse else 0

    also = None if objective is None else objective(Training(network, windows, options.length, item))
    negative = getattr(options, "loss", "auto") == "negative"

    def batches(rng: np.random.Generator) -> Iterator[tuple[Batch, np.ndarray, Any]]:
        if also is not None:
            also.begin(rng)
        tokens, drawn = distributed.part(options.batch), options.windows and distributed.part(options.windows)
        for batch in windows.batches(rng, length=options.length, tokens=tokens, windows=drawn):
            if negative:
                drawn_items = rng.integers(0, len(ladder), len(batch.target))
            else:
                drawn_items = np.searchsorted(ladder, rng.random(negatives) * ladder[-1])
            yield batch, drawn_items, None if also is None else also.draw(batch, rng)

    def loss(given: tuple[Batch, np.ndarray, Any]) -> Tensor:
        batch, drawn, more = given
        target, samples = torch.from_numpy(item[batch.target]), torch.from_numpy(drawn)
        at = torch.from_numpy(item[batch.rows]), torch.from_numpy(batch.offsets), torch.from_numpy(batch.group)
        states = network(*at)
        if also is None:
            return asked(network.answer(states, target), target, samples, None)
        value = asked(network.answer(states, target), target, samples, also.weights(states, more))
        extra = also.loss(states, more)
        return value if extra is None else value + extra

    def asked(states: Tensor, target: Tensor, samples: Tensor, weight: Tensor | None) -> Tensor:
        if negative:
            up = (states * network.embed(target)).sum(1)
            return mean(softplus(-up) + softplus((states * network.embed(samples)).sum(1)), weight)
        if not network.sparse:
            return full_softmax(states, network.vectors, target, weight=weight)
        positive, other = network.embed(target), network.embed(samples)
        return sampled_softmax(states, positive, other, target, samples, log_q, weight=weight)

    questions = valid.questions("next") if valid is not None and len(valid.sequences()) else None
    judge = None
    if questions is not None:
        judge = Judge(
            model, questions, most=options.questions, seed=seed, part=lambda n: distributed.bounds(np.ones(n))
        )
    return train(
        network, batches, loss, optimisers=network.optimisers(options.lr), epochs=options.epochs, seed=seed,
        valid=None if judge is None else lambda: distributed.mean(judge.gains()),
        patience=options.patience, precision=options.precision, watch=watch, weigh=lambda given: len(given[0].target),
    )  # fmt: skip


def proposal(counts: np.ndarray, kind: str) -> np.ndarray:
    """Probability of each trained item to be a sample, float64[M]; `kind` is ``popularity`` or ``mixture``."""
    if not len(counts):
        raise OptionError("the training log holds no item to learn from.")
    weight = counts.astype(np.float64) ** POWER
    weight /= weight.sum()
    return weight if kind == "popularity" else 0.5 * weight + 0.5 / len(weight)
