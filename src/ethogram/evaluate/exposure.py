"""What a recommender shows: how much of the catalogue, how evenly, how far from what everybody knows.

Items level at the last place of a list share it: each is shown with the same probability. Coverage is then
the expected share of the catalogue that is shown to anybody, so that no order in memory decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ethogram.evaluate import kernels

if TYPE_CHECKING:
    from ethogram.evaluate.ranking import Past


def information(counts: np.ndarray) -> np.ndarray:
    """``-log2(share of the training events)`` of each item, in bits; an item without events counts as one."""
    counts = np.maximum(np.asarray(counts, np.float64), 1)
    return np.asarray(-np.log2(counts / counts.sum()))


def coverage(exposure: np.ndarray) -> float:
    """Share of the items that are shown at all."""
    return float(np.mean(np.asarray(exposure) > 0)) if len(exposure) else float("nan")


def gini(exposure: np.ndarray) -> float:
    """Gini index of how often each item of the catalogue is shown: 0 all alike, towards 1 always the same.

    ``sum_i (2 i - n - 1) x_i / (n sum_i x_i)`` over x ascending. NaN when nothing is shown.

    >>> gini([1, 1, 1, 1]), gini([0, 0, 0, 4])
    (0.0, 0.75)
    """
    x = np.sort(np.asarray(exposure, np.float64))
    n, total = len(x), x.sum()
    return float(((2 * np.arange(1, n + 1) - n - 1) * x).sum() / (n * total)) if total > 0 else float("nan")


class Exposure:
    """Gathers, block by block, what is shown in the first k places.

    Parameters
    ----------
    ks : lengths of the lists, ascending.
    counts : training events of each item, [V]; their information is the novelty.
    """

    def __init__(self, ks: Sequence[int], counts: np.ndarray):
        self.ks = np.asarray(sorted(ks), np.int64)
        self.information = information(counts)
        self.shown = np.zeros((len(ks), len(counts)))
        "Expected number of lists that show the item, [k, V]."
        self.missed = np.ones((len(ks), len(counts)))
        "Probability that no list shows it, [k, V]."

    def add(self, scores: np.ndarray, targets: np.ndarray, offsets: np.ndarray, past: Past) -> np.ndarray:
        """Add a block of questions; returns the mean information of each list, [n, k] (NaN: nothing to show)."""
        novelty = np.empty((len(scores), len(self.ks)))
        kernels.expose(
            np.ascontiguousarray(scores), self.ks, np.asarray(targets, np.int64), offsets, *past,
            self.information, self.shown, self.missed, novelty,
        )  # fmt: skip
        return novelty

    def metrics(self) -> dict[str, float]:
        """``coverage@k`` and ``gini@k``."""
        out: dict[str, float] = {}
        for j, k in enumerate(self.ks):
            out[f"coverage@{k}"] = float(np.mean(1 - self.missed[j]))
            out[f"gini@{k}"] = gini(self.shown[j])
        return out
