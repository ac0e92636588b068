"""Adam for parameters without rows, one compiled pass over each.

    m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
    w <- w - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

torch's own asks so much about its tensors that a step of a small network costs it ten times the arithmetic. It still
does what is not float32 on the CPU.

Reference: D. Kingma, J. Ba: Adam: A Method for Stochastic Optimization. ICLR 2015.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn

from ethogram.nn.stepper import Stepper


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _move(w, grad, first, second, lr, b1, b2, eps, fix1, fix2):  # type: ignore[no-untyped-def]
    one = np.float32(1)
    for i in range(len(w)):
        g = grad[i]
        m = b1 * first[i] + (one - b1) * g
        v = b2 * second[i] + (one - b2) * g * g
        first[i], second[i] = m, v
        w[i] -= lr * (m * fix1) / (np.sqrt(v * fix2) + eps)


class DenseAdam(Stepper):
    """Moves float32 parameters on the CPU; see `adam`."""

    betas, eps = (0.9, 0.999), 1e-8

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, lr)
        self.held = {name: [torch.zeros(p.numel()) for p in self.parameters] for name in ("first", "second")}

    @torch.no_grad()
    def step(self) -> None:
        self.steps += 1
        fixes = (1 / (1 - b**self.steps) for b in self.betas)
        numbers = [np.float32(x) for x in (self.lr, *self.betas, self.eps, *fixes)]
        for p, first, second in zip(self.parameters, *self.held.values(), strict=True):
            if p.grad is not None:
                w, grad = p.detach().view(-1).numpy(), p.grad.reshape(-1).numpy()
                _move(w, grad, first.numpy(), second.numpy(), *numbers)


def adam(parameters: Iterable[Tensor], lr: float) -> DenseAdam | torch.optim.Adam:
    """Adam with its usual betas: compiled where it can be, else torch's."""
    every: list[Any] = list(parameters)
    if all(p.device.type == "cpu" and p.dtype == torch.float32 and p.is_contiguous() for p in every):
        return DenseAdam(every, lr)
    return torch.optim.Adam(every, lr, fused=True)
