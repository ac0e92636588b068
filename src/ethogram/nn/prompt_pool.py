"""A pool of learned prefixes that are found by what a sequence has been like so far, and completed in time.

Each entry is a key and `rows` pairs of prompts, one for attention's keys and one for its values. A sequence's query is
the mean of the layer's inputs over the events known so far; the `chosen` entries with the largest cosine stand before
the events. In time a prompt is completed by the encoding of the estimated next arrival,

    [prompt ; TE(t')],   t' = last known time + mean gap so far (one unit where there is no gap yet).

A layer projects prompt and time apart, so the part of time is one vector for each state of a sequence and not one for
each prompt: its product with the query lifts all scores of the prefix alike, and what it adds to the values is the
prefix's mass times one vector.

Means of inputs have most of their length in common, and by the cosine of what is common all sequences retrieve the same
entries. So a query is brought to mean 0 and spread 1 by what the states of the first window were like (`settle`), and
one constant coordinate is added, by which what is like the first window stays a direction of its own.

The query is detached: the key loss, 1 - mean cosine of the chosen keys, pulls keys to queries and not the other way.
States differ by how many events are known, so nothing is chosen by what is still to come; official code retrieves
once by the mean over the whole sequence, which in a likelihood tells the future. With `vote`, all states of a batch
take the entries that most of them chose; only for training, since it makes an answer depend on its neighbours.

Reference: S. Xue et al.: Prompt-augmented Temporal Point Process for Streaming Event Sequence. NeurIPS 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


CONSTANT, MOMENTUM = 0.5, 0.1
"""Length of the constant coordinate over that of the others in the first window; weight of the newest batch."""


@dataclass(frozen=True, eq=False)
class Picked:
    """Which entries each state chose.

    Attributes
    ----------
    allowed : bool[S, entries * rows]. entries : bool[S, entries]. near : mean cosine of the chosen keys, a scalar.
    """

    allowed: Tensor
    entries: Tensor
    near: Tensor


class PromptPool(nn.Module):
    """One layer's pool.

    Parameters
    ----------
    width : of a prompt. query : of the layer's input. entries, chosen, rows : see the module.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int, query: int, *, entries: int, chosen: int, rows: int) -> None:
        super().__init__()
        self.chosen, self.rows, self.settling = min(chosen, entries), rows, False
        self.register_buffer("mean", torch.zeros(query))
        self.register_buffer("spread", torch.ones(query))
        self.key = nn.Parameter(torch.empty(entries, query + 1).uniform_(-1, 1))
        self.prompt = nn.Parameter(torch.empty(2, entries * rows, width).uniform_(-1, 1))

    def pick(self, query: Tensor, vote: bool = False) -> Picked:
        """For states with queries [S, query]."""
        if self.settling and self.training:
            self.settle(query.detach())
        query = (query.detach() - self.mean) / self.spread
        query = torch.cat([query, query.new_full((len(query), 1), CONSTANT * query.shape[1] ** 0.5)], 1)
        cosine = F.normalize(query, dim=1) @ F.normalize(self.key, dim=1).T
        best = cosine.topk(self.chosen, 1).indices
        entries = torch.zeros_like(cosine, dtype=torch.bool).scatter_(1, best, True)
        if vote:
            most = entries.sum(0).topk(self.chosen).indices
            entries = torch.zeros_like(entries)
            entries[:, most] = True
        near = (cosine * entries).sum(1) / self.chosen
        return Picked(entries.repeat_interleave(self.rows, 1), entries, near.mean())

    @torch.no_grad()
    def settle(self, query: Tensor) -> None:
        """Follow the mean and spread of queries; the first ones are taken as they are."""
        if len(query) < 2:
            return
        first = bool((self.mean == 0).all())
        self.mean.lerp_(query.mean(0), 1.0 if first else MOMENTUM)
        self.spread.lerp_(query.std(0).clamp_min(1e-3), 1.0 if first else MOMENTUM)
