"""A network that answers slates: how probable is a positive answer to each candidate, given the history?

    logit(t) = Tower([e_t ; v(t) ; e_t * v(t) ; users ; context ; log(1 + length) ; popularity of t])

with v(t) = interest(history, t) and the popularity of `ethogram.nn.prior`. What differs between systems is the
interest; everything else, and how it learns, is here. `cross` names what stands in place of e_t * v(t): nothing, or
the interactions of older networks (`ethogram.nn.cross`).

Rows with weights, and negatives that were sampled: see `ethogram.nn.weighing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.log import Batch, Features, Questions
from ethogram.nn import distributed, prior
from ethogram.nn.activation import Activation
from ethogram.nn.adam import adam
from ethogram.nn.cross import Cross, Crossing
from ethogram.nn.crossnet import CrossNet
from ethogram.nn.embedding import ColumnEncoder, ItemEncoder, Tables
from ethogram.nn.losses import bce
from ethogram.nn.mlp import Tower
from ethogram.nn.occurrences import occurrences
from ethogram.nn.optimise import RowAdam
from ethogram.nn.prior import Prior
from ethogram.nn.ragged import Ragged, bucket_batches, each
from ethogram.nn.rows import Picked, gather_rows
from ethogram.nn.train import Trained, train
from ethogram.nn.weighing import weighing
from ethogram.numeric.slates import both_answers, no_leak

NUMBERS = 2
"""Numbers that every tower is given: length of the history and popularity of the candidate, brought to about 1."""


@dataclass(frozen=True)
class Learning:
    """How a slate network learns.

    `pairs` candidates and `tokens` events go into a batch at most; `decay` is the weight of mini-batch aware L2 on the
    embedding rows; `questions` per epoch, drawn anew each epoch, None takes all. `penalty`: a touched row j gains
    decay / n_j w_j ("rare" ids shrink as much over an epoch as frequent ones), or decay / mean(n) w_j ("frequent" ids
    shrink most, since they are touched most).
    """

    epochs: int = 5
    patience: int = 2
    lr: float = 1e-3
    pairs: int = 2_048
    tokens: int = 65_536
    decay: float = 0.0
    questions: int | None = None
    precision: str = "fp32"
    penalty: str = "rare"


class SlateNetwork(nn.Module):
    """See the module.

    Parameters
    ----------
    features : columns. interest : from the width of an item's vector to an `Interest`. tag : item column whose rows
        an interest that retrieves by category is given for every event and candidate.
    dim, side : widths of the identity's and of other tables. hidden, act, dropout, norm : of the tower.
    cross : interactions beside the tower's inputs, see `ethogram.nn.cross`. drop_ids, frequent : of `ItemEncoder`.
    """

    def __init__(
        self, features: Features, interest: Any, *, dim: int = 32, side: int = 8, hidden: Sequence[int] = (128, 64),
        act: Activation = "prelu", dropout: float = 0.0, norm: bool = False, tag: str | None = None, seed: int = 0,
        cross: Cross | CrossNet = "product", drop_ids: float = 0.0, frequent: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.tag = tag
        self.tables = Tables(features, dim, side, seed=seed)
        self.items = ItemEncoder(features, self.tables, drop=drop_ids, frequent=frequent)
        self.events, self.context, self.users = (
            ColumnEncoder.of(features, whose, self.tables) for whose in ("event", "context", "user")
        )
        width = self.items.width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # what is known of a past event (its kind, its rating) moves the item's vector
            self.event = nn.Linear(self.events.width, width, bias=False) if self.events.width else None
            self.interest: nn.Module = interest(width)
            if hasattr(self.interest, "bind"):  # an interest with embedding tables of its own
                self.interest.bind(features, seed)
            if self.event is not None:
                nn.init.normal_(self.event.weight, 0.0, 0.02)
        self.beside: int = getattr(self.interest, "beside", 0)  # type: ignore[assignment]
        times = self.interest.width // width  # type: ignore[operator]
        others = [*([self.beside] if self.beside else []), *self.users.parts, *self.context.parts]
        self.crossing = Crossing(cross, features, self.items.parts, times, others, dim=dim, numbers=NUMBERS, seed=seed)
        inputs, deep = self.crossing.inputs, self.crossing.deep
        self.tower = Tower(inputs, hidden, act=act, dropout=dropout, norm=norm, seed=seed) if deep else None
        several = deep and getattr(self.interest, "several", False)
        self.second = Tower(inputs, hidden, act=act, dropout=dropout, norm=norm, seed=seed + 1) if several else None
        self.register_buffer("popularity", torch.zeros(features.tables["item"]))
        self.asked_in_training = 0

    @property
    def sparse(self) -> list[tuple[nn.Parameter, Tensor | None]]:
        """Embedding tables, with how often training holds each row (None: not counted)."""
        pairs = [pair for tables in self._tables for pair in tables.counted]
        return pairs if self.crossing.pairs is None else [*pairs, (self.crossing.pairs.table.weight, None)]

    @property
    def _tables(self) -> list[Tables]:
        return [self.tables, *self.crossing.tables, *getattr(self.interest, "tables", ())]

    @property
    def dense(self) -> list[nn.Parameter]:
        """Parameters that are not embedding tables."""
        sparse = {id(p) for p, _ in self.sparse}
        return [p for p in self.parameters() if id(p) not in sparse]

    def keys(self, batch: Batch, rows: np.ndarray) -> Tensor:
        """Vectors of past events, the shared rows of the history, [len(rows), width]."""
        history = batch.sequences["history"]
        return self._moved(batch, rows, self.items(batch.items, torch.from_numpy(history.item[rows].astype(np.int64))))

    def _tags(self, batch: Batch, past: np.ndarray, codes: np.ndarray, device: torch.device) -> dict[str, Tensor]:
        """What an interest may ask of events and candidates beside their vectors."""
        history = batch.sequences["history"]
        starts = np.ones(len(past), bool) if history.starts is None else history.starts[past]
        tags = {"key_starts": torch.from_numpy(np.ascontiguousarray(starts))}
        if history.time is not None:
            tags["key_times"] = torch.from_numpy(np.asarray(history.time)[past])
        if hasattr(self.interest, "reads"):
            tags |= self.interest.reads(batch, past, codes)
        if self.tag is not None:
            rows = torch.from_numpy(batch.items[self.tag].values[codes].astype(np.int64)).unsqueeze(1)
            tags |= {"key_tags": rows[: len(past)].to(device), "query_tags": rows[len(past) :].to(device)}
        return tags

    def _moved(self, batch: Batch, rows: np.ndarray, items: Tensor) -> Tensor:
        if self.event is None or not len(rows):
            return items
        return items + self.event(self.events(batch.sequences["history"].columns, rows))

    def vectors(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """(keys, key offsets, queries, query offsets, tags of both) of a batch."""
        keys, *rest = self._picked(batch)
        return (keys.dense() if isinstance(keys, Picked) else keys, *rest)  # type: ignore[return-value]

    def _picked(self, batch: Batch) -> tuple[Tensor | Picked, Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """The same; the keys are written out only where something is added to them."""
        history, judged = batch.sequences["history"], batch.candidates
        assert judged is not None
        past, spans = history.flat()
        asked, ends = judged.flat()
        codes = np.concatenate([history.item[past], judged.item[asked]]).astype(np.int64)
        both = self.items.picked(batch.items, torch.from_numpy(codes))
        device = both.values.device
        tags = self._tags(batch, past, codes, device) if getattr(self.interest, "tagged", True) else {}
        keys: Tensor | Picked = Picked(both.values, both.rows[: len(past)])
        if self.event is not None:
            keys = self._moved(batch, past, keys.dense())  # type: ignore[union-attr]
        queries = gather_rows(both.values, both.rows[len(past) :])
        return keys, torch.from_numpy(spans), queries, torch.from_numpy(ends), tags

    def forward(self, batch: Batch) -> Tensor:
        """Logits of all candidates, flat [Q]."""
        return self.answers(batch)[0]

    def answers(self, batch: Batch) -> list[Tensor]:
        """Logits; in training also those of the second tower, on the interest's other view of the history."""
        keys, spans, queries, ends, tags = self._picked(batch)
        if isinstance(keys, Picked) and not self.interest.picks:
            keys = keys.dense()
        if self.second is None or not self.training:
            return [self.logits(batch, queries, ends, self.interest(keys, spans, queries, ends, **tags), spans.diff())]
        found = self.interest.views(keys, spans, queries, ends, **tags)  # type: ignore[operator]
        towers = (self.tower, self.second)
        return [
            self.logits(batch, queries, ends, f, spans.diff(), tower) for f, tower in zip(found, towers, strict=True)
        ]

    def logits(
        self, batch: Batch, queries: Tensor, ends: Tensor, found: Tensor, lengths: Tensor, tower: Tower | None = None
    ) -> Tensor:  # fmt: skip
        """Logits from the candidates' interests; `lengths` counts the events behind each question."""
        tower = tower or self.tower
        read, added = self.crossing(batch, *self.read(batch, queries, ends, found, lengths), ends)
        if tower is None:
            return added.float()  # type: ignore[union-attr]
        answer: Tensor = tower(read) + added
        return answer.float()

    def read(
        self, batch: Batch, queries: Tensor, ends: Tensor, found: Tensor, lengths: Tensor
    ) -> tuple[list[Tensor], Tensor]:  # fmt: skip
        """(columns [Q, width] of candidates, their interests, users and context; numbers [Q, NUMBERS])."""
        parts = list(found.split([found.shape[1] - self.beside, self.beside], 1)) if self.beside else [found]
        parts = [queries, *parts]
        if (users := self.users(batch.users)) is not None:
            parts.append(each(users, ends))
        assert batch.candidates is not None
        context = self.context(batch.candidates.columns, batch.candidates.flat()[0])
        if context is not None:
            parts.append(context)
        return parts, self._numbers(batch, ends, lengths)

    def _numbers(self, batch: Batch, ends: Tensor, lengths: Tensor) -> Tensor:
        """Length of the history and popularity of the candidate, [Q, NUMBERS]."""
        judged = batch.candidates
        assert judged is not None
        asked, _ = judged.flat()
        if prior.COLUMN in judged.columns:
            popular = torch.from_numpy(judged.columns[prior.COLUMN][asked]).to(self.popularity.device)
        else:
            rows = batch.items["item"].values[judged.item[asked]].astype(np.int64)
            popular = self.popularity[torch.from_numpy(rows).to(self.popularity.device)]
        length = 0.2 * torch.log1p(lengths.to(popular.device, torch.float32))
        return torch.stack([each(length, ends), 0.2 * popular], 1)

    def count(self, times: Mapping[str, np.ndarray]) -> None:
        """Take in how often training holds each row of each table."""
        for tables in self._tables:
            tables.counts = [torch.from_numpy(times[name]) for name in tables.names]
        mine = self.items.count(times["item"])
        self.tables.counts[self.tables.names.index("item")] = torch.from_numpy(mine)

    @torch.no_grad()
    def begin(self, rate: float) -> None:
        """Begin at the base rate: rare answers would otherwise cost the first steps."""
        weights = self.crossing.weights
        bias = self.tower.layers[-1].bias if self.tower is not None else weights.bias  # type: ignore[union-attr]
        for b in (bias, *([] if self.second is None else [self.second.layers[-1].bias])):
            b.fill_(float(np.log(rate / (1 - rate))))  # type: ignore[union-attr, operator]


