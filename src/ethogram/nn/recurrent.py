"""A gated recurrent unit over packed histories, one step per group of equal times.

Rows of one group enter as their mean and share the state behind them, so that their order says nothing. Histories
are sorted by length and run side by side without padding: step t holds the histories that have a t-th group.

Reference: K. Cho et al.: Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
Translation. EMNLP 2014.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ethogram.nn.dropout import dropout
from ethogram.nn.gated import layer
from ethogram.nn.products import product
from ethogram.nn.ragged import segment_mean, segments
from ethogram.nn.rows import gather_rows, take_rows


class Recurrent(nn.Module):
    """Layers of gated units, then a dense layer back to the width of the rows.

    Parameters
    ----------
    dim : width of rows. hidden, layers : units and layers.
    dropout : of the rows on their way in, in training. seed : of the weights.

    Examples
    --------
    >>> model = Recurrent(8, hidden=16).eval()
    >>> model(torch.randn(5, 8), torch.tensor([0, 3, 5]), torch.tensor([0, 1, 1, 0, 1])).shape
    torch.Size([5, 8])
    """

    def __init__(
        self, dim: int, *, hidden: int = 128, layers: int = 1, dropout: float = 0.3, seed: int = 0
    ) -> None:  # fmt: skip
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator
            torch.manual_seed(seed)
            self.gru = nn.GRU(dim, hidden, layers, bias=False)
            self.dense = nn.Linear(hidden, dim)
            for name, weight in self.gru.named_parameters():
                width = dim if name == "weight_ih_l0" else hidden
                nn.init.uniform_(weight, -math.sqrt(6 / (width + 3 * hidden)), math.sqrt(6 / (width + 3 * hidden)))
        self.dropout = dropout

    def forward(self, rows: Tensor, offsets: Tensor, group: Tensor) -> Tensor:
        """States of all rows, [T, dim].

        Parameters
        ----------
        rows : [T, dim], oldest first. offsets : int64[n + 1] on the CPU.
        group : int64[T], number of each row's group within its history, ascending.
        """
        if not len(rows):
            return rows
        hidden, _, step = self.steps(rows, offsets, group)
        states = product(self.dense, hidden)
        return states if step is None else gather_rows(states, step)

    def steps(self, rows: Tensor, offsets: Tensor, group: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(hidden states [G, hidden] of groups one after another, int64[n] groups of each history, int64[T] the group
        of each row; None where every row is one)."""
        x = dropout(rows, self.dropout, self.training)
        begins = _begins(offsets, group.cpu())
        alone = bool(begins.all())  # one row per group: nothing to average, nothing to share
        first = begins.nonzero().ravel()
        steps = x if alone else segment_mean(x, torch.cat([first, first.new_tensor([len(rows)])]))
        counts = offsets.diff() if alone else torch.zeros(len(offsets) - 1, dtype=torch.int64).index_add_(
            0, segments(offsets)[first], torch.ones_like(first)
        )  # fmt: skip
        with torch.autocast("cpu", enabled=False):  # a step's products are too small to gain from fewer bits there
            hidden = self._run(steps, counts)
        return hidden, counts, None if alone else (begins.cumsum(0) - 1).to(rows.device)

    def _run(self, steps: Tensor, counts: Tensor) -> Tensor:
        """Hidden states of packed steps, `counts` of each history."""
        order = counts.argsort(descending=True, stable=True)
        length = counts[order]
        longest = int(length[0])
        sizes = torch.searchsorted(-length, -torch.arange(longest), right=False)  # histories longer than t
        begin = (counts.cumsum(0) - counts)[order]
        # place of (t, history) among the packed steps: step t holds the first sizes[t] histories
        at = torch.cat([begin[: int(n)] + t for t, n in enumerate(sizes.tolist())]).to(steps.device)
        found = self._states(take_rows(steps, at), sizes)
        back = torch.empty_like(at)
        back[at] = torch.arange(len(at), device=at.device)
        return take_rows(found, back)

    def _states(self, steps: Tensor, sizes: Tensor) -> Tensor:
        if steps.device.type != "cpu" or steps.dtype != torch.float32:
            found: Tensor = self.gru(PackedSequence(steps, sizes))[0].data
            return found
        for number in range(self.gru.num_layers):
            into, own = (getattr(self.gru, f"weight_{kind}_l{number}") for kind in ("ih", "hh"))
            steps = layer(steps @ into.T, own, sizes.tolist())
        return steps


def _begins(offsets: Tensor, group: Tensor) -> Tensor:
    """bool[T]: the row is the first of its group."""
    begins = torch.ones(len(group), dtype=torch.bool)
    begins[1:] = group[1:] != group[:-1]
    begins[offsets[:-1][offsets.diff() > 0]] = True
    return begins
