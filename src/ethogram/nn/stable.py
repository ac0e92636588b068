"""Weights of examples under which the interests of a batch hang together less: an objective of `nn.nextfit`.

The weights are learned anew for each batch, with the interests as they are, and the network then learns the next item
under them (`nn.independence`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.nn.independence import dependence, effective, fourier, learn_weights
from ethogram.nn.nextfit import Training
from ethogram.nn.windows import Batch


@dataclass(eq=False)
class Stable:
    """See the module.

    Parameters
    ----------
    interests : vectors of a state. features, dims : of `fourier`. steps, lr, penalty : of `learn_weights`.
    learn : False only measures, and leaves all examples alike.

    Attributes
    ----------
    course : per epoch {"dependence", "weighted", "effective"}: means over its batches, the last as a share of n; and
        "usage", the share of targets that each interest answered.
    """

    training: Training
    interests: int
    features: int
    dims: int
    steps: int
    lr: float
    penalty: float
    learn: bool = True
    course: list[dict[str, Any]] = field(default_factory=list)
    _found: list[tuple[float, float, float]] = field(default_factory=list)
    _used: np.ndarray | None = None

    def begin(self, rng: np.random.Generator) -> None:
        """Put the epoch that is over on record."""
        self.close()

    def close(self) -> None:
        """Put what was measured since the last call on record."""
        if self._found:
            means = np.mean(self._found, 0).tolist()
            used = np.zeros(self.interests) if self._used is None else self._used / self._used.sum()
            names = dict(zip(("dependence", "weighted", "effective"), means, strict=True))
            self.course.append({**names, "usage": used.tolist()})
        self._found, self._used = [], None

    def draw(self, batch: Batch, rng: np.random.Generator) -> tuple[int, Tensor]:
        """The seed of this batch's random features, and its targets."""
        t = self.training
        return int(rng.integers(2**31)), torch.from_numpy(t.item[batch.target])

    def weights(self, states: Tensor, drawn: tuple[int, Tensor]) -> Tensor | None:
        """Weights of mean 1 of the batch's rows."""
        seed, target = drawn
        closest = self.training.network.closest(states, target)  # type: ignore[operator]
        used = np.bincount(closest.numpy(), minlength=self.interests).astype(float)
        self._used = used if self._used is None else self._used + used
        found = states.detach().float().view(len(states), self.interests, -1)
        features = fourier(found, self.features, torch.Generator().manual_seed(seed), self.dims)
        before = float(dependence(features))
        if not self.learn or len(states) < 2:
            self._found.append((before, before, 1.0))
            return None
        weight = learn_weights(features, steps=self.steps, lr=self.lr, penalty=self.penalty)
        self._found.append((before, float(dependence(features, weight)), effective(weight) / len(weight)))
        return weight

    def loss(self, states: Tensor, drawn: Any) -> None:
        """Nothing beside the next item."""