def batches(batch: Batch, how: Learning, rng: np.random.Generator) -> Iterable[Batch]:
    """One epoch of batches of questions with histories of like length."""
    assert batch.candidates is not None
    rows = np.arange(len(batch))
    most = None if how.questions is None else distributed.part(how.questions)
    if most is not None and most < len(rows):
        rows = np.sort(rng.choice(rows, most, replace=False))
    lengths = batch.sequences["history"].lengths[rows]
    counts = batch.candidates.lengths[rows]
    tokens, pairs = distributed.part(how.tokens), distributed.part(how.pairs)
    for part in bucket_batches(lengths, tokens=tokens, padding=0.3, widths=counts, width=pairs, seed=rng):
        yield batch[rows[part]]


def fit(
    network: SlateNetwork, features: Features, asked: Questions, how: Learning, *, valid: Questions | None = None,
    popular: Prior | None = None, also: Callable[[Batch], Tensor] | None = None, seed: int = 0, watch: Any = None,
    checkpoint: Any = None, identity: str = "", before: Sequence[Any] = (),
) -> Trained:  # fmt: skip
    """Train on slates; with `valid`, keep the epoch of the least weighted log-loss there.

    `popular` tells how popular the candidates are; without it nothing is known of that. `also` is a further loss of a
    batch, asked for behind the answers to it. `before`: what acts on the gradients of each step before the optimisers
    do, in their shape.

    Raises
    ------
    OptionError, StepError
        No question; labels that are not 0 or 1, all equal, or of which one kind has no weight; histories that hold
        what is asked.
    """
    if not len(asked):
        raise OptionError("fit: the training log asks no question.")
    both_answers(asked.label, asked.weight)
    no_leak(asked)
    shift, weighs = weighing(asked)
    rate = float(np.clip(np.average(asked.label, weights=asked.weight), 1e-6, 1 - 1e-6))
    whole, (first, last) = prepared(network, features, asked, popular)
    assert whole.label is not None
    label, offset = torch.from_numpy(whole.label), torch.from_numpy(shift[first:last])
    weight = None if weighs is None else torch.from_numpy(weighs[first:last])

    def loss(batch: Batch) -> Tensor:
        rows = torch.from_numpy(batch.candidates.flat()[0])  # type: ignore[union-attr]
        found = network.answers(batch)
        device = found[0].device
        mine = None if weight is None else weight.index_select(0, rows).to(device)
        shifted, told = (t.index_select(0, rows).to(device) for t in (offset, label))
        own = torch.stack([bce(logits + shifted, told, mine) for logits in found]).sum()
        return own if also is None else own + also(batch)

    valid = share(valid)[0] if valid is not None and len(valid) else None
    held = features.encode(valid) if valid is not None else None

    def value() -> float:
        assert valid is not None
        assert held is not None
        p = score(network, held, how.tokens)
        p = np.clip(p.astype(np.float64), 1e-9, 1 - 1e-9)
        losses = -np.where(valid.label > 0.5, np.log(p), np.log1p(-p))
        return -distributed.mean(losses, valid.weight)

    network.begin(rate)
    told = None if held is None else value
    kept = {"watch": watch, "checkpoint": checkpoint, "identity": identity}
    return learn(network, features, whole, how, loss, told, before=before, seed=seed, **kept)


