"""Boosted regression trees as arrays: what scikit-learn fits, walked without it and saved without a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numba import njit

from ethogram.errors import StateError


@dataclass(frozen=True, eq=False)
class Trees:
    """A sum of trees: ``base + sum_t value of the leaf of tree t that x falls into``.

    Attributes
    ----------
    roots : int32[T], first node of each tree.
    feature, left, right : int32[nodes]; a node is a leaf where left is -1, else x goes left if
        ``x[feature] <= threshold``. Children are numbered over all trees.
    threshold, value : float64[nodes]. missing_left : bool[nodes], where NaN goes.
    base : float64[1].
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    base: np.ndarray

    def __len__(self) -> int:
        return len(self.roots)

    @classmethod
    def of(cls, model: Any) -> Trees:
        """The trees of a fitted HistGradientBoostingRegressor or binary Classifier, without categorical splits."""
        held = [stage[0].nodes for stage in model._predictors]
        sizes = np.array([len(h) for h in held])
        roots = np.concatenate([[0], np.cumsum(sizes)])[:-1]
        nodes = np.concatenate(held)
        if nodes["is_categorical"].any():
            raise StateError("a tree splits by sets of categories, which these arrays cannot hold.")
        shift = np.repeat(roots, sizes)
        leaf = nodes["is_leaf"].astype(bool)
        return cls(
            roots.astype(np.int32),
            nodes["feature_idx"].astype(np.int32),
            nodes["num_threshold"].astype(np.float64),
            nodes["missing_go_to_left"].astype(bool),
            np.where(leaf, -1, nodes["left"] + shift).astype(np.int32),
            np.where(leaf, -1, nodes["right"] + shift).astype(np.int32),
            nodes["value"].astype(np.float64),
            np.asarray(model._baseline_prediction, np.float64).reshape(-1),
        )

    def first(self, count: int) -> Trees:
        """The first `count` trees only."""
        end = self.roots[count] if count < len(self) else len(self.feature)
        kept = {f.name: getattr(self, f.name)[:end] for f in fields(self) if f.name not in ("roots", "base")}
        return Trees(roots=self.roots[:count], base=self.base, **kept)

    def raw(self, rows: np.ndarray) -> np.ndarray:
        """The sum for each row, float64[N].

        Parameters
        ----------
        rows : float32 or float64[N, F], NaN where a number is missing.
        """
        out = np.full(len(rows), self.base[0])
        _walk(rows, *self._arrays(), out)
        return out

    def stages(self, rows: np.ndarray, label: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Weighted mean log-loss of ``sigmoid(sum)`` with the first t trees, float64[T + 1]."""
        raw = np.full(len(rows), self.base[0])
        losses = np.empty(len(self) + 1)
        share = weight / weight.sum()
        for t in range(len(self) + 1):
            if t:
                _walk(rows, self.roots[t - 1 : t], *self._arrays()[1:], raw)
            losses[t] = (share * (np.logaddexp(0, raw) - label * raw)).sum()
        return losses

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self.roots, self.feature, self.threshold, self.missing_left, self.left, self.right, self.value

    def arrays(self) -> dict[str, np.ndarray]:
        """For a system's State."""
        return {f"trees.{f.name}": getattr(self, f.name) for f in fields(self)}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Trees:
        """The inverse of `arrays`; StateError where a node points outside."""
        made = cls(**{f.name: np.asarray(arrays[f"trees.{f.name}"]) for f in fields(cls)})
        nodes = len(made.feature)
        for name in ("left", "right", "roots"):
            at = getattr(made, name)
            if len(at) and (at.max() >= nodes or at.min() < -1):
                raise StateError(f"trees: '{name}' points outside the {nodes} nodes.")
        return made


@njit(cache=True, nogil=True)
def _walk(
    rows: np.ndarray,
    roots: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    missing_left: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    value: np.ndarray,
    out: np.ndarray,
) -> None:
    for i in range(len(rows)):
        for t in range(len(roots)):
            node = roots[t]
            while left[node] >= 0:
                x = rows[i, feature[node]]
                if np.isnan(x):
                    node = left[node] if missing_left[node] else right[node]
                else:
                    node = left[node] if x <= threshold[node] else right[node]
            out[i] += value[node]
