"""A cloze over histories: groups are hidden behind a mask, and what stood there is asked from both sides.

In training a window of groups 1 ... T gets a mask as group T + 1, and each of the groups 2 ... T is hidden, too, with
probability `share`: all its rows become the mask. A row of group g is asked for an item of group g + 1, which
`nn.nextfit` draws; the state that answers is the encoder's at group g + 1, and counts only if that group is hidden. In
use only the mask behind the end is there.

Reference: F. Sun, J. Liu, J. Wu, C. Pei, X. Lin, W. Ou, P. Jiang: BERT4Rec: Sequential Recommendation with
Bidirectional Encoder Representations from Transformer. CIKM 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.nn.nextfit import NextItemNetwork
from ethogram.nn.ragged import segments
from ethogram.nn.rows import gather_rows
from ethogram.nn.transformer import BidirectionalTransformer
from ethogram.nn.windows import Batch


class ClozeNetwork(NextItemNetwork):
    """See the module; `hidden` is, after a pass in training, which rows are asked for what is hidden, float32[T].

    Parameters
    ----------
    share : of the groups that are hidden in training, besides the mask behind the end.
    """

    def __init__(
        self, items: int, dim: int, encoder: BidirectionalTransformer, *, share: float, sparse: bool, seed: int = 0
    ) -> None:  # fmt: skip
        super().__init__(items, dim, encoder, sparse=sparse, seed=seed)
        self.share = share
        self.hidden = torch.ones(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            self.mask = nn.Parameter(torch.empty(dim).normal_(0.0, 0.02))
            self.head = nn.Sequential(nn.Linear(dim, dim), nn.GELU(approximate="tanh"), nn.LayerNorm(dim))

    def forward(self, rows: Tensor, offsets: Tensor, group: Tensor) -> Tensor:
        """[T, dim]: of each row the state of the group behind its own; in use that of the end, for all."""
        if not len(rows):
            return self.embed(rows)
        device = rows.device
        owner, n = segments(offsets), len(offsets) - 1
        full = torch.nonzero(offsets.diff()).ravel()
        begins = torch.ones(len(rows), dtype=torch.bool)
        begins[1:] = (group.cpu()[1:] != group.cpu()[:-1]) | (owner[1:] != owner[:-1])
        number = begins.cumsum(0) - 1  # of each row's group, among all
        groups = int(number[-1]) + 1
        gone = torch.zeros(groups, dtype=torch.bool)
        first = torch.ones(groups, dtype=torch.bool)
        first[1:] = owner[begins][1:] != owner[begins][:-1]
        if self.training:
            gone = (torch.rand(groups) < self.share) & ~first
        # rows, each history with its mask behind it
        place = torch.arange(len(rows)) + _rank(owner, full, n)
        ends = offsets[1:][full] + torch.arange(len(full))
        x = self.embed(rows)
        x = torch.where(gone[number].to(device).unsqueeze(1), self.mask, x)
        wide = torch.cat([x, self.mask.expand(len(full), -1)])
        source = torch.empty(len(wide), dtype=torch.int64)
        source[place], source[ends] = torch.arange(len(rows)), len(rows) + torch.arange(len(full))
        times = torch.cat([group.cpu(), group.cpu()[offsets[1:][full] - 1] + 1])[source]
        spans = torch.cat([offsets[:1], offsets[1:] + torch.cumsum(offsets.diff() > 0, 0)])
        states = self.encoder(gather_rows(wide, source.to(device)), spans, times.to(group.device))
        # where the group behind each row begins: the next group's first row, or the mask of the end
        starts = place[begins]
        last = torch.ones(groups, dtype=torch.bool)
        last[:-1] = first[1:]
        behind = torch.empty(groups, dtype=torch.int64)
        behind[~last] = starts[1:][~last[:-1]]
        behind[last] = ends
        asked = torch.ones(groups, dtype=torch.bool)
        asked[~last] = gone[1:][~last[:-1]]
        if self.training:
            self.hidden = asked[number].to(states)
            return self.head(gather_rows(states, behind[number].to(device)))
        at_end = torch.zeros(n, dtype=torch.int64)
        at_end[full] = ends
        return self.head(gather_rows(states, at_end[owner].to(device)))

    def optimisers(self, lr: float) -> list[Any]:
        found = super().optimisers(lr)
        if self.sparse:
            found.append(torch.optim.Adam([self.mask, *self.head.parameters()], lr, fused=True))
        return found


class Hidden:
    """The objective: only rows in front of what is hidden count in the loss."""

    def __init__(self, network: ClozeNetwork) -> None:
        self.network = network

    def begin(self, rng: np.random.Generator) -> None: ...

    def draw(self, batch: Batch, rng: np.random.Generator) -> None: ...

    def weights(self, states: Tensor, drawn: Any) -> Tensor:
        return self.network.hidden

    def loss(self, states: Tensor, drawn: Any) -> None: ...


def _rank(owner: Tensor, full: Tensor, n: int) -> Tensor:
    """Masks that stand before each row: one for each non-empty history before its own."""
    rank = torch.zeros(n, dtype=torch.int64)
    rank[full] = torch.arange(len(full))
    return rank[owner]