def prepared(
    network: SlateNetwork, features: Features, asked: Questions, popular: Prior | None
) -> tuple[Batch, tuple[int, int]]:  # fmt: skip
    """(this process's questions encoded, with what was popular before each; their candidates among all)."""
    asked, bounds = share(asked)
    whole = features.encode(asked)
    if popular is not None:
        assert whole.candidates is not None
        columns = {**whole.candidates.columns, prior.COLUMN: popular.before(whole)}
        whole = replace(whole, candidates=replace(whole.candidates, columns=columns))
        network.popularity.copy_(torch.from_numpy(popular.last))
    return whole, bounds


def learn(
    network: SlateNetwork, features: Features, whole: Batch, how: Learning, loss: Callable[[Batch], Tensor],
    value: Callable[[], float] | None, *, before: Sequence[Any] = (), seed: int = 0, **kept: Any,
) -> Trained:  # fmt: skip
    """Minimise a loss over an encoded whole; `value` of the validation part, higher is better, says when to stop."""
    network.asked_in_training = min(len(whole), how.questions or len(whole))
    counts = occurrences(features, whole)
    network.count(counts if (ranks := distributed.group()) is None else ranks.sums(counts))
    tables, times = zip(*network.sparse, strict=True)
    if how.penalty == "frequent":
        times = tuple(None if t is None else torch.full_like(t, float(t[t > 0].mean())) for t in times)
    optimisers = [*before, RowAdam(tables, how.lr, decay=how.decay, counts=times), adam(network.dense, how.lr)]
    return train(
        network, lambda rng: batches(whole, how, rng), loss, optimisers=optimisers, epochs=how.epochs, seed=seed,
        valid=value, patience=how.patience,
        precision=how.precision, weigh=lambda batch: batch.candidates.lengths.sum(), **kept,  # type: ignore[arg-type]
    )  # fmt: skip


