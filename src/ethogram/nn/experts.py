"""Several networks of one shape over the same rows, computed side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ethogram.nn.activation import Activation, activation
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
        out = rows.unsqueeze(0).expand(self.count, *rows.shape)  # [E, Q, inputs]
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            out = torch.baddbmm(bias.unsqueeze(1), out, weight)
            if i < len(self.bends):
                shape = len(rows), self.count, weight.shape[2]
                bent = self.bends[i](out.transpose(0, 1).reshape(len(rows), self.count * shape[2]))
                out = bent.view(shape).transpose(0, 1)
        return out.transpose(0, 1)
