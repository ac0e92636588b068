"""Propagation over a graph of users and items in torch: fixed symmetric weights, or weights of each edge that learn.

    Z = D^-1/2 A D^-1/2 E                                       symmetric, nothing to learn
    H_h = sum over neighbours k of h of (a_hk / sum of a_h.) E_k,   a_hk = (cos(X_h, X_k) + 1) / 2     of any view X

Nodes are users, then items. Edges are kept sorted by their first node, so that sums over neighbours run over memory in
order; both directions of an edge have the same cosine, which is computed once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.numeric.interactions import Interactions
from ethogram.numeric.propagation import Graph as Fixed
from ethogram.numeric.propagation import sums


class _Spread(torch.autograd.Function):
    """sum over the neighbours of rows [N, d], unweighted; the adjacency is symmetric, so it is its own gradient."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, adjacency: Interactions) -> Tensor:
        ctx.adjacency = adjacency
        return torch.from_numpy(sums(adjacency, rows.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(sums(ctx.adjacency, grads[0].contiguous().numpy())), None


class BipartiteGraph:
    """See the module.

    Parameters
    ----------
    pairs : rows are users, columns items; an edge for each pair.
    """

    def __init__(self, pairs: Interactions):
        self.users, self.items = len(pairs), pairs.width
        turned = pairs.transposed()
        offsets = np.concatenate([pairs.offsets, pairs.offsets[-1] + turned.offsets[1:]])
        ends = np.concatenate([pairs.items + self.users, turned.items]).astype(np.int32)
        self.adjacency = Interactions(offsets, ends, np.ones(len(ends), np.float32), self.nodes)
        fixed = Fixed(pairs)
        self.scale = torch.from_numpy(np.concatenate(fixed.scales)).unsqueeze(1)
        # of each pair, the place of its way back among the edges of the items
        order = np.argsort(pairs.items, kind="stable")
        self.user = torch.from_numpy(pairs.owner.astype(np.int64))
        self.item = torch.from_numpy(pairs.items.astype(np.int64) + self.users)
        self.order = torch.from_numpy(order)

    @property
    def nodes(self) -> int:
        return self.users + self.items

    def symmetric(self, rows: Tensor) -> Tensor:
        """Z of rows [N, d]."""
        return self.scale * _Spread.apply(rows * self.scale, self.adjacency)

    def likeness(self, view: Tensor) -> Tensor:
        """a of every pair (user, item), [pairs], in their order, from a view [N, d]."""
        unit = view / view.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return ((_gather(unit, self.user) * _gather(unit, self.item)).sum(1) + 1) / 2

    def weighted(self, weight: Tensor, rows: Tensor) -> Tensor:
        """H of rows [N, d] under weights [pairs] of the pairs: a weighted mean over neighbours; zero without any."""
        total = torch.zeros(self.nodes).index_add(0, self.user, weight).index_add(0, self.item, weight)
        part = weight.unsqueeze(1)
        out = torch.zeros_like(rows)
        out = out.index_add(0, self.user, part * _gather(rows, self.item))
        out = out.index_add(0, self.item, part * _gather(rows, self.user))
        return out / total.clamp_min(1e-12).unsqueeze(1)

    def dropped(self, keep: Tensor, rows: Tensor) -> Tensor:
        """Z of rows [N, d] on the graph without the pairs whose bool[pairs] `keep` is False; degrees are theirs."""
        weight = keep.to(rows.dtype)
        degree = torch.zeros(self.nodes).index_add(0, self.user, weight).index_add(0, self.item, weight)
        scale = degree.clamp_min(1).rsqrt()
        part = (weight * scale[self.user] * scale[self.item]).unsqueeze(1)
        out = torch.zeros_like(rows).index_add(0, self.user, part * _gather(rows, self.item))
        return out.index_add(0, self.item, part * _gather(rows, self.user))


def _gather(rows: Tensor, index: Tensor) -> Tensor:
    return rows.index_select(0, index)
