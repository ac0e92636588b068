"""ReLU or PReLU with the dropout that follows it, in one compiled pass each way.

    y = k / (1 - p) (max(z, 0) + alpha min(z, 0)),   k in {0, 1}, alpha per channel (0 for ReLU)

A tower's matrix products take about a third of its training step; four passes over its hidden values, as layers of
their own make them, take as long again. ReLU keeps nothing but y for the way back: the gradient passes where y > 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor, nn

from ethogram.nn.dropout import draw, dropout

_ALL = torch.empty(0, dtype=torch.uint8)


@njit(cache=True, nogil=True, fastmath=True)
def _relu(z, drawn, out, below, scale):  # type: ignore[no-untyped-def]
    if len(drawn):
        for i in range(len(z)):
            out[i] = max(z[i], np.float32(0)) * (scale * np.float32(drawn[i] >= below))
    else:
        for i in range(len(z)):
            out[i] = max(z[i], np.float32(0))


@njit(cache=True, nogil=True, fastmath=True)
def _relu_back(out, grad, down, scale):  # type: ignore[no-untyped-def]
    for i in range(len(out)):
        down[i] = grad[i] * (scale * np.float32(out[i] > 0))


@njit(cache=True, nogil=True, fastmath=True)
def _prelu(z, alpha, drawn, out, below, scale):  # type: ignore[no-untyped-def]
    rows, width = z.shape
    for i in range(rows):
        for k in range(width):
            kept = scale if len(drawn) == 0 or drawn[i * width + k] >= below else np.float32(0)
            out[i, k] = kept * (max(z[i, k], np.float32(0)) + alpha[k] * min(z[i, k], np.float32(0)))


@njit(cache=True, nogil=True, fastmath=True)
def _prelu_back(z, alpha, drawn, grad, down, to_alpha, below, scale):  # type: ignore[no-untyped-def]
    rows, width = z.shape
    for i in range(rows):
        for k in range(width):
            g = grad[i, k] * (scale if len(drawn) == 0 or drawn[i * width + k] >= below else np.float32(0))
            to_alpha[k] += g * min(z[i, k], np.float32(0))
            down[i, k] = g * (np.float32(1) if z[i, k] > 0 else alpha[k])


class _Bend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, alpha: Tensor | None, below: int) -> Tensor:
        source = z.detach().contiguous()
        drawn = draw(z.numel()) if below else _ALL
        # a ReLU keeps no z, so it needs no memory of its own where nobody else can see z
        over = alpha is None and source.data_ptr() == z.data_ptr() and not z._is_view() and z.grad_fn is not None
        out = z if over else torch.empty_like(source)
        if over:
            ctx.mark_dirty(z)
        ctx.numbers = np.uint8(below), np.float32(256 / (256 - below))
        if alpha is None:
            _relu(source.view(-1).numpy(), drawn.numpy(), out.detach().view(-1).numpy(), *ctx.numbers)
            ctx.save_for_backward(out)
        else:
            _prelu(source.numpy(), alpha.detach().numpy(), drawn.numpy(), out.numpy(), *ctx.numbers)
            ctx.save_for_backward(source, alpha, drawn)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None]:
        grad, (kept, *rest), (below, scale) = grads[0].contiguous(), ctx.saved_tensors, ctx.numbers
        down = torch.empty_like(kept)
        if not rest:
            _relu_back(kept.view(-1).numpy(), grad.view(-1).numpy(), down.view(-1).numpy(), scale)
            return down, None, None
        alpha, drawn = rest
        to_alpha = torch.zeros_like(alpha)
        arrays = (t.detach().numpy() for t in (kept, alpha, drawn, grad, down, to_alpha))
        _prelu_back(*arrays, below, scale)
        return down, to_alpha, None


class Bent(nn.Module):
    """ReLU (PReLU with `channels`) and dropout with probability `p` of rows [N, channels]."""

    def __init__(self, p: float = 0.0, channels: int | None = None) -> None:
        super().__init__()
        self.p = p
        # PReLU begins at 0.25, as published
        self.weight = None if channels is None else nn.Parameter(torch.full((channels,), 0.25))

    def forward(self, z: Tensor) -> Tensor:
        below = round(self.p * 256) if self.training else 0
        if z.device.type == "cpu" and z.dtype == torch.float32 and below < 256 and torch.is_grad_enabled():
            out: Tensor = _Bend.apply(z, self.weight, below)
            return out
        bent = F.relu(z) if self.weight is None else F.prelu(z, self.weight.to(z.dtype))
        return dropout(bent, self.p, self.training)
