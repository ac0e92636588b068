"""A scorer of rows of named numbers whose every answer can be taken apart: L2-penalised logistic regression.

    z = b + sum_c w_c (x_c - mean_c) / sd_c        P = 1 / (1 + exp(-z))        part of c: its term of the sum

fitted by Newton's method (`numeric.logistic`). A NaN counts as the mean: it says nothing and has no part. A column that
does not vary has weight 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from ethogram.errors import OptionError
from ethogram.numeric.logistic import newton


@dataclass(frozen=True, eq=False)
class Scorer:
    """What was learned; `weights[0]` is b."""

    names: tuple[str, ...]
    mean: np.ndarray
    sd: np.ndarray
    weights: np.ndarray

    @classmethod
    def learn(cls, columns: np.ndarray, label: np.ndarray, names: Sequence[str], l2: float = 1.0) -> Scorer:
        """From float[n, d] with bool[n] labels.

        Raises
        ------
        OptionError
            Names do not fit, l2 is not above 0, or only one kind of label is there.
        """
        label = np.asarray(label, bool)
        if columns.shape != (len(label), len(names)) or not l2 > 0:
            raise OptionError(f"scorer: columns {columns.shape}, {len(label)} labels, {len(names)} names, l2 = {l2}.")
        if label.all() or not label.any():
            raise OptionError(f"scorer: all {len(label)} labels are the same; it takes both kinds to learn.")
        there = np.isfinite(columns)
        count = np.maximum(there.sum(0), 1)
        filled = np.where(there, columns, 0.0)
        mean = filled.sum(0) / count
        sd = np.sqrt((np.where(there, columns - mean, 0.0) ** 2).sum(0) / count)
        made = cls(tuple(names), mean, np.where(sd > 1e-9 * (1 + np.abs(mean)), sd, np.inf), np.zeros(len(names) + 1))
        seen = np.column_stack([np.ones(len(label)), made.standard(columns)])
        weights = newton(seen, label, np.ones(len(label)), l2)
        return cls(made.names, made.mean, made.sd, weights)

    def standard(self, columns: np.ndarray) -> np.ndarray:
        """(x - mean) / sd, 0 for NaN."""
        return np.nan_to_num((columns - self.mean) / self.sd, nan=0.0)

    def logit(self, columns: np.ndarray) -> np.ndarray:
        """z of each row, float64[n]."""
        return self.weights[0] + self.standard(columns) @ self.weights[1:]

    def probability(self, columns: np.ndarray) -> np.ndarray:
        """P of each row, float64[n]."""
        return expit(self.logit(columns))

    def parts(self, columns: np.ndarray) -> np.ndarray:
        """Term of each column in each row's z, float64[n, d]."""
        return self.standard(columns) * self.weights[1:]

    def table(self) -> pa.Table:
        """For a system's State, and to look at: `name`, `weight`, `mean`, `sd`; the first row is the constant."""
        made: dict[str, Any] = {
            "name": ["", *self.names], "weight": self.weights, "mean": np.r_[0.0, self.mean],
            "sd": np.r_[1.0, self.sd],
        }  # fmt: skip
        return pa.table(made)

    @classmethod
    def restored(cls, table: pa.Table | Mapping[str, Any]) -> Scorer:
        """The inverse of `table`."""
        mean, sd, weights = (table[c].to_numpy() for c in ("mean", "sd", "weight"))
        return cls(tuple(table["name"].to_pylist()[1:]), mean[1:], sd[1:], weights)
