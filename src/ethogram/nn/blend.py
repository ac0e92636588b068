"""A blend of expert networks that each person's behaviour chooses, and what keeps the choice of newcomers sensible.

    h_j = relu(W_b e_j),  h_a = relu(W_a a)          a: the query of a search, or the candidate
    G_j = MLP([h_j ; h_a ; h_j * h_a]) in R^K        gate unit
    b_j = MLP([h_j ; h_a])                           activation unit
    g   = sum_j b_j G_j / L                          no softmax: signed weights; g_0, learned, without behaviour
    l   = sum_k g_k E_k(x) + c

The contrastive loss holds the gate of a history S near that of S' with each event dropped with probability p (one is
always kept), and away from the gates of other people:

    L = -log( exp(cos(g, g') / T) / (exp(cos(g, g') / T) + sum_i exp(cos(g, g_i) / T)) )

with `negatives` people i drawn from the batch, never the same person. It moves the gate alone: the vectors that go into
it are held still.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.errors import OptionError, nearest
from ethogram.log import Batch, Features
from ethogram.log.kernels import ragged_rows
from ethogram.nn.embedding import ColumnEncoder
from ethogram.nn.experts import Experts
from ethogram.nn.mlp import Tower, linear
from ethogram.nn.ragged import each, segment_max, segment_mean
from ethogram.nn.rows import gather_rows
from ethogram.nn.slates import SlateNetwork


class Gate(nn.Module):
    """Weights of K experts from behaviour and what is asked; see the module.

    Parameters
    ----------
    width, asked : of an event's vector and of the query's or candidate's. hidden : of both units' layers.
    alone : the gate reads what is asked and no behaviour (a category's own blend).
    """

    def __init__(
        self, width: int, asked: int, experts: int, hidden: Sequence[int] = (16,), *, alone: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        size, self.alone, self.experts = hidden[0], alone, experts
        self.event = None if alone else linear(width, size, generator)
        self.asked = linear(asked, size, generator)
        self.unit = Tower(size if alone else 3 * size, hidden, experts, act="relu", seed=seed + 1)
        self.activation = None if alone else Tower(2 * size, hidden, act="relu", seed=seed + 2)
        self.default = None if alone else nn.Parameter(torch.ones(experts))
        with torch.no_grad():  # begin with all experts alike, so that all of them learn
            for unit in (self.unit, self.activation):
                if unit is not None:
                    unit.layers[-1].bias.fill_(1.0)  # type: ignore[union-attr, operator]

    def forward(self, keys: Tensor, spans: Tensor, asked: Tensor, ends: Tensor) -> Tensor:
        """[A, experts] for asked [A, ...], `ends` their offsets by question; keys [T, width] with offsets `spans`."""
        about = torch.relu(self.asked(asked))
        if self.event is None or self.activation is None or self.default is None:
            return self.unit(about).view(len(asked), self.experts)  # type: ignore[no-any-return]
        owner = np.repeat(np.arange(len(ends) - 1), np.diff(ends.numpy()))
        rows, offsets = ragged_rows(spans.numpy()[:-1][owner], spans.numpy()[1:][owner])
        lengths = torch.from_numpy(np.diff(offsets))
        event = gather_rows(torch.relu(self.event(keys)), torch.from_numpy(rows).to(keys.device))
        whose = gather_rows(about, torch.repeat_interleave(torch.arange(len(asked)), lengths).to(keys.device))
        said = self.unit(torch.cat([event, whose, event * whose], 1)).view(len(rows), self.experts)
        share = self.activation(torch.cat([event, whose], 1)).view(-1, 1)
        found = segment_mean(said * share, torch.from_numpy(offsets))
        return torch.where((lengths > 0).to(keys.device).unsqueeze(1), found, self.default)


class BlendNetwork(SlateNetwork):
    """A slate network whose tower is a blend of experts.

    Parameters
    ----------
    experts : K. gate : layers of the gate's units. query : context column of the query, None where there is none.
    alone : see `Gate`. weight : of the contrastive loss; drop, temperature, negatives : of it.
    warmup : epochs before it begins. shape : see `SlateNetwork`.
    """

    told: Tensor

    def __init__(
        self, features: Features, interest: Any, *, experts: int, gate: Sequence[int], query: str | None, alone: bool,
        weight: float, drop: float, temperature: float, negatives: int, warmup: float, **shape: Any,
    ) -> None:  # fmt: skip
        super().__init__(features, interest, **shape)
        self.tower = None
        hidden, act, dropout, seed = (shape[n] for n in ("hidden", "act", "dropout", "seed"))
        self.experts = Experts(self.crossing.inputs, experts, hidden, outputs=1, act=act, dropout=dropout, seed=seed)
        columns = {c.name: c.table for c in features.of("context") if c.type == "categorical"}
        if query is not None and query not in columns:
            raise OptionError(
                f"query: no categorical column '{query}' of the slates.{nearest(query, columns)} "
                f"Columns: {', '.join(columns) or 'none'}."
            )
        self.query = None if query is None else ColumnEncoder({query: columns[query]}, self.tables)
        asked = self.items.width if self.query is None else self.query.width
        self.gate = Gate(self.items.width, asked, experts, gate, alone=alone, seed=seed + 3)
        self.bias = nn.Parameter(torch.zeros(()))
        self.weight, self.drop, self.temperature = weight, drop, temperature
        self.negatives, self.warmup = negatives, warmup
        self.register_buffer("told", torch.zeros((), dtype=torch.int64))  # questions that training asked so far

    @torch.no_grad()
    def begin(self, rate: float) -> None:
        """Begin at the base rate."""
        self.bias.fill_(float(np.log(rate / (1 - rate))))

    def answers(self, batch: Batch) -> list[Tensor]:
        """Logits of all candidates, flat [Q]."""
        keys, spans, queries, ends, tags = self.vectors(batch)
        found = self.interest(keys, spans, queries, ends, **tags)
        read, _ = self.crossing(batch, *self.read(batch, queries, ends, found, spans.diff()), ends)
        blend = self._gates(batch, keys, spans, queries, ends)
        answer: Tensor = (blend * self.experts(read).squeeze(2)).sum(1) + self.bias
        return [answer.float()]

    def _gates(self, batch: Batch, keys: Tensor, spans: Tensor, queries: Tensor, ends: Tensor) -> Tensor:
        """[Q, experts]; with a query one gate is made for each question."""
        asked, offsets = self._asked(batch, queries, ends)
        found: Tensor = self.gate(keys, spans, asked, offsets)
        return found if self.query is None else each(found, ends)

    def _asked(self, batch: Batch, queries: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """What the gate goes by, and its offsets by question: candidates, or each question's query."""
        if self.query is None:
            return queries, ends
        assert batch.candidates is not None
        # a query is the question's: its first candidate says it; a question without candidates needs no gate
        first = torch.minimum(ends[:-1], ends[-1] - 1).clamp_min(0).numpy()
        rows = batch.candidates.flat()[0]
        made = self.query(batch.candidates.columns, rows[first] if len(rows) else rows)
        assert made is not None
        return made, torch.arange(len(made) + 1)

    def gates(self, batch: Batch) -> Tensor:
        """[Q, experts] of all candidates."""
        keys, spans, queries, ends, _ = self.vectors(batch)
        return self._gates(batch, keys, spans, queries, ends)

    def also(self, batch: Batch) -> Tensor:
        """The contrastive loss of a batch, times its weight; 0 in the first epochs, before the gate means anything."""
        self.told += len(batch)
        early = int(self.told) <= self.warmup * self.asked_in_training
        if not self.weight or self.gate.alone or early:
            return self.bias.new_zeros(())
        with torch.no_grad():  # the gate alone is moved
            keys, spans, queries, ends, _ = self.vectors(batch)
            if self.query is not None:
                asked, _ = self._asked(batch, queries, ends)
            else:  # one candidate of each question
                size = ends.diff()
                asked = queries[(ends[:-1] + (torch.rand(len(size)) * size).long()).to(queries.device)]
        one = torch.arange(len(asked) + 1)
        kept = survivors(spans, self.drop)
        fewer = torch.cat([kept.new_zeros(1, dtype=torch.int64), kept.cumsum(0)])[spans]
        whole = self.gate(keys, spans, asked, one)
        less = self.gate(keys[kept.to(keys.device)], fewer, asked, one)
        some = spans.diff() > 0  # who did nothing has one gate, whatever is dropped
        assert batch.people is not None
        people = torch.from_numpy(np.asarray(batch.people, np.int64))
        return self.weight * contrast(whole[some], less[some], people[some], self.negatives, self.temperature)


def survivors(spans: Tensor, drop: float) -> Tensor:
    """bool[T]: each event is kept with probability 1 - drop, and at least one of each question's."""
    drawn = torch.rand(int(spans[-1]))
    top = torch.repeat_interleave(segment_max(drawn, spans), spans.diff())
    return (drawn >= drop) | (drawn == top)


def contrast(one: Tensor, other: Tensor, people: Tensor, negatives: int, temperature: float) -> Tensor:
    """InfoNCE with cosine similarity: row i of both belong together, `negatives` rows of other people do not.

    Parameters
    ----------
    one, other : [n, K]. people : int64[n]; a row drawn of the same person counts for nothing.
    """
    if not len(one):
        return one.sum()
    drawn = torch.randint(len(one), (len(one), negatives))
    near = F.cosine_similarity(one, other, dim=1).unsqueeze(1)
    far = F.cosine_similarity(one.unsqueeze(1), one[drawn.to(one.device)], dim=2)
    own = (people[drawn] == people.unsqueeze(1)).to(one.device)
    logits = torch.cat([near, far.masked_fill(own, -torch.inf)], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(one), dtype=torch.int64, device=one.device))
