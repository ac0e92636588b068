"""A tower of fully connected layers over packed rows: every row is real, so statistics need no mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ethogram.nn.activation import Activation, activation
from ethogram.nn.affine import Linear
from ethogram.nn.bent import Bent
from ethogram.nn.dropout import Dropout


def linear(inputs: int, outputs: int, generator: torch.Generator | None = None, *, bias: bool = True) -> Linear:
    """A linear layer with weights uniform in +-sqrt(6 / (inputs + outputs)) (Glorot) and zero bias."""
    # without torch's own initialisation, which would draw from the global generator
    layer = nn.utils.skip_init(Linear, inputs, outputs, bias=bias)
    bound = (6 / (inputs + outputs)) ** 0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        if bias:
            layer.bias.zero_()
    return layer


def _bend(act: Activation, width: int, dropout: float) -> list[nn.Module]:
    if act != "dice":
        return [Bent(dropout, width if act == "prelu" else None)]
    return [activation(act, width), *([Dropout(dropout)] if dropout else [])]


class Tower(nn.Module):
    """Layers ``hidden`` with an activation each, then one linear layer.

    Parameters
    ----------
    inputs, outputs : widths of the ends; one output comes back without its axis.
    hidden : widths between them.
    dropout : share of hidden values dropped in training.
    norm : batch normalisation before each activation.
    seed : of the weights (Glorot uniform, zero bias).
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int] = (200, 80),
        outputs: int = 1,
        *,
        act: Activation = "prelu",
        dropout: float = 0.0,
        norm: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        layers: list[nn.Module] = []
        for width in hidden:
            layers.append(linear(inputs, width, generator))
            if norm:
                layers.append(nn.BatchNorm1d(width))
            layers += _bend(act, width, dropout)
            inputs = width
        self.layers = nn.Sequential(*layers, linear(inputs, outputs, generator))
        self.outputs = outputs

    def forward(self, rows: Tensor) -> Tensor:
        """[N, inputs] -> [N] for one output, else [N, outputs]."""
        out: Tensor = self.layers(rows)
        return out.squeeze(-1) if self.outputs == 1 else out
