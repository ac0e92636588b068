"""Shares of what several networks say, for several readers of them, in one compiled pass each way.

    y_rk = sum_e p_ker s_re

The product written out, [rows, readers, experts, width], is as large as all that the experts say for each reader, and
goes through memory four times in a training step; here a row of it never leaves the registers.
"""

from __future__ import annotations

from typing import Any

import torch
from numba import njit
from torch import Tensor


@njit(cache=True, nogil=True, fastmath=True)
def _mix(shares, said, out):  # type: ignore[no-untyped-def]
    readers, experts, rows = shares.shape
    for r in range(rows):
        for k in range(readers):
            for e in range(experts):
                p = shares[k, e, r]
                for c in range(said.shape[2]):
                    out[r, k, c] += p * said[r, e, c]


@njit(cache=True, nogil=True, fastmath=True)
def _mix_back(shares, said, grad, to_shares, to_said):  # type: ignore[no-untyped-def]
    readers, experts, rows = shares.shape
    for r in range(rows):
        for e in range(experts):
            for k in range(readers):
                p, told = shares[k, e, r], said.dtype.type(0)
                for c in range(said.shape[2]):
                    told += grad[r, k, c] * said[r, e, c]
                    to_said[r, e, c] += p * grad[r, k, c]
                to_shares[k, e, r] = told


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shares: Tensor, said: Tensor) -> Tensor:
        shares, said = (t.detach().contiguous() for t in (shares, said))
        ctx.save_for_backward(shares, said)
        out = said.new_zeros(len(said), len(shares), said.shape[2])
        _mix(shares.numpy(), said.numpy(), out.numpy())
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        shares, said = ctx.saved_tensors
        to_shares, to_said = torch.empty_like(shares), torch.zeros_like(said)
        _mix_back(*(t.numpy() for t in (shares, said, grads[0].contiguous(), to_shares, to_said)))
        return to_shares, to_said


def mixed(shares: Tensor, said: Tensor) -> Tensor:
    """``sum_e shares[k, e, q] said[q, e]``: [readers, E, Q] and [Q, E, width] to [Q, readers, width]."""
    if said.device.type == "cpu" and said.dtype == shares.dtype == torch.float32:
        found: Tensor = _Mixed.apply(shares, said)
        return found
    return torch.einsum("keq,qew->qkw", shares.to(said.dtype), said)
