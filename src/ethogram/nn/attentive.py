"""A recurrent encoder that also looks back: at each step, which earlier steps matter for what is asked now.

    h_t = GRU(x_1 ... x_t),   alpha_tj = v . sigma(A_1 h_t + A_2 h_j)  for j <= t
    s_t = B [h_t ; sum over j <= t of alpha_tj h_j]

The first half of [.;.] is where the history stands, the second what it is about. Rows of equal time are one step.

Reference: J. Li, P. Ren, Z. Chen, Z. Ren, T. Lian, J. Ma: Neural Attentive Session-based Recommendation. CIKM 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ethogram.nn.dropout import dropout
from ethogram.nn.products import product
from ethogram.nn.ragged import pad, unpad
from ethogram.nn.recurrent import Recurrent
from ethogram.nn.rows import gather_rows


class AttentiveRecurrent(nn.Module):
    """See the module.

    Parameters
    ----------
    dim : width of rows and of states. hidden : units. dropout : of the rows on their way in, in training.
    after : of [h ; c], in training. seed : of the weights.

    Examples
    --------
    >>> model = AttentiveRecurrent(8, hidden=16).eval()
    >>> model(torch.randn(5, 8), torch.tensor([0, 3, 5]), torch.tensor([0, 1, 1, 0, 1])).shape
    torch.Size([5, 8])
    """

    def __init__(
        self, dim: int, *, hidden: int = 100, dropout: float = 0.25, after: float = 0.5, seed: int = 0
    ) -> None:  # fmt: skip
        super().__init__()
        self.recurrent = Recurrent(dim, hidden=hidden, dropout=dropout, seed=seed)
        del self.recurrent.dense  # B stands in its place
        with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator
            torch.manual_seed(seed + 1)
            self.now, self.then = nn.Linear(hidden, hidden, bias=False), nn.Linear(hidden, hidden, bias=False)
            self.weigh = nn.Linear(hidden, 1, bias=False)
            self.decode = nn.Linear(2 * hidden, dim, bias=False)
        self.after = after

    def forward(self, rows: Tensor, offsets: Tensor, group: Tensor) -> Tensor:
        """States of all rows, [T, dim]; parameters as those of `Recurrent`."""
        if not len(rows):
            return rows
        hidden, counts, step = self.recurrent.steps(rows, offsets, group)
        ends = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        both = torch.cat([hidden, self.attended(hidden, ends)], 1)
        states = product(self.decode, dropout(both, self.after, self.training))
        return states if step is None else gather_rows(states, step)

    def attended(self, hidden: Tensor, ends: Tensor) -> Tensor:
        """c_t [G, hidden] of packed steps, those of history i between ends[i] and ends[i + 1]."""
        now, then = (pad(product(part, hidden), ends)[0] for part in (self.now, self.then))
        held, there = pad(hidden, ends)
        alpha = self.weigh(torch.sigmoid(now.unsqueeze(2) + then.unsqueeze(1))).squeeze(3)
        alpha = alpha.tril() * there.unsqueeze(1)
        return unpad(alpha @ held, ends)
