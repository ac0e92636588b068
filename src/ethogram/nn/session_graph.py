"""A history as a directed graph of its items, and one step of gated propagation over it.

    a_i  = [ sum_j Ain_ij W_in h_j + b_in ;  sum_j Aout_ij W_out h_j + b_out ]
    h_i' = GRU(a_i, h_i)                          r, z = sigmoid(.),  n = tanh(.),  h' = (1 - z) n + z h
    h_u  = sum over events e of alpha_e h'_e,     alpha_e = q . sigmoid(W h'_e + b) + c       (no softmax)

A node is an item of one history. Ain_ij is how often, of the times that i came behind something, it came behind j; Aout
the same of what came next: rows add up to 1, or to 0 where nothing did. Where events have equal times, each member of a
group comes behind all of the group before in equal parts, so the order of rows in a group says nothing.

Deviation: the paper marks an edge however often it was taken; here the times count.

Reference: Y. Li et al.: Gated Graph Sequence Neural Networks. ICLR 2016. S. Wu et al.: Session-based Recommendation
with Graph Neural Networks. AAAI 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.nn.mlp import linear
from ethogram.nn.ragged import segment_mean, segment_sum
from ethogram.nn.rows import gather_rows


@dataclass(frozen=True, eq=False)
class Walks:
    """n histories as graphs.

    Attributes
    ----------
    first : int64[nodes], an event of each node. node : int64[events]. offsets : int64[n + 1], events of each history.
    groups : int64[groups + 1], events of each group of equal time.
    before : int64[with a group before], events by node, with `before_group` that group and `before_offsets`
        int64[nodes + 1]; `after...` the same of the group behind.
    """

    first: Tensor
    node: Tensor
    offsets: Tensor
    groups: Tensor
    before_group: Tensor
    before_offsets: Tensor
    after_group: Tensor
    after_offsets: Tensor

    @classmethod
    def of(cls, items: np.ndarray, begins: np.ndarray, offsets: np.ndarray) -> Walks:
        """From ragged rows.

        Parameters
        ----------
        items : int64[events], not negative. begins : bool[events], the event begins a group of equal times; the first
            of a history does. offsets : int64[n + 1].
        """
        owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        width = int(items.max(initial=0)) + 1
        _, first, node = np.unique(owner * width + items, return_index=True, return_inverse=True)
        group = np.cumsum(begins) - 1
        starts = np.flatnonzero(begins)
        holds = owner[starts]
        by_node = np.argsort(node, kind="stable")
        sides = []
        for step in (-1, 1):
            other = group[by_node] + step
            there = (other >= 0) & (other < len(starts))
            there[there] = holds[other[there]] == owner[by_node][there]
            ends = np.searchsorted(node[by_node][there], np.arange(len(first) + 1))
            sides += [other[there], ends]
        columns = (first, node, offsets, np.append(starts, len(items)), *sides)
        return cls(*(torch.from_numpy(np.ascontiguousarray(c, np.int64)) for c in columns))


class SessionGraph(nn.Module):
    """See the module.

    Parameters
    ----------
    dim : width. gated : propagate over the graph; without, the read-out sees the vectors as they come.
    """

    def __init__(self, dim: int, *, gated: bool = True, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.gated = gated
        self.look, self.weigh = linear(dim, dim, generator), linear(dim, 1, generator)
        if gated:
            self.into, self.out = linear(dim, dim, generator, bias=False), linear(dim, dim, generator, bias=False)
            self.bias = nn.Parameter(torch.zeros(2 * dim))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.cell = nn.GRUCell(2 * dim, dim)

    def nodes(self, vectors: Tensor, walks: Walks) -> Tensor:
        """h' [nodes, dim] of the vectors [events, dim]."""
        h = vectors.index_select(0, walks.first)
        if not self.gated:
            return h
        said = []
        for layer, group, ends in (
            (self.into, walks.before_group, walks.before_offsets),
            (self.out, walks.after_group, walks.after_offsets),
        ):
            of_group = segment_mean(gather_rows(layer(h), walks.node), walks.groups)
            said.append(segment_mean(gather_rows(of_group, group), ends))
        a = torch.cat(said, 1) + self.bias
        found: Tensor = self.cell(a, h)
        return found

    def parts(self, vectors: Tensor, walks: Walks) -> Tensor:
        """alpha_e h'_e [events, dim], which add up to h_u."""
        h = self.nodes(vectors, walks)
        return gather_rows(self.weigh(torch.sigmoid(self.look(h))) * h, walks.node)

    def forward(self, vectors: Tensor, walks: Walks) -> Tensor:
        """h_u [n, dim]; zero for an empty history."""
        return segment_sum(self.parts(vectors, walks), walks.offsets)
