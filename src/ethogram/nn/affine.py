"""Linear layers whose products are taken by the BLAS library that uses this processor's widest vectors.

On a CPU torch multiplies with MKL, which on processors that are not Intel's takes vectors of 256 bits; NumPy comes with
OpenBLAS, which takes those of 512 bits where there are any: twice as fast on an AMD EPYC of the fifth generation, and a
ranking network is products for the most part. Which library it is hangs on the processor alone, never on a measurement,
so that equal seeds give equal bytes.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@functools.cache
def wider() -> bool:
    """Whether NumPy's products take wider vectors here than torch's."""
    info = Path("/proc/cpuinfo")
    said = info.read_text() if info.exists() else ""
    # a core type that is set by hand is usually an older one
    free = "OPENBLAS_CORETYPE" not in os.environ and torch.backends.mkl.is_available()
    return free and "AuthenticAMD" in said and "avx512f" in said and "openblas" in _blas()


def _blas() -> str:
    told: Any = np.show_config(mode="dicts")
    return str(told["Build Dependencies"]["blas"]["name"]).lower()


def product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b`` of matrices on the CPU, outside of gradients."""
    if not wider() or a.dtype not in (torch.float32, torch.float64):
        return a @ b
    out = a.new_empty(a.shape[0], b.shape[1])
    np.matmul(a.detach().numpy(), b.detach().numpy(), out=out.numpy())
    return out


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        out = product(x, weight.T)
        return out if bias is None else out.add_(bias.detach())

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad, (to_x, _, to_bias) = grads[0], ctx.needs_input_grad
        return (
            product(grad, weight) if to_x else None, product(grad.T, x), grad.sum(0) if to_bias else None
        )  # fmt: skip


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``: [n, inputs] with [outputs, inputs] to [n, outputs]."""
    plain = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32 and x.dim() == 2
    if plain and wider() and not torch.is_autocast_enabled("cpu"):
        found: Tensor = _Affine.apply(x, weight, bias)
        return found
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """`affine` as a layer."""

    def forward(self, input: Tensor) -> Tensor:
        return affine(input, self.weight, self.bias)
