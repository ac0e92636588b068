"""Embedding tables with row-sparse gradients, and the vector of an item made of all that is known about it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.log import Features, ItemColumn
from ethogram.log.batch import UNSEEN
from ethogram.log.kernels import ragged_rows
from ethogram.nn.rows import Picked, distinct, fresh_rows

WIDE = 2**22
"""Codes up to which those that differ are found by an array with a place for each, and not by sorting."""


class Table(nn.Module):
    """Rows of floats looked up by number; row 0 (missing, padding) is zero and never learns.

    Parameters
    ----------
    rows, dim : size. seed, deviation : of the normal initial values.
    """

    def __init__(self, rows: int, dim: int, *, seed: int = 0, deviation: float = 0.05) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        weight = fresh_rows(rows, dim).normal_(0.0, deviation, generator=generator)
        weight[0] = 0.0
        self.weight = nn.Parameter(weight)

    def forward(self, ids: Tensor) -> Tensor:
        """[N, dim] for int64[N]; the gradient is sparse by rows."""
        return F.embedding(ids, self.weight, sparse=True)

    def pooled(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Mean of each bag's rows, [n, dim]; ``ids[offsets[i]:offsets[i + 1]]`` is bag i, an empty one is zero."""
        return F.embedding_bag(ids, self.weight, offsets[:-1], mode="mean", sparse=True)


class Tables(nn.Module):
    """The embedding tables that features declare, by name; columns that share a table share its rows.

    Parameters
    ----------
    features : the declaration. dim : width of the items' identity. side : width of every other table.
    seed, deviation : of the initial values.
    """

    def __init__(self, features: Features, dim: int, side: int, *, seed: int = 0, deviation: float = 0.05) -> None:
        super().__init__()
        self.names = list(features.tables)
        self.widths = {n: dim if n == "item" else side for n in self.names}
        sizes = features.tables
        self.held = nn.ModuleList(
            Table(sizes[n], self.widths[n], seed=seed + i, deviation=deviation) for i, n in enumerate(self.names)
        )
        self.counts = [
            torch.from_numpy(np.asarray(features.counts[n], np.float32)) if n in features.counts else None
            for n in self.names
        ]

    def __getitem__(self, name: str) -> Table:
        found = self.held[self.names.index(name)]
        assert isinstance(found, Table)
        return found

    @property
    def matrices(self) -> list[nn.Parameter]:
        """The weights of all tables, for `RowAdam`."""
        return [t.weight for t in self.held]  # type: ignore[union-attr, misc]

    @property
    def counted(self) -> list[tuple[nn.Parameter, Tensor | None]]:
        """Each table's weights with how often training holds each row, None where nobody counted."""
        return list(zip(self.matrices, self.counts, strict=True))


