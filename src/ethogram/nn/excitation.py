"""Fields weighed by each other: squeeze and excitation over the columns of an example.

    s_f = p_f . e_f              one number per field; p_f begins as the mean
    w   = 2 sigmoid(W_2 relu(W_1 s))
    out = [w_f e_f]              or, bitwise, a weight for every number

2 sigmoid and W_2 = 0 make the start the input itself: a sigmoid alone would begin by halving everything.

J. Hu, L. Shen, G. Sun: Squeeze-and-Excitation Networks. CVPR 2018; over fields T. Huang, Z. Zhang, J. Zhang: FiBiNET.
RecSys 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ethogram.nn.mlp import linear


class Excitation(nn.Module):
    """See the module.

    Parameters
    ----------
    widths : of the fields that lie side by side. reduction : F / reduction hidden values, 2 at least.
    bitwise : a weight for every number instead of one for each field.
    """

    place: Tensor

    def __init__(self, widths: Sequence[int], reduction: int = 4, *, bitwise: bool = False, seed: int = 0) -> None:
        super().__init__()
        sizes = torch.tensor(list(widths))
        fields, total = len(sizes), int(sizes.sum())
        self.register_buffer("place", torch.repeat_interleave(torch.arange(fields), sizes), persistent=False)
        self.squeeze = nn.Parameter((1.0 / sizes)[self.place])
        hidden = max(2, fields // reduction)
        generator = torch.Generator().manual_seed(seed)
        self.down = linear(fields, hidden, generator)
        self.up = linear(hidden, total if bitwise else fields, generator)
        self.bitwise, self.fields = bitwise, fields
        with torch.no_grad():
            self.up.weight.zero_()

    def weights(self, x: Tensor) -> Tensor:
        """[Q, fields], or [Q, total] bitwise."""
        squeezed = x.new_zeros(len(x), self.fields).index_add(1, self.place, x * self.squeeze)
        weighed: Tensor = 2 * torch.sigmoid(self.up(torch.relu(self.down(squeezed))))
        return weighed

    def forward(self, x: Tensor) -> Tensor:
        """[Q, total] -> [Q, total]."""
        found = self.weights(x)
        return x * (found if self.bitwise else found.index_select(1, self.place))
