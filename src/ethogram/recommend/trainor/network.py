"""Home preference, travel intention, transfer and places in torch: the equations of `ethogram.recommend.trainor`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from ethogram.nn.losses import bpr
from ethogram.nn.mlp import linear
from ethogram.nn.rows import gather_rows
from ethogram.nn.session_graph import SessionGraph, Walks
from ethogram.nn.topics import Bags, NeuralTopicModel
from ethogram.numeric.neighbours import Neighbours


class Sizes(NamedTuple):
    """How much there is of each: items met at home, categories, travellers, places; the town of each place int[D]."""

    home: int
    categories: int
    travellers: int
    places: int
    town: np.ndarray


class Batch(NamedTuple):
    """Some trips: their travellers, the events at home before (rows of items and of categories, as a graph), the places
    visited as bags, and for each of them `samples` others of the town, with whether they are no visited ones."""

    travellers: Tensor
    items: Tensor
    categories: Tensor
    walks: Walks
    bags: Bags
    others: Tensor
    fair: Tensor


class _Mixed(torch.autograd.Function):
    """G x of fixed sparse rows G [D, D]; the gradient is that of the transposed."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, near: Any) -> Tensor:
        ctx.near = near
        return torch.from_numpy(near @ rows.detach().numpy())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(ctx.near.T @ grads[0].contiguous().numpy()), None


class TrainorNetwork(nn.Module):
    """See the module.

    Parameters
    ----------
    near : G of the places, or none. embedded : for each place the row of its category, int[D].
    """

    def __init__(
        self, o: Any, sizes: Sizes, near: Neighbours | None, counts: np.ndarray, embedded: np.ndarray, seed: int
    ) -> None:  # fmt: skip
        super().__init__()
        generator, d = torch.Generator().manual_seed(seed), o.dim
        self.o = o

        def table(rows: int, empty: bool = True) -> nn.Parameter:
            weight = torch.empty(rows, d).normal_(0, o.deviation, generator=generator)
            if empty:
                weight[0] = 0  # nothing: unknown
            return nn.Parameter(weight)

        self.home = table(sizes.home + 1)
        self.kinds = table(sizes.categories + 1)
        self.own = table(sizes.travellers, False)
        self.place = table(sizes.places, False)
        self.place_kinds = table(sizes.categories + 1)
        self.embedded = torch.from_numpy(embedded.astype(np.int64))
        self.graph = SessionGraph(d, gated=o.graph, seed=seed)
        self.map = linear(d, d, generator)
        self.mix, self.fuse = linear(d, d, generator), linear(2 * d, d, generator)
        self.attend = linear(d, d, generator, bias=False)
        bias = np.log(counts) if o.popular else np.zeros(sizes.places)
        self.bias = nn.Parameter(torch.from_numpy(bias.astype(np.float32)), requires_grad=o.popular)
        self.topics = NeuralTopicModel(sizes.places, o.intentions_count, d, group=sizes.town, seed=seed)
        self.near = None
        if near is not None:
            shape = (sizes.places, sizes.places)
            self.near = csr_array((near.weights, near.codes, near.offsets), shape=shape)

    def preference(self, items: Tensor, categories: Tensor, walks: Walks, parts: bool = False) -> Tensor:
        """h_u [n, dim], or what each event adds to it [events, dim]."""
        vectors = gather_rows(self.home, items) + gather_rows(self.kinds, categories)
        found: Tensor = (self.graph.parts if parts else self.graph)(vectors, walks)
        return found

    def mapped(self, h: Tensor) -> Tensor:
        """What the preference at home makes of that elsewhere, o^ [n, dim]."""
        if self.o.mapping == "none":
            return torch.zeros_like(h)
        return torch.tanh(self.map(h)) if self.o.mapping == "tanh" else self.map(h)

    def shares(self, h: Tensor) -> Tensor:
        """beta [n, K]: how much each intention is the traveller's."""
        t = self.topics.topics
        if self.o.intent == "general":
            h = torch.zeros_like(h)
        return torch.softmax(h @ self.attend(t).T, 1)

    def query(self, h: Tensor, o: Tensor) -> Tensor:
        """relu(W_f [intent ; o] + b), [n, dim], from what says the intention and what the preference elsewhere."""
        if self.o.intent == "none":
            intent = torch.zeros_like(h)
        else:
            intent = self.shares(h) @ self.topics.topics
        return torch.relu(self.fuse(torch.cat([intent, o], 1)))

    def places(self) -> Tensor:
        """P [D, dim]."""
        e = self.place + gather_rows(self.place_kinds, self.embedded)
        if self.near is not None:
            e = _Mixed.apply(e, self.near)
        return torch.relu(self.mix(e))

    def loss(self, given: Batch) -> Tensor:
        """The weighted sum of the ranking loss, the transfer loss and the topic model's."""
        o, h = self.o, self.preference(given.items, given.categories, given.walks)
        own, guessed = gather_rows(self.own, given.travellers), self.mapped(h)
        places, owner = self.places(), given.bags.owner
        asked = [(1 - o.mapped, own), (o.mapped, guessed)] if o.mapping != "none" else [(1.0, guessed)]
        ranked = torch.zeros(())
        for share, elsewhere in asked:
            if share > 0:
                scores = self.query(h, elsewhere) @ places.T + self.bias
                taken = scores[owner, given.bags.words][:, None]
                ranked = ranked + share * bpr(taken, scores[owner[:, None], given.others], given.fair)
        total = o.rank_weight * ranked
        if o.mapping != "none":
            total = total + o.transfer_weight * (guessed - own).square().mean()
        if o.intent != "none":
            found = self.topics.bound(given.bags)
            total = total + o.topic_weight * (found.cost + found.divergence).mean()
        return total