class ItemEncoder(nn.Module):
    """Item codes of a batch -> vectors: identity, categories, numbers and several-valued columns side by side.

    Parameters
    ----------
    features : declares the item columns. tables : where their rows lie.
    drop : share of the identities of a training batch whose vector is left out of it.
    frequent : identities with a vector of their own, the most frequent; the others share that of an unseen item.

    Attributes
    ----------
    parts : width of each column. width : length of an item's vector, their sum.
    own : with `frequent`, bool[rows], whether an identity has a vector of its own.
    """

    own: Tensor

    def __init__(self, features: Features, tables: Tables, *, drop: float = 0.0, frequent: int | None = None) -> None:
        super().__init__()
        self.columns = features.of("item")
        self.tables, self.drop, self.frequent = tables, drop, frequent
        if frequent is not None:
            self.register_buffer("own", torch.ones(features.tables["item"], dtype=torch.bool))
        self.parts = [1 if c.type == "numeric" else tables.widths[c.table] for c in self.columns]
        self.width = sum(self.parts)
        self._place = np.zeros(0, np.int32)

    def forward(self, items: Mapping[str, ItemColumn], codes: Tensor) -> Tensor:
        """[N, width] of codes int64[N] (0 is no item)."""
        return self.picked(items, codes).dense()

    def picked(self, items: Mapping[str, ItemColumn], codes: Tensor) -> Picked:
        """The same; every different item is put together once, and nothing is written out twice."""
        if not len(codes):
            return Picked.of(self.tables["item"].weight.new_zeros(0, self.width))
        size = len(items["item"].values)
        if len(self._place) < size:
            self._place = np.zeros(size, np.int32)
        device = self.tables["item"].weight.device
        wanted, inverse = distinct(codes.cpu(), self._place)
        return Picked(self.vectors(items, wanted.numpy()), inverse.to(device))

    def vectors(self, items: Mapping[str, ItemColumn], codes: np.ndarray) -> Tensor:
        """[n, width] of different codes."""
        device = self.tables["item"].weight.device
        parts = [self._part(c.table, items[c.name], codes, device, c.name == "item") for c in self.columns]
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def _part(
        self, table: str, column: ItemColumn, codes: np.ndarray, device: torch.device, identity: bool
    ) -> Tensor:  # fmt: skip
        if column.kind == "numeric":
            return torch.from_numpy(column.values[codes]).to(device).unsqueeze(1)
        if column.kind == "multi":
            assert column.offsets is not None
            rows, spans = ragged_rows(column.offsets[codes], column.offsets[codes + 1])
            picked = torch.from_numpy(column.values[rows].astype(np.int64)).to(device)
            return self.tables[table].pooled(picked, torch.from_numpy(spans).to(device))
        rows = torch.from_numpy(column.values[codes].astype(np.int64)).to(device)
        return self._identity(rows) if identity else self.tables[table](rows)

    def _identity(self, rows: Tensor) -> Tensor:
        if self.frequent is not None:
            rows = torch.where(self.own[rows], rows, UNSEEN)
        found: Tensor = self.tables["item"](rows)
        if self.drop and self.training:
            kept = torch.rand(len(rows), 1, device=rows.device) >= self.drop
            found = found * kept / (1 - self.drop)
        return found

    def count(self, times: np.ndarray) -> np.ndarray:
        """Choose the identities that keep a vector of their own; float[rows] as often as each row is then looked up."""
        if self.frequent is None or self.frequent >= len(times) - 2:
            return times
        rare = 2 + np.argsort(-times[2:], kind="stable")[self.frequent :]
        self.own[torch.from_numpy(rare)] = False
        left = times.copy()
        left[rare] = 0
        left[UNSEEN] += times[rare].sum()
        return left


class ColumnEncoder(nn.Module):
    """Columns that are not items' (of users, of contexts, of past events) -> vectors side by side.

    Parameters
    ----------
    columns : name -> embedding table, None for a number.

    Attributes
    ----------
    parts : width of each column. width : their sum.
    """

    def __init__(self, columns: Mapping[str, str | None], tables: Tables) -> None:
        super().__init__()
        self.columns, self.tables = dict(columns), tables
        self.parts = [1 if t is None else tables.widths[t] for t in self.columns.values()]
        self.width = sum(self.parts)

    @classmethod
    def of(cls, features: Features, whose: str, tables: Tables) -> ColumnEncoder:
        """All columns that features declare of users, contexts or events."""
        return cls({c.name: None if c.type == "numeric" else c.table for c in features.of(whose)}, tables)

    def forward(self, values: Mapping[str, np.ndarray], rows: np.ndarray | slice = slice(None)) -> Tensor | None:
        """[n, width] of the chosen rows of each column; None where nothing is declared."""
        if not self.columns:
            return None
        device = self.tables.matrices[0].device
        parts = []
        for name, table in self.columns.items():
            raw = np.ascontiguousarray(values[name][rows])
            if table is None:
                parts.append(torch.from_numpy(raw.astype(np.float32)).to(device).unsqueeze(1))
            else:
                parts.append(self.tables[table](torch.from_numpy(raw.astype(np.int64)).to(device)))
        return torch.cat(parts, 1)

    def alike(self, values: Mapping[str, np.ndarray], rows: np.ndarray, place: Tensor) -> tuple[Tensor, Tensor]:
        """(numbers of rows of which no two agree in `place` and all columns, for each row which of those it is like).

        Rows with a number among their columns are all taken to differ.
        """
        if None in self.columns.values():
            every = torch.arange(len(rows))
            return every, every
        code = place.cpu().numpy()
        for name, table in self.columns.items():
            code = code * len(self.tables[table].weight) + values[name][rows]  # type: ignore[index]
        largest = int(code.max(initial=0))
        found, inverse = distinct(torch.from_numpy(code), np.zeros(largest + 1, np.int32) if largest < WIDE else None)
        first = np.empty(len(found), np.int64)
        first[inverse.numpy()[::-1]] = np.arange(len(code))[::-1]
        return torch.from_numpy(first), inverse.to(place.device)
