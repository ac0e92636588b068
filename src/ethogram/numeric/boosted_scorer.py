"""A scorer of rows of named numbers by boosted trees, whose every answer can be taken apart along the paths it took.

    z = base + sum_t value of the leaf of tree t                                    P = 1 / (1 + exp(-z))
    part of c = sum over trees and over the steps of x's path that split on c of  m(next node) - m(node)

with m the mean value of the training rows at a node. Parts and `constant` (base and the means at the roots) add up to
z exactly, whatever x. They follow the path that was taken, so of two columns that say the same the one that the trees
asked first gets the credit; they are no causes. Which way a NaN goes was learned, so it can have a part.

Friedman: Greedy function approximation (Annals of Statistics, 2001). Palczewska et al.: Interpreting random forest
classification models using a feature contribution method (2014) and A. Saabas (2014), for the parts.
"""

# mypy: allow-untyped-decorators

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import expit

from ethogram.errors import OptionError, StateError
from ethogram.numeric.trees import Trees

STEPS, RATE, LEAVES, LEAST, ROWS = 200, 0.06, 8, 40, 8
"""Trees, the share of each that is added, leaves of each, and rows of each leaf at least (a quarter of all rows where
they are few)."""


@dataclass(frozen=True, eq=False)
class BoostedScorer:
    """What was learned; `mean` float64[nodes] is m."""

    names: tuple[str, ...]
    trees: Trees
    mean: np.ndarray

    @classmethod
    def learn(
        cls, columns: np.ndarray, label: np.ndarray, names: Sequence[str], steps: int | None = None, seed: int = 0
    ) -> BoostedScorer:
        """From float[n, d] with bool[n] labels.

        Parameters
        ----------
        steps : trees; without it `STEPS`, or one for each `ROWS` rows where these are fewer.

        Raises
        ------
        OptionError
            Names do not fit, or only one kind of label is there.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        label = np.asarray(label, bool)
        steps = max(10, min(STEPS, len(label) // ROWS)) if steps is None else steps
        if columns.shape != (len(label), len(names)) or steps < 1:
            raise OptionError(
                f"scorer: columns {columns.shape}, {len(label)} labels, {len(names)} names, {steps} steps."
            )
        if label.all() or not label.any():
            raise OptionError(f"scorer: all {len(label)} labels are the same; it takes both kinds to learn.")
        model = HistGradientBoostingClassifier(
            max_iter=steps, learning_rate=RATE, max_leaf_nodes=LEAVES, early_stopping=False, random_state=seed,
            min_samples_leaf=max(1, min(LEAST, len(label) // 4)),
        ).fit(columns, label)  # fmt: skip
        trees = Trees.of(model)
        return cls(tuple(names), trees, _means(trees, np.asarray(columns, np.float64)))

    @property
    def constant(self) -> float:
        """What z is before any column is looked at."""
        return float(self.trees.base[0] + self.mean[self.trees.roots].sum())

    def logit(self, columns: np.ndarray) -> np.ndarray:
        """z of each row, float64[n]."""
        return self.trees.raw(np.ascontiguousarray(columns, np.float64))

    def probability(self, columns: np.ndarray) -> np.ndarray:
        """P of each row, float64[n]."""
        return np.asarray(expit(self.logit(columns)))

    def parts(self, columns: np.ndarray) -> np.ndarray:
        """Part of each column in each row's z, float64[n, d]."""
        t, rows = self.trees, np.ascontiguousarray(columns, np.float64)
        found = np.zeros(rows.shape)
        _parts(rows, t.roots, t.feature, t.threshold, t.missing_left, t.left, t.right, self.mean, found)
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """For a system's State; names are kept apart."""
        return {**self.trees.arrays(), "mean": self.mean}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> BoostedScorer:
        """The inverse of `arrays`; StateError where they do not fit together."""
        trees, mean = Trees.restored(arrays), np.asarray(arrays["mean"])
        if len(mean) != len(trees.feature) or (len(trees.feature) and trees.feature.max() >= len(names)):
            raise StateError(f"boosted scorer: {len(mean)} means, {len(trees.feature)} nodes, {len(names)} names.")
        return cls(tuple(names), trees, mean)


def _means(trees: Trees, rows: np.ndarray) -> np.ndarray:
    """Mean leaf value of the rows that pass each node; where none does, that of its leaf, or of its children."""
    count = np.zeros(len(trees.feature))
    _visits(
        np.ascontiguousarray(rows), trees.roots, trees.feature, trees.threshold, trees.missing_left, trees.left,
        trees.right, count,
    )  # fmt: skip
    mean = trees.value.copy()
    for node in np.flatnonzero(trees.left >= 0)[::-1].tolist():  # children stand behind their parents
        both = [trees.left[node], trees.right[node]]
        weight = count[both] if count[both].sum() else np.ones(2)
        mean[node] = (mean[both] * weight).sum() / weight.sum()
    return mean


@njit(cache=True, nogil=True)
def _next(
    x: float, node: int, threshold: np.ndarray, missing_left: np.ndarray, left: np.ndarray, right: np.ndarray
) -> int:
    go_left = missing_left[node] if np.isnan(x) else x <= threshold[node]
    return left[node] if go_left else right[node]


@njit(cache=True, nogil=True)
def _visits(
    rows: np.ndarray, roots: np.ndarray, feature: np.ndarray, threshold: np.ndarray, missing_left: np.ndarray,
    left: np.ndarray, right: np.ndarray, count: np.ndarray,
) -> None:  # fmt: skip
    for i in range(len(rows)):
        for root in roots:
            node = root
            count[node] += 1
            while left[node] >= 0:
                node = _next(rows[i, feature[node]], node, threshold, missing_left, left, right)
                count[node] += 1


@njit(cache=True, nogil=True)
def _parts(
    rows: np.ndarray, roots: np.ndarray, feature: np.ndarray, threshold: np.ndarray, missing_left: np.ndarray,
    left: np.ndarray, right: np.ndarray, mean: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    for i in range(len(rows)):
        for root in roots:
            node = root
            while left[node] >= 0:
                c = feature[node]
                after = _next(rows[i, c], node, threshold, missing_left, left, right)
                out[i, c] += mean[after] - mean[node]
                node = after
