"""Several interest vectors of a history, each a weighted mean of its items: self-attention with K heads of its own.

    a_kj = w_k . tanh(W x_j) + rho_k g_j          x_j: item vector of row j, g_j: number of its group
    A_kj = exp(a_kj) / sum over the rows read so far of exp(a_k)
    v_k  = sum over those rows of A_kj x_j

A softmax of a sum with rho_k g_j weighs a row by exp(-rho_k (g - g_j)) against the newest group g, whatever g is: that
is how each interest learns how fast it forgets, and why running sums give the interests of every prefix at once.

Reference: Y. Cen et al.: Controllable Multi-Interest Framework for Recommendation (ComiRec-SA). KDD 2020 (there with
learned positions in x, and one pass for each prefix).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ethogram.nn.dropout import dropout
from ethogram.nn.nextfit import NextItemNetwork
from ethogram.nn.products import product
from ethogram.nn.ragged import segments
from ethogram.nn.rows import gather_rows, place_rows, take_rows

STEEPEST = 1.0
"""Largest |rho|: exp(-50 rho) must stay a number."""


class InterestEncoder(nn.Module):
    """K interests of every prefix of packed histories.

    Parameters
    ----------
    dim : width of rows. interests : K. hidden : units of the attention. dropout : of the rows, in training.

    Examples
    --------
    >>> model = InterestEncoder(8, interests=3).eval()
    >>> model(torch.randn(5, 8), torch.tensor([0, 3, 5]), torch.tensor([0, 1, 1, 0, 1])).shape
    torch.Size([5, 24])
    """

    def __init__(
        self, dim: int, *, interests: int = 4, hidden: int = 64, dropout: float = 0.2, seed: int = 0
    ) -> None:  # fmt: skip
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator
            torch.manual_seed(seed)
            self.inner, self.outer = nn.Linear(dim, hidden, bias=False), nn.Linear(hidden, interests, bias=False)
        # interests that forget at different rates from the start do not all learn the same
        self.pace = nn.Parameter(torch.linspace(0.0, 0.5, interests))
        self.interests, self.dropout = interests, dropout

    def logits(self, rows: Tensor, group: Tensor) -> Tensor:
        """a, [T, K]."""
        pace = self.pace.clamp(-STEEPEST, STEEPEST)
        return product(self.outer, torch.tanh(product(self.inner, rows))) + group.unsqueeze(1) * pace

    def forward(self, rows: Tensor, offsets: Tensor, group: Tensor) -> Tensor:
        """Interests of the prefix that ends with each row's group, [T, K * dim].

        Parameters
        ----------
        rows : [T, dim], oldest first. offsets : int64[n + 1] on the CPU.
        group : int64[T], number of each row's group within its history, ascending.
        """
        if not len(rows):
            return rows.new_zeros(0, self.interests * rows.shape[1])
        rows = dropout(rows, self.dropout, self.training)
        weight, (n, length, index) = self._weights(rows, offsets, group)
        parts = torch.cat([(weight.unsqueeze(2) * rows.unsqueeze(1)).flatten(1), weight], 1)
        dense = place_rows(parts, index, n * length).view(n, length, -1).cumsum(1)
        found = take_rows(dense.reshape(n * length, -1), index[group_ends(offsets, group)])
        sums, norm = found[:, : -self.interests], found[:, -self.interests :]
        return (sums.view(len(rows), self.interests, -1) / norm.clamp_min(1e-30).unsqueeze(2)).flatten(1)

    def attention(self, rows: Tensor, offsets: Tensor, group: Tensor) -> Tensor:
        """A over whole histories, [T, K]."""
        weight, _ = self._weights(rows, offsets, group)
        owner = segments(offsets, rows.device)
        total = weight.new_zeros(len(offsets) - 1, self.interests).index_add(0, owner, weight)
        return weight / total[owner].clamp_min(1e-30)

    def _weights(self, rows: Tensor, offsets: Tensor, group: Tensor) -> tuple[Tensor, tuple[int, int, Tensor]]:
        """exp(a - largest of the history), [T, K], and where packed rows stand in [n, longest]."""
        lengths = offsets.diff()
        n, length, owner = len(lengths), int(lengths.max()), segments(offsets)
        index = (owner * length + torch.arange(len(rows)) - offsets[owner]).to(rows.device)
        a = self.logits(rows, group).float()
        with torch.no_grad():
            dense = a.new_full((n * length, self.interests), -torch.inf).index_copy_(0, index, a)
            top = dense.view(n, length, -1).amax(1)[owner.to(rows.device)]
        return (a - top).clamp_min(-60).exp(), (n, length, index)


def group_ends(offsets: Tensor, group: Tensor) -> Tensor:
    """Last row of each row's group, int64[T]."""
    owner = segments(offsets, group.device)
    key = owner * (int(group.max()) + 1) + group
    return torch.searchsorted(key, key, right=True) - 1


class InterestNetwork(NextItemNetwork):
    """A next-item network whose states are K interests side by side; the closest to the target answers for it."""

    encoder: InterestEncoder

    @property
    def interests(self) -> int:
        return self.encoder.interests

    def answer(self, states: Tensor, target: Tensor) -> Tensor:
        """The interest of largest product with each target, [T, dim]."""
        found = states.view(len(states), self.encoder.interests, -1)
        return found[torch.arange(len(found), device=found.device), self.closest(states, target)]

    @torch.no_grad()
    def closest(self, states: Tensor, target: Tensor) -> Tensor:
        """Number of that interest, int64[T]."""
        wanted = gather_rows(self.items.weight, target + 1)
        found = states.view(len(states), self.encoder.interests, -1)
        return (found * wanted.unsqueeze(1)).sum(2).argmax(1)
