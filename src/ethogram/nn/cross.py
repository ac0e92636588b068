"""Interactions of columns written out: what networks for click probabilities had before they attended.

A question's columns are fields, each with a vector v_f: the columns of the candidate, those of the pooled history (the
same columns, summed up), those of the person and of the context. Beside or instead of a tower over these vectors stand

    lr          w_0 + sum_f w_f                                   one weight per value, nothing else
    wide_deep   tower + sum_f w_f + mean_j w[s_j, t]              H. Cheng et al.: Wide & Deep Learning for Recommender
                                                                  Systems. DLRS 2016
    pnn         tower over [v ; v_f . v_g for all f < g]          Y. Qu et al.: Product-Based Neural Networks for User
                                                                  Response Prediction. ICDM 2016 (inner products)
    deepfm      tower + sum_f w_f + sum_{f<g} v_f . v_g           H. Guo et al.: DeepFM: A Factorization-Machine Based
                                                                  Neural Network for CTR Prediction. IJCAI 2017
    product     tower over [v ; e_t * v(t)]                       element-wise, candidate with its interest
    none        tower over [v]                                    embedding and tower: the base model of DIN
    CrossNet    tower beside or on top of a cross network         `ethogram.nn.crossnet`

w[s_j, t] is a weight for each pair of a past and a judged value of an item column: the cross-product of behaviours and
candidates that the wide part takes in DIN's comparison, hashed. The weights of past events are others than those of
candidates. Where widths differ, a field is brought to the common one by a matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.errors import OptionError, unknown
from ethogram.log import Batch, Features
from ethogram.log.kernels import ragged_rows
from ethogram.nn.crossnet import CrossNet, CrossNetwork
from ethogram.nn.embedding import ColumnEncoder, ItemEncoder, Table, Tables
from ethogram.nn.mlp import linear
from ethogram.nn.ragged import segment_mean, segments
from ethogram.nn.rows import Picked

Cross = Literal["none", "product", "lr", "wide_deep", "pnn", "deepfm"]
BUCKETS = 2**18


def checked(cross: str | CrossNet) -> str:
    """The name of an interaction, "network" for a cross network.

    Raises
    ------
    OptionError
        There is none of that name.
    """
    if isinstance(cross, CrossNet):
        return "network"
    if cross not in get_args(Cross):
        raise OptionError(unknown("cross", cross, get_args(Cross)))
    return cross


class Weights(nn.Module):
    """``w_0 + sum_f w_f``: one number per value of each column, [Q].

    A history counts with the mean over its events; `numbers` more numbers of a candidate have a weight each.
    """

    def __init__(self, features: Features, numbers: int, seed: int = 0) -> None:
        super().__init__()
        self.own, self.past = (Tables(features, 1, 1, seed=seed + i, deviation=0.0) for i in range(2))
        self.candidate, self.behaviour = ItemEncoder(features, self.own), ItemEncoder(features, self.past)
        self.events = ColumnEncoder.of(features, "event", self.past)
        self.context = ColumnEncoder.of(features, "context", self.own)
        self.users = ColumnEncoder.of(features, "user", self.own)
        whose = {"item": "item", "behaviour": "item", "event": "event", "context": "context", "user": "user"}
        self.sums = nn.ModuleDict(
            {name: Sum([c.type == "numeric" for c in features.of(of)]) for name, of in whose.items()}
        )
        self.more, self.bias = nn.Parameter(torch.zeros(numbers)), nn.Parameter(torch.zeros(()))

    def forward(self, batch: Batch, numbers: Tensor, ends: Tensor) -> Tensor:
        """Logits [Q] of the candidates of a batch; `ends` are their offsets by question."""
        judged, history = batch.candidates, batch.sequences["history"]
        assert judged is not None
        asked, past, spans = judged.flat()[0], *history.flat()
        shown = torch.from_numpy(judged.item[asked].astype(np.int64))
        done = torch.from_numpy(history.item[past].astype(np.int64))
        add = self.sums
        values, rows = self.behaviour.picked(batch.items, done)
        offsets = torch.from_numpy(spans)
        each = segment_mean(Picked(add["behaviour"](values).unsqueeze(1), rows), offsets).squeeze(1)
        if (events := self.events(history.columns, past)) is not None:
            each = each + segment_mean(add["event"](events), offsets)
        each = each + add["user"](self.users(batch.users))
        out = add["item"](self.candidate(batch.items, shown)) + add["context"](self.context(judged.columns, asked))
        summed: Tensor = self.bias + numbers @ self.more + out + each.index_select(0, segments(ends, out.device))
        return summed


class Sum(nn.Module):
    """Sum of columns [N, F]: weights as they were looked up, numbers times a weight that is learned here."""

    number: Tensor

    def __init__(self, number: Sequence[bool]) -> None:
        super().__init__()
        self.register_buffer("number", torch.tensor(list(number), dtype=torch.float32), persistent=False)
        self.weight = nn.Parameter(torch.zeros(len(number)))

    def forward(self, columns: Tensor | None) -> Tensor | float:
        return 0.0 if columns is None else columns @ (1 - self.number + self.number * self.weight)


class Pairs(nn.Module):
    """``mean_j w[s_j, t]``, [Q]: a weight for each pair of a past and a judged value of a categorical item column."""

    def __init__(self, features: Features, buckets: int = BUCKETS) -> None:
        super().__init__()
        self.columns = [c.name for c in features.of("item") if c.type == "categorical"]
        self.table, self.buckets = Table(buckets + 1, 1, deviation=0.0), buckets

    def forward(self, batch: Batch) -> Tensor:
        """Logits [Q] of the candidates of a batch."""
        judged, history = batch.candidates, batch.sequences["history"]
        assert judged is not None
        asked, ends = judged.flat()
        owner = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        rows, spans = ragged_rows(history.start[owner], history.stop[owner])
        past, now = history.item[rows], np.repeat(judged.item[asked], np.diff(spans))
        offsets = torch.from_numpy(spans)
        device = self.table.weight.device
        total = self.table.weight.new_zeros(len(asked))
        for i, name in enumerate(self.columns):
            value = batch.items[name].values
            ids = torch.from_numpy(self.hashed(value[past], value[now], i)).to(device)
            total = total + self.table.pooled(ids, offsets.to(device)).squeeze(1)
        return total

    def hashed(self, past: np.ndarray, now: np.ndarray, column: int) -> np.ndarray:
        """Row 1 ... buckets of each pair, int64."""
        mixed = past.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + now.astype(np.uint64)
        mixed = (mixed + np.uint64(column)) * np.uint64(0xD1B54A32D192ED03)
        return ((mixed >> np.uint64(32)) % np.uint64(self.buckets) + np.uint64(1)).astype(np.int64)


class Fields(nn.Module):
    """Columns side by side -> fields of one width, [Q, F, dim]."""

    def __init__(self, widths: Sequence[int], dim: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.widths = list(widths)
        self.maps = nn.ModuleList(
            nn.Identity() if w == dim else linear(w, dim, generator, bias=False) for w in self.widths
        )

    def forward(self, columns: Tensor) -> Tensor:
        if all(isinstance(to, nn.Identity) for to in self.maps):
            return columns.unflatten(1, (len(self.widths), -1))
        parts = columns.split(self.widths, 1)
        return torch.stack([to(part) for to, part in zip(self.maps, parts, strict=True)], 1)


def inner_products(fields: Tensor) -> Tensor:
    """``v_f . v_g`` of all pairs f < g of [Q, F, dim], [Q, F (F - 1) / 2]."""
    f, g = torch.triu_indices(fields.shape[1], fields.shape[1], 1)
    return (fields @ fields.transpose(1, 2))[:, f, g]


def pairwise(fields: Tensor) -> Tensor:
    """``sum_{f<g} v_f . v_g`` of [Q, F, dim], [Q], without the pairs: half of |sum v|^2 - sum |v|^2."""
    found: Tensor = _Pairwise.apply(fields)
    return found


class _Pairwise(torch.autograd.Function):
    """The gradient of a field is the sum of the others."""

    @staticmethod
    def forward(ctx: Any, fields: Tensor) -> Tensor:
        total = fields.sum(1)
        ctx.save_for_backward(fields, total)
        return 0.5 * (total.square().sum(1) - fields.square().sum((1, 2)))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        fields, total = ctx.saved_tensors
        return (total.unsqueeze(1) - fields).mul_(grads[0].view(-1, 1, 1))


class Crossing(nn.Module):
    """One of the interactions above.

    Parameters
    ----------
    item : widths of an item's columns. times : how many interests lie side by side. others : widths of the other
        columns. dim : common width of the fields. numbers : how many numbers of a candidate stand beside the columns.

    Attributes
    ----------
    inputs : width of what the tower reads. deep : whether there is a tower at all.
    """

    def __init__(
        self, cross: str | CrossNet, features: Features, item: Sequence[int], times: int, others: Sequence[int], *,
        dim: int, numbers: int, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.cross, self.deep = checked(cross), cross != "lr"
        fields = [*item, *(list(item) * times), *others]
        width = sum(fields) + numbers
        self.weights = Weights(features, numbers, seed) if cross in ("lr", "wide_deep", "deepfm") else None
        self.pairs = Pairs(features) if cross == "wide_deep" else None
        self.fields = Fields(fields, dim, seed) if cross in ("pnn", "deepfm") else None
        self.network = CrossNetwork(width, cross, seed) if isinstance(cross, CrossNet) else None
        beside = isinstance(cross, CrossNet) and not cross.stacked
        self.read = linear(width, 1, torch.Generator().manual_seed(seed), bias=False) if beside else None
        more = {"product": times * sum(item), "pnn": len(fields) * (len(fields) - 1) // 2}
        self.inputs = width + more.get(self.cross, 0)

    @property
    def tables(self) -> list[Tables]:
        """Its weights by column; the hashed weights of pairs are none of them."""
        return [] if self.weights is None else [self.weights.own, self.weights.past]

    def forward(
        self, batch: Batch, parts: list[Tensor], numbers: Tensor, ends: Tensor
    ) -> tuple[Tensor, Tensor | float]:  # fmt: skip
        """(what the tower reads [Q, inputs], what is added to its logit).

        Parameters
        ----------
        parts : candidates [Q, width], their interests [Q, times * width], columns of users and context.
        numbers : [Q, n], what else is known. ends : offsets of the candidates.
        """
        queries, found, *_ = parts
        if self.network is not None:
            plain = torch.cat([*parts, numbers], 1)
            crossed = self.network(plain)
            return (crossed, 0.0) if self.read is None else (plain, self.read(crossed).squeeze(1))
        added: Tensor | float = 0.0
        if self.weights is not None:
            added = self.weights(batch, numbers, ends)
        if self.pairs is not None:
            added = added + self.pairs(batch)
        if self.cross == "product":
            product = found * queries.repeat(1, found.shape[1] // queries.shape[1])
            return torch.cat([*parts, product, numbers], 1), added
        if self.fields is None:
            return torch.cat([*parts, numbers], 1), added
        plain = torch.cat([*parts, numbers], 1)
        fields = self.fields(plain[:, : sum(self.fields.widths)])
        if self.cross == "pnn":
            return torch.cat([*parts, inner_products(fields), numbers], 1), added
        return plain, added + pairwise(fields)
