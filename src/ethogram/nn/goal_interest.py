"""What each kind of a person's behaviour says about a candidate, for each goal.

task       one attention block for every goal and kind, its layer norms made by a hypernetwork
separate   a block of its own for each pair of a goal and a kind
shared     a block for each kind, the same for all goals
mean       the mean of the events, the same for all goals and candidates
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ethogram.nn.conditioned import AttentionBlock, Hypernetwork, plain
from ethogram.nn.ragged import each, segment_mean
from ethogram.nn.rows import Picked

How = Literal["task", "separate", "shared", "mean"]


class Sequence(NamedTuple):
    """Events of one kind: vectors [T, width], written out or picked, and offsets by question."""

    keys: Tensor | Picked
    offsets: Tensor


class GoalInterest(nn.Module):
    """[Q, views, kinds * width]; `views` is the number of goals, or 1 where all see the same."""

    def __init__(self, how: How, width: int, goals: int, kinds: int, *, heads: int = 2, condition: int = 4,
                 seed: int = 0) -> None:  # fmt: skip
        super().__init__()
        self.how, self.kinds, self.width = how, kinds, kinds * width
        self.views = goals if how in ("task", "separate") else 1
        count = {"task": 1, "separate": goals * kinds, "shared": kinds, "mean": 0}[how]
        self.blocks = nn.ModuleList(AttentionBlock(width, heads, seed + 31 * i) for i in range(count))
        self.hyper = Hypernetwork(goals, kinds, width, condition, seed) if how == "task" else None
        # without conditions a block has norms as every block has
        self.norms = nn.Parameter(plain(width, count)) if how in ("separate", "shared") else None

    def forward(self, sequences: list[Sequence], queries: Tensor, ends: Tensor) -> Tensor:
        """[Q, views, kinds * width] of candidates [Q, width] with offsets `ends`."""
        return torch.cat([self._kind(b, *held, queries, ends) for b, held in enumerate(sequences)], 2)

    def _kind(self, kind: int, keys: Tensor | Picked, offsets: Tensor, queries: Tensor, ends: Tensor) -> Tensor:
        if self.how == "mean":
            return each(segment_mean(keys, offsets), ends).unsqueeze(1)
        keys = keys.dense() if isinstance(keys, Picked) else keys
        if self.hyper is not None:
            found: Tensor = self.blocks[0](keys, offsets, queries, ends, self.hyper()[:, kind])
            return found
        assert self.norms is not None
        mine = [goal * self.kinds + kind for goal in range(self.views)]
        return torch.cat([self.blocks[i](keys, offsets, queries, ends, self.norms[i : i + 1]) for i in mine], 1)
