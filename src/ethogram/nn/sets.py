"""Members of a set related to each other by attention, read by a token that stands for all; no order, no positions.

    X_0 = [token; v_1; ...; v_M]
    X   = X + Attention(norm X),   X = X + FeedForward(norm X)       in every layer, all members read all
    u   = norm X[token],   share_m = weight of v_m for the token in the last layer, of all members' weights

The last layer computes the token's row alone. Sets of a batch are padded to its largest (keep them alike in size).

Reference: J. Lee et al.: Set Transformer: A Framework for Attention-based Permutation-Invariant Neural Networks.
ICML 2019 (there with inducing points and a pooling of its own).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.nn.dropout import dropout
from ethogram.nn.ragged import pad, segment_sum, segments, unpad


class SetTransformer(nn.Module):
    """The layers of the module's equations.

    Parameters
    ----------
    dim : width of members. layers, heads : blocks, and heads each; heads divide dim.
    dropout : of both branches, in training. seed : of the weights.

    Examples
    --------
    >>> model = SetTransformer(8, layers=2, heads=2).eval()
    >>> whole, shares = model(torch.randn(3, 8), torch.tensor([0, 3, 3]))
    >>> whole.shape, round(float(shares.sum()), 5)
    (torch.Size([2, 8]), 1.0)
    """

    def __init__(self, dim: int, *, layers: int = 2, heads: int = 2, dropout: float = 0.1, seed: int = 0) -> None:
        super().__init__()
        if dim % heads or layers < 1:
            raise OptionError(f"set transformer: {layers} layers of {heads} heads; heads divide the width {dim}.")
        with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator
            torch.manual_seed(seed)
            self.token = nn.Parameter(torch.randn(dim) * 0.1)
            self.blocks = nn.ModuleList(_Block(dim, heads, dropout) for _ in range(layers))
            self.norm = nn.LayerNorm(dim)

    def forward(self, members: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """(vector of each set [n, dim], share of each member [G]); a set without members is its token.

        Parameters
        ----------
        members : [G, dim], packed. offsets : int64[n + 1] on the CPU.
        """
        n = len(offsets) - 1
        dense, mask = pad(members, offsets)
        x = torch.cat([self.token.expand(n, 1, -1), dense], 1)
        there = torch.cat([mask.new_ones(n, 1), mask], 1)
        weights = x.new_zeros(n, x.shape[1])
        for i, block in enumerate(self.blocks):
            x, weights = block(x, there, i == len(self.blocks) - 1)
        raw = unpad(weights[:, 1:].unsqueeze(-1), offsets).squeeze(-1)
        total = segment_sum(raw, offsets).clamp_min(1e-12)
        return self.norm(x[:, 0]), raw / total[segments(offsets, raw.device)]


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.pair, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.first, self.second = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x: Tensor, there: Tensor, last: bool) -> tuple[Tensor, Tensor]:
        """(rows behind the block, the token's weights [n, 1 + L]); of the last block the token's row alone."""
        n, size, dim = x.shape
        normed = self.first(x)
        asking, x = (normed[:, :1], x[:, :1]) if last else (normed, x)
        query = self.query(asking).view(n, -1, self.heads, dim // self.heads).transpose(1, 2)
        key, value = self.pair(normed).view(n, size, 2, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        score = (query * (dim // self.heads) ** -0.5) @ key.transpose(-1, -2)
        weight = score.masked_fill(~there[:, None, None, :], -torch.inf).softmax(-1)
        found = self.out((weight @ value).transpose(1, 2).reshape(n, -1, dim))
        x = x + dropout(found, self.dropout, self.training)
        fed = self.down(F.gelu(self.up(self.second(x)), approximate="tanh"))
        return x + dropout(fed, self.dropout, self.training), weight[:, :, 0].mean(1)
