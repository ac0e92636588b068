"""Target attention: what a history says about a candidate.

    interest(t) = sum_j a(e_j, e_t) v_j        over the events j of the question that t belongs to

with the weight a by one of three kinds:

    din    a = MLP([e_j ; e_t ; e_j*e_t ; e_t - e_j]), no softmax: the sum of weights is the intensity of interest
           (Zhou et al., Deep Interest Network, KDD 2018)
    dot    a = softmax(e_j . e_t / sqrt(dim))
    topk   the k events most alike, then one of the two above on those

Events and candidates come packed, with offsets by question; a question owns any number of both. An empty history
gives the zero vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.nn.activation import Activation
from ethogram.nn.blocks import Block, plan
from ethogram.nn.nearest import nearest
from ethogram.nn.ragged import Ragged, as_offsets, segment_softmax, segment_sum, segments
from ethogram.nn.rows import Picked, gather_rows
from ethogram.nn.swept import able
from ethogram.nn.unit import PairNetwork

Offsets = Tensor | np.ndarray | Sequence[int]


class TargetAttention(nn.Module):
    """Attention of candidates over the events of their question.

    Parameters
    ----------
    dim : width of events and candidates.
    kind : din, dot or topk.
    hidden, act : hidden layers of din's network and their activation.
    normalise : none (din's default) or softmax (dot's default) over the events of a question.
    k, within : topk keeps k events per candidate and weighs them as `within`, din or dot.
    limit : largest block in floats: (questions x events x candidates), times the hidden width where it is held.
    seed : of the weights.

    Examples
    --------
    >>> attend = TargetAttention(4, "dot")
    >>> events, candidates = torch.randn(3, 4), torch.randn(5, 4)
    >>> attend(events, [0, 3, 3], candidates, [0, 4, 5]).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        dim: int,
        kind: Literal["din", "dot", "topk"] = "din",
        *,
        hidden: Sequence[int] = (36,),
        act: Activation = "prelu",
        normalise: Literal["none", "softmax"] | None = None,
        k: int = 50,
        within: Literal["din", "dot"] = "din",
        limit: int = 2**22,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kind not in ("din", "dot", "topk") or within not in ("din", "dot"):
            raise OptionError(f"attention kind '{kind}', within '{within}': choose din, dot or topk of those two.")
        if k < 1 or not hidden:
            raise OptionError(f"attention: k = {k}, hidden = {tuple(hidden)}; give at least 1 event and 1 layer.")
        self.dim, self.kind, self.k, self.limit = dim, kind, k, limit
        weigh = within if kind == "topk" else kind
        self.normalise = normalise or ("none" if weigh == "din" else "softmax")
        self.unit = PairNetwork(dim, hidden, act, limit, seed) if weigh == "din" else None

    @overload
    def forward(
        self, keys: Tensor | Picked, key_offsets: Offsets, queries: Tensor, query_offsets: Offsets, *,
        values: Tensor | None = ..., key_tags: Tensor | None = ..., query_tags: Tensor | None = ...,
        weights: Literal[False] = ...,
    ) -> Tensor: ...  # fmt: skip
    @overload
    def forward(
        self, keys: Tensor | Picked, key_offsets: Offsets, queries: Tensor, query_offsets: Offsets, *,
        values: Tensor | None = ..., key_tags: Tensor | None = ..., query_tags: Tensor | None = ...,
        weights: Literal[True],
    ) -> tuple[Tensor, Ragged]: ...  # fmt: skip
    def forward(
        self,
        keys: Tensor | Picked,
        key_offsets: Offsets,
        queries: Tensor,
        query_offsets: Offsets,
        *,
        values: Tensor | None = None,
        key_tags: Tensor | None = None,
        query_tags: Tensor | None = None,
        weights: bool = False,
    ) -> Tensor | tuple[Tensor, Ragged]:
        """Interest of each candidate.

        Parameters
        ----------
        keys : [T, dim] events of all questions. queries : [Q, dim] candidates of all questions.
        key_offsets, query_offsets : int64[n + 1].
        values : [T, any], what is summed; the keys unless given.
        key_tags, query_tags : [T, g] and [Q, g], integers or bools: topk then takes the events that share most
            tags with the candidate (a category, the bits of a hash), the latest among equals, none without any.
        weights : also return the weight of each event for each candidate.

        Returns
        -------
        float[Q, any]; with `weights` also a Ragged whose segment q holds the weights of query q's events in order.
        """
        key_offsets, query_offsets = as_offsets(key_offsets), as_offsets(query_offsets)
        if len(key_offsets) != len(query_offsets):
            raise OptionError(
                f"attention: {len(key_offsets) - 1} histories for {len(query_offsets) - 1} lists of candidates."
            )
        if values is None and not weights and self._sweeps(picked := Picked.of(keys), query_offsets):
            return self.unit.swept(picked, key_offsets, queries, query_offsets)  # type: ignore[union-attr]
        keys = keys.dense() if isinstance(keys, Picked) else keys
        values = keys if values is None else values
        if self.kind != "topk":
            return self._attend(keys, key_offsets, queries, query_offsets, values, weights)
        rows, spans = nearest(keys, key_offsets, queries, query_offsets, self.k, self.limit, key_tags, query_tags)
        near = gather_rows(keys, rows)
        there = near if values is keys else gather_rows(values, rows)
        found = self._attend(near, spans, queries, torch.arange(len(queries) + 1), there, weights)
        if not isinstance(found, tuple):
            return found
        first = torch.repeat_interleave(key_offsets[:-1], query_offsets.diff())
        every = _spans(key_offsets, query_offsets)
        shift = torch.repeat_interleave(every[:-1] - first, spans.diff()).to(rows.device)
        flat = found[1].values.new_zeros(int(every[-1])).index_copy(0, rows + shift, found[1].values)
        return found[0], Ragged(flat, every)

    def _sweeps(self, keys: Picked, query_offsets: Tensor) -> bool:
        """Whether the interests come of one compiled operation."""
        if self.kind != "din" or self.normalise != "none" or self.unit is None or not self.unit.single:
            return False
        return able(keys, self.unit.acts[0], not bool((query_offsets.diff() == 1).all()))

    def _attend(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, values: Tensor,
        weights: bool,
    ) -> Tensor | tuple[Tensor, Ragged]:  # fmt: skip
        if bool((query_offsets.diff() == 1).all()) and (self.unit is None or self.unit.single):
            share = self._one_each(keys, key_offsets, queries)
            found = segment_sum(values * share.unsqueeze(1), key_offsets)
            return (found, Ragged(share, key_offsets)) if weights else found
        todo = plan(key_offsets, query_offsets, self.limit // (1 if self.unit is None else self.unit.cells))
        k, q = todo.keys(keys), todo.queries(queries)
        v = k if values is keys else todo.keys(values)
        if self.unit is not None and todo.blocks:
            score = self.unit.scorer(todo.blocks, k, q, todo.queries(self.unit.bias_of(queries)))
        parts, seen, places = [], [], []
        spans = _spans(key_offsets, query_offsets)
        for i, block in enumerate(todo.blocks):
            if self.unit is None:
                scores = torch.bmm(block.keys(k[i]), block.queries(q[i]).transpose(1, 2)) * self.dim**-0.5
            else:
                scores = score(i)
            share = self._share(scores, block.key_mask)
            parts.append(block.packed(torch.bmm(share.transpose(1, 2), block.keys(v[i]).to(share.dtype))))
            if weights:
                mine, where = _pairs(block, share, spans)
                seen.append(mine)
                places.append(where)
        found = todo.collect(parts, len(queries)) if parts else values.new_zeros(len(queries), values.shape[1])
        if not weights:
            return found
        flat = found.new_zeros(int(spans[-1]))
        if seen:
            flat = flat.index_copy(0, torch.cat(places).to(flat.device), torch.cat(seen))
        return found, Ragged(flat, spans)

    def _one_each(self, keys: Tensor, key_offsets: Tensor, queries: Tensor) -> Tensor:
        """Weights [T] where every question has one candidate: nothing to share, so nothing to pad."""
        if self.unit is not None:
            scores = self.unit.one_each(key_offsets, keys, queries)
        else:
            asked = gather_rows(queries, segments(key_offsets, keys.device))
            scores = (keys * asked).sum(1) * self.dim**-0.5
        return scores if self.normalise == "none" else segment_softmax(scores, key_offsets)

    def _share(self, scores: Tensor, real: Tensor | None) -> Tensor:
        """Weights from scores [B, L, C]; exactly zero for events that do not exist."""
        mask = None if real is None else ~real.to(scores.device).unsqueeze(2)
        if self.normalise == "softmax":
            # masked before the softmax, so that absent events take no share; every block has a real event
            return (scores if mask is None else scores.masked_fill(mask, -torch.inf)).softmax(1)
        return scores if mask is None else scores.masked_fill(mask, 0.0)


def _spans(key_offsets: Tensor, query_offsets: Tensor) -> Tensor:
    """Offsets of each candidate's list of weights, int64[Q + 1]."""
    lengths = torch.repeat_interleave(key_offsets.diff(), query_offsets.diff())
    return torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])


def _pairs(block: Block, share: Tensor, spans: Tensor) -> tuple[Tensor, Tensor]:
    """The real weights of a block and where they belong among all."""
    mask = block.cell_mask
    real = torch.ones(share.shape, dtype=torch.bool) if mask is None else mask
    question, candidate, event = real.transpose(1, 2).nonzero(as_tuple=True)
    row = block.query_rows[block.query_spans[question] + candidate]
    return share.transpose(1, 2)[real.transpose(1, 2).to(share.device)], spans[row] + event
