"""Activations whose shape is learned from data, per channel.

    PReLU    f(s) = max(s, 0) + alpha min(s, 0)
    Dice     f(s) = p(s) s + (1 - p(s)) alpha s,   p(s) = sigmoid((s - E[s]) / sqrt(Var[s] + eps))

Dice is PReLU whose step lies at the mean of the data instead of at 0 (Zhou et al., Deep Interest Network, KDD
2018, eq. 3-4). E and Var are those of the batch in training and moving averages afterwards. They are taken over
rows that exist: padding in them is what invalidated figures published for this activation.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ethogram.errors import OptionError

Activation = Literal["prelu", "dice", "relu"]


class Dice(nn.Module):
    """Dice over the last axis.

    Parameters
    ----------
    channels : size of the last axis.
    momentum : weight of the newest batch in the moving averages.
    eps : added to the variance.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-8) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def moments(self, s: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """(count, mean [channels], sum of squared distances from it) over the rows where `mask` holds.

        Parts of a batch are joined by `join`, so that a batch too large to hold at once has one mean.
        """
        rows = s.reshape(-1, s.shape[-1]).to(self.alpha.dtype)
        if mask is not None:
            rows = rows[mask.reshape(-1)]
        count = torch.tensor(float(len(rows)), device=s.device, dtype=rows.dtype)
        mean = rows.sum(0) / count.clamp_min(1)
        return count, mean, (rows - mean).square().sum(0)

    @staticmethod
    def join(parts: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
        """Moments of all parts together (Chan, Golub and LeVeque 1979)."""
        count, mean, spread = parts[0]
        for n, m, s in parts[1:]:
            total = (count + n).clamp_min(1)
            gap = m - mean
            spread = spread + s + gap.square() * (count * n / total)
            mean = mean + gap * (n / total)
            count = count + n
        return count, mean, spread

    def follow(self, count: Tensor, mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, variance) to use for these moments; in training they also move the averages."""
        variance = spread / count.clamp_min(1)
        if self.training:
            self.move(count, mean, variance)
        return mean, variance

    @torch.no_grad()
    def move(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Take these moments of `count` rows into the moving averages."""
        if count > 0:
            self.mean.lerp_(mean.to(self.mean.dtype), self.momentum)
            self.variance.lerp_(variance.to(self.mean.dtype), self.momentum)

    def bend(self, s: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """The activation for a given mean and variance."""
        p = torch.sigmoid((s - mean) * torch.rsqrt(variance + self.eps))
        return s * (self.alpha + (1 - self.alpha) * p)

    def forward(self, s: Tensor, mask: Tensor | None = None) -> Tensor:
        """`s` [..., channels]; rows where `mask` [...] is false count neither for the mean nor the variance."""
        if self.training:
            return self.bend(s, *self.follow(*self.moments(s, mask)))
        return self.bend(s, self.mean, self.variance)


def activation(name: Activation, channels: int) -> nn.Module:
    """A fresh activation of that name; alpha starts at 0.25 in PReLU and at 0 in Dice, as published."""
    if name == "dice":
        return Dice(channels)
    if name == "prelu":
        return nn.PReLU(channels, init=0.25)
    if name == "relu":
        return nn.ReLU()
    raise OptionError(f"activation '{name}' is unknown; choose prelu, dice or relu.")
