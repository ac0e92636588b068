"""A pool of learned prefixes that are found by what a sequence has been like so far, and completed in time.

Each entry is a key and `rows` pairs of prompts, one for attention's keys and one for its values. A sequence's query is
the mean of the first layer's states over the events known so far (not of their times, which tell how much there was and
not what); the `chosen` entries with the largest cosine stand before the events. Deeper layers ask with the same query:
their own states move with the network and the prompts below, and no longer find the keys of windows that are gone. In
time a prompt is completed by the encoding of the estimated next arrival,

    [prompt ; TE(t')],   t' = last known time + mean gap so far (one unit where there is no gap yet).

A layer projects prompt and time apart, so the part of time is one vector for each state of a sequence and not one for
each prompt: its product with the query lifts all scores of the prefix alike, and what it adds to the values is the
prefix's mass times one vector.

Means of inputs have most of their length in common, and by the cosine of what is common all sequences retrieve the
same entries. So a query is counted from `centre`, what a sequence of all kinds alike would be like, in units of the
spread of the first window's states (`settle`), and one small constant coordinate is added, so that it is never nothing.

The query is detached: the key loss, 1 - mean cosine of the chosen keys, pulls keys to queries and not the other way.
States differ by how many events are known, so nothing is chosen by what is still to come; official code retrieves
once by the mean over the whole sequence, which in a likelihood tells the future. With `vote`, all states of a batch
take the entries nearest to the mean of their queries (the code counts their choices; but single states are noisy, and
their majority takes unused entries for a regime that has its own); only for training, since it makes an answer depend
on its neighbours.

While it learns, entries of earlier windows are chosen less readily, by `diversify`, so that a new regime finds entries
of its own; a returning one is nearer to its old keys than that (the diversified selection of Z. Wang et al.: Learning
to Prompt for Continual Learning. CVPR 2022). Where it answers, only entries that some window learned are there. When a
window is over, entries that none has used yet take over what the window's own hold: random prompts would be noise that
the network below has never read.

Reference: S. Xue et al.: Prompt-augmented Temporal Point Process for Streaming Event Sequence. NeurIPS 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONSTANT, MOMENTUM, FEW = 0.15, 0.1, 0.1
"""Length of the constant coordinate over the spread of the others; weight of the newest batch; share of a window's
choices that makes an entry one of those that it learned."""


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
    width : of a prompt and of a query. entries, chosen, rows, diversify : see the module.
    """

    mean: Tensor
    spread: Tensor
    used: Tensor
    fresh: Tensor

    def __init__(
        self, width: int, *, entries: int, chosen: int, rows: int, diversify: float = 0.0
    ) -> None:  # fmt: skip
        super().__init__()
        self.chosen, self.rows, self.diversify, self.settling = min(chosen, entries), rows, diversify, False
        self.register_buffer("used", torch.zeros(entries))  # share of the choices, summed over earlier windows
        self.register_buffer("fresh", torch.zeros(entries), persistent=False)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.key = nn.Parameter(torch.empty(entries, width + 1).uniform_(-1, 1))
        self.prompt = nn.Parameter(torch.empty(2, entries * rows, width).uniform_(-1, 1))

    def pick(self, query: Tensor, vote: bool = False, centre: Tensor | float = 0.0) -> Picked:
        """For states with queries [S, width]; `centre` [width] is added to the mean that queries are counted from."""
        if self.settling and self.training:
            self.settle(query.detach())
        query = (query.detach() - self.mean - centre) / self.spread
        query = torch.cat([query, query.new_full((len(query), 1), CONSTANT * query.shape[1] ** 0.5)], 1)
        key = F.normalize(self.key, dim=1)
        cosine = F.normalize(query, dim=1) @ key.T
        held = (self.used > 0).to(cosine.dtype)
        if self.training:
            less = self.diversify * held
        else:  # more than a cosine can make good
            less = 3.0 * (1 - held) * float(held.sum() >= self.chosen)
        entries = torch.zeros_like(cosine, dtype=torch.bool)
        if vote:
            near = (F.normalize(query.mean(0), dim=0) @ key.T).detach() - less
            entries[:, near.topk(self.chosen).indices] = True
        else:
            entries.scatter_(1, (cosine.detach() - less).topk(self.chosen, 1).indices, True)
        if self.training:
            self.fresh += entries.float().mean(0).detach()
        drawn = (cosine * entries).sum(1) / self.chosen
        return Picked(entries.repeat_interleave(self.rows, 1), entries, drawn.mean())

    @torch.no_grad()
    def settle(self, query: Tensor) -> None:
        """Follow the mean and spread of queries; the first ones are taken as they are."""
        if len(query) < 2:
            return
        first = bool((self.mean == 0).all())
        self.mean.lerp_(query.mean(0), 1.0 if first else MOMENTUM)
        self.spread.lerp_(query.std(0).clamp_min(1e-3), 1.0 if first else MOMENTUM)

    @torch.no_grad()
    def close(self) -> None:
        """A window is over: what it chose counts as used, what nobody has used begins where it ended."""
        share = self.fresh / self.fresh.sum().clamp_min(1e-9)
        self.used += (share > FEW) * share
        best, free = share.topk(self.chosen).indices, (self.used == 0).nonzero().ravel()
        held = self.prompt.view(2, -1, self.rows, self.prompt.shape[-1])
        held[:, free] = held[:, best[torch.arange(len(free)) % self.chosen]]
        self.fresh.zero_()
