"""A causal transformer over histories that masks by group and does no work on padding.

Rows of equal time are one unordered group: row i reads the rows of its own history whose group is not later than its
own, and its position is the distance in groups from the history's last one, so that permuting rows inside a group
permutes the outputs and changes nothing else.

Everything but the attention runs on packed rows [T, dim]; the attention pads histories to the longest of the batch
(keep histories of a batch alike in length) and takes the fused kernel.

Reference: W.-C. Kang, J. McAuley: Self-Attentive Sequential Recommendation. ICDM 2018 (there with rows for groups).
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.nn.dropout import dropout
from ethogram.nn.products import product
from ethogram.nn.ragged import segments
from ethogram.nn.rows import gather_rows, place_rows, take_rows


class CausalTransformer(nn.Module):
    """Blocks of attention and feed-forward over packed histories.

    Parameters
    ----------
    dim : width of rows. layers, heads : blocks and heads each; heads divide dim.
    hidden : width of the feed-forward layer; 4 * dim unless given.
    positions : groups that have a position of their own; earlier ones share the first.
    dropout : of the inputs, the attention weights and both residual branches, in training.
    norm : "pre" (normalise before each branch, and once at the end) or "post" (after each sum).
    seed : of the weights.

    Examples
    --------
    >>> model = CausalTransformer(8, layers=1, heads=2, positions=10).eval()
    >>> rows = torch.randn(5, 8)
    >>> model(rows, torch.tensor([0, 3, 5]), torch.tensor([0, 1, 1, 0, 1])).shape
    torch.Size([5, 8])
    """

    causal = True

    def __init__(
        self,
        dim: int,
        *,
        layers: int = 2,
        heads: int = 2,
        hidden: int | None = None,
        positions: int = 50,
        dropout: float = 0.2,
        norm: Literal["pre", "post"] = "pre",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if dim % heads:
            raise OptionError(f"transformer: {heads} heads do not divide width {dim}.")
        with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator
            torch.manual_seed(seed)
            self.position = nn.Embedding(positions, dim)
            self.blocks = nn.ModuleList(_Block(dim, heads, hidden or 4 * dim, dropout, norm) for _ in range(layers))
            self.norm = nn.LayerNorm(dim)
        self.pre, self.dropout = norm == "pre", dropout
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            if parameter.dim() > 1:  # small, so that the sum of item and position starts near the item
                with torch.no_grad():
                    parameter.normal_(0.0, 0.02, generator=generator)

    def forward(self, rows: Tensor, offsets: Tensor, group: Tensor) -> Tensor:
        """States of all rows, [T, dim].

        Parameters
        ----------
        rows : [T, dim], oldest first. offsets : int64[n + 1] on the CPU.
        group : int64[T], number of each row's group within its history, ascending.
        """
        if not len(rows):
            return rows
        pad = _Padding(offsets, group, rows.device, self.causal)
        x = rows + gather_rows(self.position.weight, pad.distance.clamp(max=self.position.num_embeddings - 1))
        x = dropout(x if self.pre else self.norm(x), self.dropout, self.training)
        for block in self.blocks:
            x = block(x, pad)
        return self.norm(x) if self.pre else x


class BidirectionalTransformer(CausalTransformer):
    """The same blocks, but every row reads all rows of its history, later ones too."""

    causal = False


def last_states(states: Tensor, offsets: Tensor, group: Tensor) -> Tensor:
    """Mean of the states of each history's last group, [n, dim]; zero for an empty history."""
    owner = segments(offsets, states.device)
    end = offsets[1:].clamp_min(1) - 1
    newest = group[end.to(group.device)]
    mine = (group == newest[owner]).to(states.dtype).unsqueeze(1)
    n = len(offsets) - 1
    total = states.new_zeros(n, states.shape[1]).index_add(0, owner, states * mine)
    return total / states.new_zeros(n, 1).index_add(0, owner, mine).clamp_min(1)


class _Padding:
    """Where packed rows stand in [n, L], and who may read whom."""

    def __init__(self, offsets: Tensor, group: Tensor, device: torch.device, causal: bool = True) -> None:
        lengths, self.device, self.causal = offsets.diff(), device, causal
        self.n, self.length = len(lengths), int(lengths.max())
        first = torch.repeat_interleave(offsets[:-1], lengths)
        owner = torch.repeat_interleave(torch.arange(self.n), lengths)
        within = torch.arange(len(first)) - first
        newest = group.cpu()[(offsets[1:] - 1).clamp_min(0)]
        group = group.cpu()
        self.distance = (newest[owner] - group).to(device)
        self.even = int(lengths.min()) == self.length
        self.index = None if self.even else (owner * self.length + within).to(device)
        # one group per row: the triangle says it all, also for padding, which lies behind the real rows
        self.mask: Tensor | None = None
        if not causal:
            if not self.even:
                self.mask = (torch.arange(self.length) < lengths.unsqueeze(1))[:, None, None].to(device)
        elif not torch.equal(group, within):
            dense = torch.full((self.n, self.length), torch.iinfo(torch.int64).max)
            dense.view(-1)[owner * self.length + within] = group
            readable = dense.unsqueeze(2) >= dense.unsqueeze(1)  # padding is later than all; it reads all, in vain
            self.mask = readable.unsqueeze(1).to(device)

    @cached_property
    def hidden(self) -> Tensor:
        """What a row may not read, bool [n or 1, 1, L or 1, L or 1]."""
        if self.mask is not None:
            return ~self.mask
        if not self.causal:
            return torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=self.device)
        return torch.ones(self.length, self.length, dtype=torch.bool, device=self.device).triu(1)[None, None]

    def pad(self, rows: Tensor) -> Tensor:
        if self.index is None:
            return rows.view(self.n, self.length, -1)
        return place_rows(rows, self.index, self.n * self.length).view(self.n, self.length, -1)

    def pack(self, dense: Tensor) -> Tensor:
        flat = dense.reshape(self.n * self.length, -1)
        return flat if self.index is None else take_rows(flat, self.index)


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.heads, self.dropout, self.pre = heads, dropout, norm == "pre"
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.first, self.second = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x: Tensor, pad: _Padding) -> Tensor:
        if self.pre:
            x = x + self._drop(self._attend(self.first(x), pad))
            return x + self._drop(self._feed(self.second(x)))
        x = self.first(x + self._drop(self._attend(x, pad)))
        return self.second(x + self._drop(self._feed(x)))

    def _attend(self, x: Tensor, pad: _Padding) -> Tensor:
        dense = pad.pad(product(self.qkv, x)).view(pad.n, pad.length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = dense.unbind(0)
        with torch.autocast("cpu", enabled=False):  # its products are too small to gain from fewer bits there
            if self.training and self.dropout:
                # the fused kernel knows no dropout on a CPU
                score = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
                score = score.masked_fill(pad.hidden, -torch.inf)
                found = dropout(score.softmax(-1), self.dropout, True) @ value
            else:
                causal = pad.causal and pad.mask is None
                found = F.scaled_dot_product_attention(query, key, value, attn_mask=pad.mask, is_causal=causal)
        return product(self.out, pad.pack(found.transpose(1, 2).reshape(pad.n, pad.length, -1)))

    def _feed(self, x: Tensor) -> Tensor:
        return product(self.down, F.gelu(product(self.up, x), approximate="tanh"))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)
