"""Columns of the users' side table as numbers beside their cases, with what training learned of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError, RolesError, nearest
from ethogram.log.cases import Cases
from ethogram.log.vocabulary import Vocabulary

BOUND = 8.0
"""Scaled numbers are kept within so many deviations."""


@dataclass(frozen=True)
class Profile:
    """Column -> ``{"mean", "deviation"}`` of numbers, ``{"values"}`` of names, as training had them."""

    columns: Mapping[str, Mapping[str, Any]]

    @classmethod
    def learn(cls, cases: Cases, names: Sequence[str], learned: np.ndarray) -> Profile:
        """From the cases where `learned` (bool[n]) holds.

        Raises
        ------
        RolesError
            There is no such column. OptionError: it holds neither numbers nor names.
        """
        made: dict[str, Mapping[str, Any]] = {}
        for name in names:
            column = _side(cases, name)
            mine = column.take(pa.array(np.maximum(cases.row, 0)[learned & (cases.row >= 0)]))
            if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
                told = mine.cast(pa.float64()).to_numpy(zero_copy_only=False)
                told = told[np.isfinite(told)]
                spread = float(told.std()) if len(told) else 1.0
                made[name] = {"mean": float(told.mean()) if len(told) else 0.0, "deviation": spread or 1.0}
            else:
                values = pc.unique(mine.cast(pa.string())).to_pylist()
                made[name] = {"values": sorted(v for v in values if v is not None)}
        return cls(made)

    @property
    def width(self) -> int:
        """Numbers of a case."""
        return sum(len(known["values"]) if "values" in known else 2 for known in self.columns.values())

    def rows(self, cases: Cases) -> np.ndarray:
        """float32[n, width]: numbers scaled, with a flag for missing; names one by one."""
        parts = [np.zeros((len(cases), 0), np.float32)]
        for name, known in self.columns.items():
            column = _side(cases, name).take(pa.array(np.maximum(cases.row, 0)))
            if "values" in known:
                code = Vocabulary(pa.array(known["values"], pa.string())).encode(column.cast(pa.string()))
                code = np.where(cases.row >= 0, code, -1)
                parts.append((code[:, None] == np.arange(len(known["values"]))).astype(np.float32))
            else:
                told = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
                there = (cases.row >= 0) & np.isfinite(told)
                told = np.where(there, (told - known["mean"]) / known["deviation"], 0.0)
                parts.append(np.stack([np.clip(told, -BOUND, BOUND), ~there], 1).astype(np.float32))
        return np.concatenate(parts, 1)

    def json(self) -> dict[str, Any]:
        return dict(self.columns)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Profile:
        return cls(dict(told))


def _side(cases: Cases, name: str) -> pa.Array:
    users = cases.log.users
    if users is None or name not in users.column_names:
        names = [] if users is None else users.column_names
        raise RolesError(
            f"profile: the users' side table has no column '{name}'.{nearest(name, names)} There: {names}."
        )
    column = users[name].combine_chunks()
    if pa.types.is_nested(column.type) or pa.types.is_temporal(column.type):
        raise OptionError(f"profile: column '{name}' is {column.type}; give numbers or names.")
    return pc.cast(column, pa.float64()) if pa.types.is_boolean(column.type) else column
