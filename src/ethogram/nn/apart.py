"""Vectors of items and events from tables that nothing else reads, and tables that are kept alike on purpose.

What a vector is compared by and what it stands for can be different things. `Apart` is a second set of embedding
tables for the same columns. `Mirror` is its opposite, for looking inside: two sets that begin alike and take the sum of
both gradients stay alike, so the model is that of one shared set, and the two gradients can still be told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.log import Batch, Features
from ethogram.nn.embedding import ColumnEncoder, ItemEncoder, Tables


class Apart(nn.Module):
    """Item columns and, moved by what is known of it, a past event; tables of its own.

    Parameters
    ----------
    features : the declaration. dim, side : widths of the identity's and of other tables.
    events : also read the columns of past events. seed : of the tables.

    Attributes
    ----------
    width : length of a vector.
    """

    def __init__(self, features: Features, dim: int, side: int, *, events: bool = True, seed: int = 0) -> None:
        super().__init__()
        whose = ("item", "event") if events else ("item",)
        own = replace(features, columns=tuple(c for c in features.columns if c.of in whose), _kept={})
        self.tables = Tables(own, dim, side, seed=seed)
        self.items = ItemEncoder(own, self.tables)
        self.events = ColumnEncoder.of(own, "event", self.tables)
        self.width = self.items.width
        self.event = (
            nn.utils.skip_init(nn.Linear, self.events.width, self.width, bias=False) if self.events.width else None
        )
        if self.event is not None:
            nn.init.normal_(self.event.weight, 0.0, 0.02, torch.Generator().manual_seed(seed))

    def forward(self, batch: Batch, codes: np.ndarray, past: np.ndarray | None = None) -> Tensor:
        """[N, width] of item codes int64[N]; `past` are the history's shared rows where they are events."""
        found = self.items(batch.items, torch.from_numpy(codes))
        if self.event is None or past is None or not len(past):
            return found
        return found + self.event(self.events(batch.sequences["history"].columns, past))


class Mirror:
    """Keeps pairs of parameters alike, and keeps count of what each side of a pair is pulled by.

    Stands before the optimisers: `step` puts the sum of both gradients in the place of each. Counted are the rows of
    embedding tables that both sides touch in a step; of other parameters only the sum is made.

    Parameters
    ----------
    pairs : name -> (one parameter, the other), equal at the start.

    Attributes
    ----------
    rows : name -> float64[rows, 4], summed over steps: times both touched the row, norm of the first's gradient, of the
        second's, and how often the two pulled apart (negative cosine).
    """

    def __init__(self, pairs: Mapping[str, tuple[nn.Parameter, nn.Parameter]]) -> None:
        self.pairs = dict(pairs)
        self.rows = {name: np.zeros((len(one), 4)) for name, (one, _) in self.pairs.items()}

    def zero_grad(self) -> None:
        """The optimisers do it."""

    @torch.no_grad()
    def step(self) -> None:
        for name, (one, other) in self.pairs.items():
            grads = [
                None if p.grad is None else p.grad.coalesce() if p.grad.is_sparse else p.grad for p in (one, other)
            ]
            there = [g for g in grads if g is not None]
            if not there:
                continue
            if len(there) == 2 and there[0].is_sparse:
                self._count(name, *there)
            total = there[0] if len(there) == 1 else there[0] + there[1]
            one.grad, other.grad = total, total.clone()

    def _count(self, name: str, one: Tensor, other: Tensor) -> None:
        left, right = one.indices()[0], other.indices()[0]
        both = left[torch.isin(left, right)]
        a = one.values()[torch.searchsorted(left, both)].double()
        b = other.values()[torch.searchsorted(right, both)].double()
        sizes = a.norm(dim=1), b.norm(dim=1)
        there = (sizes[0] > 0) & (sizes[1] > 0)
        found = torch.stack([torch.ones_like(sizes[0]), *sizes, ((a * b).sum(1) < 0).double()], 1)[there]
        self.rows[name][both[there].numpy()] += found.numpy()

    def state_dict(self) -> dict[str, Any]:
        return {"rows": {name: torch.from_numpy(rows) for name, rows in self.rows.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.rows = {name: rows.numpy().copy() for name, rows in state["rows"].items()}


def alike(ones: Sequence[nn.Parameter], others: Sequence[nn.Parameter]) -> None:
    """Give the others the values of the ones."""
    with torch.no_grad():
        for one, other in zip(ones, others, strict=True):
            other.copy_(one)
