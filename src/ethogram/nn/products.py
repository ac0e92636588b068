"""Matrix products in bfloat16 on a CPU: few shapes, and every other operation in float32.

oneDNN compiles a bfloat16 product anew for every number of rows, which takes longer than the product itself, and
packed batches hardly ever have as many rows as the one before. So rows are filled up to a multiple of `ROWS`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 128
"""Rows of a bfloat16 product on a CPU are a multiple of it."""


def lowered(x: Tensor) -> bool:
    """Whether products of it are taken in bfloat16 now, on a CPU."""
    return x.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def filled(x: Tensor) -> Tensor:
    """Zero rows behind [n, ...], so that n is a multiple of `ROWS`."""
    more = -len(x) % ROWS
    return F.pad(x, (0, 0) * (x.dim() - 1) + (0, more)) if more else x


def product(layer: nn.Linear, x: Tensor) -> Tensor:
    """A linear layer of [n, d] whose numbers come back in the type of its input.

    Under autocast only the product has fewer bits: what follows it (activations, dropout, sums) has faster forms in
    float32 here.
    """
    if not lowered(x):
        return layer(x).to(x.dtype)
    return layer(filled(x)).to(x.dtype)[: len(x)]
