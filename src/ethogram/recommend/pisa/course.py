"""What PISA learns from: windows of sessions, each asked for the items of the session that follows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ethogram.log.kernels import ragged_rows
from ethogram.nn.windows import Windows
from ethogram.numeric.known import Known
from ethogram.numeric.sessions import Sessions
from ethogram.recommend.pisa.network import PisaNetwork, Remembered

POPULAR = 0.5
"""Exponent of counts by which popular negatives are drawn."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows of sessions, with local numbers for the distinct vectors that they need.

    Attributes
    ----------
    rows : int64[u], the distinct rows. held : the sessions, in local numbers.
    here, after : int64[p], places in `held` of each position's session and of the one behind it.
    offsets, group : of the positions' windows. wanted : int64[P], the items behind each position, in local numbers.
    owner : int64[P], their position. others : int64[P, n], items drawn against them.
    """

    rows: Tensor
    held: Remembered
    here: Tensor
    after: Tensor
    offsets: Tensor
    group: Tensor
    wanted: Tensor
    owner: Tensor
    others: Tensor


class Course:
    """Batches of the training sessions, and the loss of one.

    Parameters
    ----------
    held : all sessions with what memory held.
    """

    def __init__(self, network: PisaNetwork, held: Remembered, sessions: Sessions, known: Known, options: Any) -> None:
        self.network, self.options = network, options
        self.columns = [np.asarray(getattr(held, n)) for n in Remembered.__dataclass_fields__]
        every = np.arange(len(sessions))
        self.windows = Windows(every, np.arange(len(sessions) + 1), every, sessions.bounds)
        counts = known.counts[known.counts > 0].astype(np.float64)
        self.ladder = np.cumsum(counts**POPULAR if options.negatives == "popularity" else np.ones_like(counts))

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        o, (items, offsets, base, spread, favourites, weights) = self.options, self.columns
        for window in self.windows.batches(rng, length=o.length, tokens=o.batch):
            met, place = np.unique(np.concatenate([window.rows, window.target]), return_inverse=True)
            here, after = np.split(place, 2)
            rows, ends = ragged_rows(offsets[met], offsets[met + 1])
            behind, spans = ragged_rows(ends[after], ends[after + 1])
            owner = np.repeat(np.arange(len(after)), np.diff(spans))
            drawn = np.searchsorted(self.ladder, rng.random((len(owner), o.samples)) * self.ladder[-1], side="right")
            liked = favourites[met]
            needed, local = np.unique(np.concatenate([items[rows], drawn.ravel(), liked.ravel()]), return_inverse=True)
            mine, others, liked_at = np.split(local, [len(rows), len(rows) + drawn.size])
            held = Remembered.of(mine, ends, base[rows], spread[rows], liked_at.reshape(liked.shape), weights[met])
            tensors = (needed, here, after, window.offsets, window.group, mine[behind], owner, others)
            needed, here, after, starts, group, wanted, owner, others = (torch.from_numpy(t) for t in tensors)
            yield Batch(needed, held, here, after, starts, group, wanted, owner, others.view(drawn.shape))

    def loss(self, batch: Batch) -> Tensor:
        """The mean over the items wanted, and over positions for how near z comes to the next session."""
        o, network = self.options, self.network
        local = network.embed(batch.rows)
        m = network.session(local[batch.held.items], batch.held)
        lasting = network.lasting(local[batch.held.favourites[batch.here]], batch.held.weights[batch.here])
        short = network.short(m[batch.here], batch.offsets, batch.group)
        z = F.normalize(network.fused(m[batch.here], lasting, short)[0], dim=1)
        after = m[batch.after]
        ahead = local[batch.wanted].unsqueeze(1) - local[batch.others]

        def ranked(query: Tensor) -> Tensor:
            return F.softplus(-torch.einsum("pd,pnd->pn", query[batch.owner], ahead)).mean()

        loss = o.own_weight * ranked(after) + (1 - o.own_weight) * ranked(z)
        if o.favourites:
            loss = loss + o.long_weight * ranked(lasting)
        near = 1 - (z * F.normalize(after, dim=1)).sum(1)
        return (1 - o.near_weight) * loss + o.near_weight * near.mean()
