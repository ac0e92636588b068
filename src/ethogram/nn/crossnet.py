"""Explicit crosses of bounded degree: the cross network of DCN-V2.

    x_{l+1} = x_0 * (W_l x_l + b_l) + x_l                                  full matrices
    x_{l+1} = sum_i G_i(x_l) x_0 * (U_i g(C_i g(V_i' x_l)) + b_l) + x_l    mixture of experts of low rank

with * element by element, g = tanh and G the softmax of one linear layer without bias (1 for a single expert). After
l layers every product of up to l + 1 inputs can have a weight of its own.

Reference: R. Wang, R. Shivanna, D. Cheng, S. Jain, D. Lin, L. Hong, E. Chi: DCN V2: Improved Deep & Cross Network and
Practical Lessons for Web-scale Learning to Rank Systems. WWW 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ethogram.nn.affine import product
from ethogram.nn.mlp import linear


@dataclass(frozen=True)
class CrossNet:
    """The shape of a cross network; `stacked` puts the tower on top of it, else both stand side by side."""

    layers: int = 2
    rank: int | None = None
    experts: int = 1
    stacked: bool = False


class CrossNetwork(nn.Module):
    """x_0 [N, width] -> x_L [N, width]."""

    def __init__(self, width: int, shape: CrossNet, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        full = shape.rank is None
        self.layers = nn.ModuleList(
            linear(width, width, generator) if full else Mixture(width, shape.rank or 1, shape.experts, generator)
            for _ in range(shape.layers)
        )

    def forward(self, start: Tensor) -> Tensor:
        x = start
        for layer in self.layers:
            if isinstance(layer, nn.Linear) and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
                x = _Cross.apply(x, start, layer.weight, layer.bias)
            else:
                x = torch.addcmul(x, start, layer(x))
        return x


class _Cross(torch.autograd.Function):
    """``x + x_0 * (W x + b)``, whose gradient is added to the product that makes the rest of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, start: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        made = product(x, weight.T).add_(bias)
        ctx.save_for_backward(x, start, weight, made)
        return torch.addcmul(x, start, made)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, start, weight, made = ctx.saved_tensors
        (grad,) = grads
        to_made = grad * start
        return product(to_made, weight).add_(grad), grad * made, product(to_made.T, x), to_made.sum(0)


class Mixture(nn.Module):
    """``sum_i G_i(x) (U_i tanh(C_i tanh(V_i' x)) + b)`` [N, width]; the shares G sum to 1, so b needs none."""

    def __init__(self, width: int, rank: int, experts: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down = linear(width, experts * rank, generator, bias=False)  # rows of V_i', expert by expert
        self.up = linear(experts * rank, width, generator)  # columns of U_i, and b
        self.gate = linear(width, experts, generator, bias=False) if experts > 1 else None
        middle = torch.empty(experts, rank, rank)
        self.middle = nn.Parameter(middle.uniform_(-1, 1, generator=generator) * (3 / rank) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        experts, rank, _ = self.middle.shape
        low = torch.tanh(self.down(x)).view(-1, experts, rank)
        low = torch.tanh(torch.einsum("nei,eji->nej", low, self.middle))
        if self.gate is not None:
            low = low * self.gate(x).softmax(1).unsqueeze(2)
        mixed: Tensor = self.up(low.flatten(1))
        return mixed
