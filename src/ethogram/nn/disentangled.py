"""The network of `recommend.dccf`: views of a graph of users and items, added up layer by layer, and their contrast.

The equations stand there. In evaluation it gives the vectors that score, the trust in each edge, and the mixtures of
intents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.nn.graph import BipartiteGraph

View = dict[str, Tensor]


class Disentangled(nn.Module):
    """Learned vectors of users and items, and prototypes of their intents.

    Parameters
    ----------
    width : d. prototypes : K of each side. intent, masks : which views there are. seed : of the initial values.
    """

    def __init__(
        self, graph: BipartiteGraph, width: int, *, layers: int, prototypes: int, intent: bool, masks: bool, seed: int
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> nn.Parameter:
            deviation = (2 / sum(shape)) ** 0.5
            return nn.Parameter(torch.empty(shape).normal_(0, deviation, generator=generator))

        self.users, self.items = normal(graph.users, width), normal(graph.items, width)
        self.of_users, self.of_items = normal(width, prototypes), normal(width, prototypes)
        self.graph, self.layers, self.intent, self.masks = graph, layers, intent, masks

    def start(self) -> Tensor:
        """E^(0), [N, d]."""
        return torch.cat([self.users, self.items])

    def mixtures(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of the intents of users and of items, from their vectors [N, d]."""
        n = self.graph.users
        return (rows[:n] @ self.of_users).softmax(1), (rows[n:] @ self.of_items).softmax(1)

    def forward(self) -> tuple[Tensor, list[View]]:
        """(x, the sum of all layers [N, d]; the views of each layer by name, with the trust in each pair)."""
        rows = total = self.start()
        found = []
        for _ in range(self.layers):
            view = {"graph": self.graph.symmetric(rows)}
            new = view["graph"] + rows
            if self.intent:
                users, items = self.mixtures(rows)
                view["intent"] = torch.cat([users @ self.of_users.T, items @ self.of_items.T])
                new = new + view["intent"]
            for name, of in (("local", "graph"), ("global", "intent")):
                if self.masks and of in view:
                    view[f"{name} trust"] = self.graph.likeness(view[of])
                    view[name] = self.graph.weighted(view[f"{name} trust"], rows)
                    new = new + view[name]
            found.append(view)
            rows = new
            total = total + rows
        return total, found

    def loss(self, o: Any, triples: np.ndarray, seed: int) -> Tensor:
        """The whole loss of a batch of (user, taken, not taken); options as those of `DCCF`."""
        n = self.graph.users
        user, taken, other = torch.from_numpy(triples.astype(np.int64)).T
        total, views = self()
        up = (total[user] * (total[n + taken] - total[n + other])).sum(1)
        value = F.softplus(-up).mean()
        learned = (self.users[user], self.items[taken], self.items[other])
        value = value + o.regularisation / 2 * sum(x.square().sum(1).mean() for x in learned)
        if self.intent:
            value = value + o.spread * (self.of_users.square().sum() + self.of_items.square().sum())
        if not o.weight or o.augment == "none":
            return value
        generator = torch.Generator().manual_seed(seed)
        nodes = [_some(user, o.contrast, generator), n + _some(taken, o.contrast, generator)]
        if o.augment == "random":
            one, other_graph = (self._thinned(o.dropped, generator) for _ in range(2))
            pairs = [(one, other_graph)]
        else:
            pairs = [(v["graph"], v[name]) for v in views for name in ("intent", "local", "global") if name in v]
        for first, second in pairs:
            for which in nodes:
                value = value + o.weight * _cosine_contrast(first[which], second[which], o.temperature)
        return value

    def _thinned(self, share: float, generator: torch.Generator) -> Tensor:
        """The sum of all layers on a graph without a random share of the pairs."""
        keep = torch.rand(len(self.graph.user), generator=generator) >= share
        rows = total = self.start()
        for _ in range(self.layers):
            rows = self.graph.dropped(keep, rows) + rows
            total = total + rows
        return total

    @torch.no_grad()
    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """(float32[U, d], float32[M, d])."""
        total = self()[0].numpy()
        return total[: self.graph.users], total[self.graph.users :]

    @torch.no_grad()
    def views(self) -> dict[str, np.ndarray]:
        """`trust` float32[pairs], and `user_intents`, `item_intents` where there are intents.

        Trust is the mean over layers of the masks of the view of intents. Those of the graph's view know less of an
        edge: the view of either end holds the other's vector by that very edge. They stand in where there are no
        intents, and the final vectors' likeness where there are no masks.
        """
        total, views = self()
        held = [v["global trust"] for v in views if "global trust" in v]
        held = held or [v["local trust"] for v in views if "local trust" in v]
        found = {"trust": (torch.stack(held).mean(0) if held else self.graph.likeness(total)).numpy()}
        if self.intent:
            users, items = self.mixtures(total / (self.layers + 1))
            found |= {"user_intents": users.numpy(), "item_intents": items.numpy()}
        return found


def _some(nodes: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """At most so many different nodes, drawn at random."""
    nodes = nodes.unique()
    return nodes if len(nodes) <= most else nodes[torch.randperm(len(nodes), generator=generator)[:most]]


def _cosine_contrast(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """-ln exp(cos(a_i, b_i) / tau) / sum over j of exp(cos(a_i, b_j) / tau), the mean over i."""
    first, second = F.normalize(first, dim=1), F.normalize(second, dim=1)
    return F.cross_entropy(first @ second.T / temperature, torch.arange(len(first)))
