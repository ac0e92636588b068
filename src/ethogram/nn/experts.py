"""Several networks of one shape over the same rows, computed side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ethogram.nn.activation import Activation, activation
from ethogram.nn.affine import affine
from ethogram.nn.bent import Bent
from ethogram.nn.dropout import Dropout
from ethogram.nn.mlp import linear


class Experts(nn.Module):
    """E networks [Q, inputs] -> [Q, E, width], each layer an activation of a linear map.

    Parameters
    ----------
    count : E. hidden : widths of the layers; the last is what an expert says.
    outputs : one more layer without activation, of so many numbers; 0 leaves it out.
    seed : of the weights, Glorot uniform for each expert by itself, zero bias.
    """

    def __init__(
        self, inputs: int, count: int, hidden: Sequence[int], *, outputs: int = 0, act: Activation = "relu",
        dropout: float = 0.0, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.count, self.width = count, outputs or hidden[-1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        self.bends = nn.ModuleList()
        for width in [*hidden, *([outputs] if outputs else [])]:
            made = [linear(inputs, width, generator).weight.detach().T for _ in range(count)]
            self.weights.append(torch.stack(made))  # [E, inputs, width]
            self.biases.append(torch.zeros(count, width))
            inputs = width
        for width in hidden:
            if act == "dice":
                self.bends.append(nn.Sequential(activation(act, count * width), Dropout(dropout)))
            else:
                self.bends.append(Bent(dropout, count * width if act == "prelu" else None))

    def forward(self, rows: Tensor) -> Tensor:
        """[Q, inputs] -> [Q, E, width]."""
        # all read the same rows, so the first layers are one wide product
        first = self.weights[0].transpose(0, 1).flatten(1)
        out = self._bent(0, affine(rows, first.T, self.biases[0].flatten()))
        for i in range(1, len(self.weights)):
            made = torch.baddbmm(self.biases[i].unsqueeze(1), out.transpose(0, 1), self.weights[i])
            out = self._bent(i, made.transpose(0, 1).flatten(1))
        return out

    def _bent(self, layer: int, out: Tensor) -> Tensor:
        """Values of a layer, [Q, E * width], as [Q, E, width]."""
        bent: Tensor = self.bends[layer](out) if layer < len(self.bends) else out
        return bent.unflatten(1, (self.count, self.weights[layer].shape[2]))
