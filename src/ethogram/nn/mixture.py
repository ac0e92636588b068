"""A feed-forward layer of many experts of which each row is sent to few.

    g = softmax(G h),    out = sum over the rows' largest g_e of g_e FFN_e(h)

so that capacity grows with the experts and work with those in use. `balance` is the loss that keeps them all in use,
E sum_e f_e p_e with f the share of rows sent to an expert and p its mean gate.

Reference: N. Shazeer et al.: Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer. ICLR
2017; the balance as in W. Fedus, B. Zoph, N. Shazeer: Switch Transformers. JMLR 2022.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.errors import OptionError


class SparseMixture(nn.Module):
    """[n, dim] -> [n, dim]; `active` of `experts` experts of width `hidden`. One expert is a plain layer.

    `balance` is the loss of the last forward in training; `load` counts the rows sent to each expert so far.
    """

    def __init__(self, dim: int, hidden: int, experts: int, active: int) -> None:
        super().__init__()
        if not 1 <= active <= experts:
            raise OptionError(f"mixture: {active} of {experts} experts cannot be active.")
        self.active = active
        self.gate = nn.Linear(dim, experts, bias=False) if experts > 1 else None
        self.up = nn.ModuleList(nn.Linear(dim, hidden) for _ in range(experts))
        self.down = nn.ModuleList(nn.Linear(hidden, dim) for _ in range(experts))
        self.load = torch.zeros(experts, dtype=torch.int64)
        self.balance: Tensor | float = 0.0

    def forward(self, rows: Tensor) -> Tensor:
        if self.gate is None:
            return self._expert(0, rows)
        gates = torch.softmax(self.gate(rows), 1)
        strength, chosen = gates.topk(self.active, 1)
        sent = torch.bincount(chosen.reshape(-1), minlength=len(self.up))
        self.load += sent.cpu()
        self.balance = len(self.up) * (sent / sent.sum() * gates.mean(0)).sum() if self.training else 0.0
        out = torch.zeros_like(rows)
        order = chosen.reshape(-1).argsort(stable=True)
        for e, part in enumerate(order.split(sent.tolist())):
            if len(part):
                row = part // self.active
                said = self._expert(e, rows[row]) * strength.reshape(-1)[part, None]
                out = out.index_add(0, row, said)
        return out

    def _expert(self, e: int, rows: Tensor) -> Tensor:
        found: Tensor = self.down[e](F.gelu(self.up[e](rows), approximate="tanh"))
        return found
