"""Sessions as vectors by what memory holds of their items, and what is read from a course of such vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.nn.embedding import Table as Embeddings
from ethogram.nn.optimise import RowAdam
from ethogram.nn.ragged import each, segment_sum
from ethogram.nn.rows import gather_rows
from ethogram.nn.transformer import CausalTransformer

FAINT = 1e-8
"""Activation of what no component speaks for."""
FLAT = 0.5
"""Exponent of activations on their way to shares."""


@dataclass(frozen=True, eq=False)
class Remembered:
    """s sessions, and what memory held when each ended.

    Attributes
    ----------
    items : int64[e], rows of vectors. offsets : int64[s + 1]. base, spread : float32[e], the fixed components.
    favourites : int64[s, k], -1 for none. weights : float32[s, k].
    """

    items: Tensor
    offsets: Tensor
    base: Tensor
    spread: Tensor
    favourites: Tensor
    weights: Tensor

    @classmethod
    def of(cls, *columns: np.ndarray) -> Remembered:
        return cls(*(torch.from_numpy(np.ascontiguousarray(c)) for c in columns))


class PisaNetwork(nn.Module):
    """Item vectors, the strength of each component of activation, the transformer and the fusion.

    Parameters
    ----------
    components : of activation, among base, spread, match; with none a session is the mean of its items.
    long, skip : whether the favourites, and the last session's own vector, have a part in the state.
    """

    def __init__(
        self, items: int, dim: int, *, layers: int, heads: int, length: int, dropout: float,
        components: tuple[str, ...], long: bool, skip: bool, sparse: bool, seed: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.items = Embeddings(items + 1, dim, seed=seed, deviation=dim**-0.5)
        self.encoder = CausalTransformer(
            dim, layers=layers, heads=heads, hidden=dim, positions=length, dropout=dropout, seed=seed
        )
        self.beta = nn.Parameter(torch.full((3,), 0.1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.fusion = nn.Linear(2 * dim, 2)
        self.components, self.long, self.skip, self.sparse = components, long, skip, sparse

    @property
    def vectors(self) -> Tensor:
        """[M, dim]; row 0 of the table stands for nothing."""
        return self.items.weight[1:]

    def embed(self, rows: Tensor) -> Tensor:
        """[..., dim] of rows; zero for -1."""
        if self.sparse:
            return self.items(rows + 1)
        return gather_rows(self.items.weight, rows.reshape(-1) + 1).view(*rows.shape, self.items.weight.shape[1])

    def shares(self, v: Tensor, given: Remembered) -> Tensor:
        """w [e]: the part of each item in its session's vector; they add up to 1."""
        if not self.components:
            return 1 / each(given.offsets.diff().to(v.dtype)[:, None], given.offsets)[:, 0]
        total = each(segment_sum(v, given.offsets), given.offsets)
        match = (v * total).sum(1) - v.square().sum(1)
        parts = {"base": given.base, "spread": given.spread, "match": match}
        strength = F.relu(self.beta)
        activation = FAINT + sum(
            strength[i] * F.relu(parts[name]) for i, name in enumerate(parts) if name in self.components
        )
        flat = activation**FLAT
        return flat / each(segment_sum(flat[:, None], given.offsets), given.offsets)[:, 0]

    def session(self, v: Tensor, given: Remembered) -> Tensor:
        """m [s, dim]."""
        return segment_sum(v * self.shares(v, given)[:, None], given.offsets)

    def lasting(self, v: Tensor, weights: Tensor) -> Tensor:
        """u_lt [s, dim] from the favourites' vectors [s, k, dim]."""
        return F.normalize((v * weights[..., None]).sum(1), dim=1)

    def short(self, m: Tensor, offsets: Tensor, group: Tensor) -> Tensor:
        """u_st [s, dim] of a course of sessions."""
        return F.normalize(self.encoder(m * m.shape[1] ** 0.5, offsets, group), dim=1)

    def fused(self, m: Tensor, lasting: Tensor, short: Tensor) -> tuple[Tensor, Tensor]:
        """(z [s, dim] before its norm, (g_l, g_s) [s, 2])."""
        gates = torch.softmax(self.fusion(torch.cat([lasting, short], 1)), 1)
        if not self.long:
            gates = torch.zeros_like(gates)
            gates[:, 1] = 1
        z = gates[:, :1] * lasting + gates[:, 1:] * short
        return (z + m if self.skip else z), gates

    def optimisers(self, lr: float, decay: float) -> list[RowAdam | torch.optim.Optimizer]:
        """Adam with second moments of .98; where gradients are sparse, its row-wise form for the table."""
        inner = [p for n, p in self.named_parameters() if n != "items.weight"]
        how = {"lr": lr, "betas": (0.9, 0.98), "weight_decay": decay, "fused": True}
        if self.sparse:
            return [RowAdam([self.items.weight], lr), torch.optim.Adam(inner, **how)]
        return [torch.optim.Adam(self.parameters(), **how)]