def share(asked: Questions) -> tuple[Questions, tuple[int, int]]:
    """(the questions that this process reads, their candidates among all)."""
    _, ends = asked.candidates.flat(len(asked))
    first, last = distributed.bounds(asked.histories.lengths + np.diff(ends))
    if (first, last) == (0, len(asked)):
        return asked, (0, int(ends[-1]))
    return asked[first:last], (int(ends[first]), int(ends[last]))


@torch.no_grad()
def score(network: SlateNetwork, batch: Batch, tokens: int = 262_144) -> np.ndarray:
    """Probabilities of all candidates, float32, flat."""
    assert batch.candidates is not None
    network.eval()
    out = np.empty(int(batch.candidates.lengths.sum()), np.float32)
    ends = np.concatenate([[0], np.cumsum(batch.candidates.lengths)])
    work = batch.sequences["history"].lengths + batch.candidates.lengths
    for rows in np.split(np.arange(len(batch)), np.flatnonzero(np.diff(np.cumsum(work) // max(tokens, 1))) + 1):
        if len(rows):
            logits = network(batch[rows])
            out[ends[rows[0]] : ends[rows[-1] + 1]] = torch.sigmoid(logits).cpu().numpy()
    return out


@torch.no_grad()
def weights(network: SlateNetwork, batch: Batch) -> tuple[Ragged, np.ndarray]:
    """(weight of each event for each candidate, shared rows of the histories in turn)."""
    network.eval()
    keys, spans, queries, ends, tags = network.vectors(batch)
    found: Ragged = network.interest.weights(keys, spans, queries, ends, **tags)  # type: ignore[operator]
    return found, batch.sequences["history"].flat()[0]
