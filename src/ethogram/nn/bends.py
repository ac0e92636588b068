"""PReLU, ReLU and Dice for values that exist one piece at a time: forwards, and backwards by hand.

`nn.pairs` computes hidden values [N, h] piece by piece and never holds all of them. A bend turns a piece z into
sum_h w_h f(z_h), and on the way back the gradient of that sum into the gradient of z, collecting the gradients of
w and alpha. Dice first needs to see all pieces: its mean and variance are those of the batch, and so are two
sums of its gradient.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

_NO_MASK = np.zeros(0, np.bool_)


def compiled(z: Tensor) -> bool:
    """Whether the way back takes the compiled loops: one pass over a piece where torch needs six to fifteen."""
    return z.device.type == "cpu" and z.dtype in (torch.float32, torch.float64)


class Leaky:
    """f(z) = max(z, 0) + alpha min(z, 0), alpha [h]; zeros for ReLU."""

    def __init__(self, alpha: Tensor, out: Tensor) -> None:
        self.alpha, self.out = alpha, out
        self.to_alpha, self.to_out = torch.zeros_like(alpha), torch.zeros_like(out)

    def value(self, z: Tensor) -> Tensor:
        """Scores [N]."""
        return F.prelu(z, self.alpha) @ self.out

    def back(self, z: Tensor, mask: Tensor | None, grad: Tensor) -> Tensor:
        """Gradient of z from the gradient [N] of its scores."""
        if compiled(z):
            down = torch.empty_like(z)
            _leaky(*_arrays(z, grad, self.alpha, self.out, self.to_alpha, self.to_out, down))
            return down
        below = z.clamp_max(0)
        # f = z - (1 - alpha) min(z, 0)
        from_z, from_below = grad @ z, grad @ below
        self.to_out += from_z - (1 - self.alpha) * from_below
        self.to_alpha += self.out * from_below
        # slope out * alpha everywhere, the rest of it above zero; torch.where is ten times slower
        line = self.out * self.alpha
        above = torch.ops.aten.threshold_backward(torch.outer(grad, self.out - line), z, 0.0)
        return above.addr_(grad, line)


class Bell:
    """Dice: f(z) = z (alpha + (1 - alpha) p), p = sigmoid((z - mean) / sqrt(variance + eps)).

    With `learn`, mean and variance are those of the pieces seen by `look` and gradients flow through them.
    """

    def __init__(self, alpha: Tensor, out: Tensor, eps: float, mean: Tensor, variance: Tensor, learn: bool) -> None:
        self.alpha, self.out, self.eps, self.learn = alpha, out, eps, learn
        self.mean, self.variance = mean, variance
        self.count = torch.zeros((), dtype=out.dtype, device=out.device)
        self.to_alpha, self.to_out = torch.zeros_like(alpha), torch.zeros_like(out)
        self.up, self.up_z = torch.zeros_like(alpha), torch.zeros_like(alpha)
        if learn:
            self.mean, self.variance = torch.zeros_like(mean), torch.zeros_like(variance)

    def look(self, z: Tensor, mask: Tensor | None) -> None:
        """Add a piece to count, mean and summed squared distance (held in `variance` until `settle`)."""
        weight = z.new_ones(len(z)) if mask is None else mask.to(z.dtype)
        count = weight.sum()
        if count == 0:
            return
        mean = (weight @ z) / count
        spread = weight @ (z - mean).square_()
        total = self.count + count
        gap = mean - self.mean
        self.variance += spread + gap.square() * (self.count * count / total)
        self.mean += gap * (count / total)
        self.count = total

    def settle(self) -> None:
        self.variance = self.variance / self.count.clamp_min(1)

    def _gate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        normal = (z - self.mean).mul_(torch.rsqrt(self.variance + self.eps))
        return normal, torch.sigmoid(normal)

    def value(self, z: Tensor) -> Tensor:
        """Scores [N]."""
        _, p = self._gate(z)
        # alpha z + (1 - alpha) z p, summed with weights `out`: two matrix-vector products instead of a third array
        return z @ (self.alpha * self.out) + p.mul_(z) @ ((1 - self.alpha) * self.out)

    def look_back(self, z: Tensor, mask: Tensor | None, grad: Tensor) -> None:
        """Add a piece to the gradients of w and alpha, and to the two sums that the mean and variance need."""
        normal, p = self._gate(z)
        if compiled(z):
            sums = z.new_zeros(4, z.shape[1])
            _bell_look(*_arrays(z, normal, p, grad, sums))
            from_z, from_gated, steep, steep_z = sums
        else:
            gated = p * z
            from_z, from_gated = grad @ z, grad @ gated
            gated.mul_(1 - p)  # z p (1 - p); its weight is applied to the sums
            steep, steep_z = grad @ gated, grad @ gated.mul_(normal)
        self.to_out += self.alpha * from_z + (1 - self.alpha) * from_gated
        self.to_alpha += self.out * (from_z - from_gated)
        weight = self.out * (1 - self.alpha)
        self.up += weight * steep
        self.up_z += weight * steep_z

    def back(self, z: Tensor, mask: Tensor | None, grad: Tensor) -> Tensor:
        """Gradient of z from the gradient [N] of its scores; after `look_back` has seen every piece."""
        normal, p = self._gate(z)
        scale = torch.rsqrt(self.variance + self.eps)
        line, bent = self.out * self.alpha, self.out * (1 - self.alpha)
        share = scale / self.count.clamp_min(1) if self.learn else torch.zeros_like(scale)
        lift, tilt = self.up * share, self.up_z * share
        if compiled(z):
            real = _NO_MASK if mask is None else mask.numpy()
            _bell(*_arrays(z, normal, p, grad, line, bent, bent * scale, lift, tilt), real)
            return p
        slope = p * (bent * scale)
        slope.mul_(1 - p).mul_(z)
        slope.addcmul_(p, bent).add_(line).mul_(grad.unsqueeze(1))
        pull = normal.mul_(tilt).add_(lift)
        if mask is not None:
            pull.index_fill_(0, (~mask).nonzero().squeeze(1), 0.0)
        return slope.sub_(pull)


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [t.detach().numpy() for t in tensors]


@njit(cache=True, nogil=True, fastmath=True)
def _leaky(z, grad, alpha, out, to_alpha, to_out, down):  # type: ignore[no-untyped-def]
    for i in range(z.shape[0]):
        g = grad[i]
        for k in range(z.shape[1]):
            above, below = max(z[i, k], z.dtype.type(0)), min(z[i, k], z.dtype.type(0))
            to_out[k] += g * (above + alpha[k] * below)
            to_alpha[k] += g * out[k] * below
            down[i, k] = g * out[k] * (z.dtype.type(1) if z[i, k] > 0 else alpha[k])


@njit(cache=True, nogil=True, fastmath=True)
def _bell_look(z, normal, p, grad, sums):  # type: ignore[no-untyped-def]
    for i in range(z.shape[0]):
        g = grad[i]
        for k in range(z.shape[1]):
            value = g * z[i, k]
            gated = value * p[i, k]
            steep = gated * (z.dtype.type(1) - p[i, k])
            sums[0, k] += value
            sums[1, k] += gated
            sums[2, k] += steep
            sums[3, k] += steep * normal[i, k]


@njit(cache=True, nogil=True, fastmath=True)
def _bell(z, normal, p, grad, line, bent, steep, lift, tilt, real):  # type: ignore[no-untyped-def]
    """The gradient of z, written over p."""
    for i in range(z.shape[0]):
        g = grad[i]
        pulled = z.dtype.type(1 if len(real) == 0 or real[i] else 0)
        for k in range(z.shape[1]):
            slope = line[k] + p[i, k] * (bent[k] + steep[k] * (z.dtype.type(1) - p[i, k]) * z[i, k])
            p[i, k] = g * slope - pulled * (lift[k] + tilt[k] * normal[i, k])
