"""Intensities from logits: softplus with a learned scale for each kind, stable for logits of any size.

    lambda = s log(1 + exp(x / s)),   s = exp(a)

Reference: H. Mei, J. Eisner: The Neural Hawkes Process. NeurIPS 2017, eq. 4.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LEAST = 1e-9
"""Added to every intensity, so that its logarithm is a number."""


def intensities(logits: Tensor, log_scale: Tensor) -> Tensor:
    """[.., K] from logits [.., K] and the logarithms [K] of the scales."""
    scale = log_scale.exp()
    return scale * F.softplus(logits / scale) + LEAST
