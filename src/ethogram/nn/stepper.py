"""What optimisers of this package share: parameters, a count of steps, and tensors that are held for each parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn


class Stepper:
    """Named states in `held`, a tensor for each parameter, are what is saved beside the number of steps."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self.parameters, self.lr, self.steps = list(parameters), lr, 0
        self.held: dict[str, list[Tensor]] = {}

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, **self.held}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps = int(state["steps"])
        for name, mine in self.held.items():
            for tensor, saved in zip(mine, state[name], strict=True):
                tensor.copy_(saved)
