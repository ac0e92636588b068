"""Averages over neighbours in the graph of users and items: the light graph convolution.

    x_u^(k+1) = sum over items i of u of x_i^(k) / sqrt(|N_u| |N_i|),   and the same for items over their users
    x = 1 / (K + 1)  sum of x^(k), k = 0 ... K

The map from x^(0) to x is linear and symmetric, so the gradient by x^(0) is the same map of the gradient by x.

Reference: X. He et al.: LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation. SIGIR 2020.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit

from ethogram.numeric.interactions import Interactions
from ethogram.numeric.pairwise import Pair


class Graph:
    """Users and items, an edge for each pair that occurred, however often."""

    def __init__(self, pairs: Interactions):
        self.users, self.items = pairs, pairs.transposed()
        self.scales = tuple((1 / np.sqrt(np.maximum(p.lengths, 1))).astype(np.float32) for p in (pairs, self.items))

    def convolve(self, users: np.ndarray, items: np.ndarray, layers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(users float32[U, d], items [M, d]) averaged over all layers, and the items' sum over all but the last.

        The latter, scaled by 1 / sqrt(|N_i|), is all that a user's vector takes from the items.
        """
        total_users, total_items = users.copy(), items.copy()
        before = np.zeros_like(items)
        for _ in range(layers):
            before[:] = total_items
            users, items = self._step(items, 0), self._step(users, 1)
            total_users += users
            total_items += items
        share = np.float32(1 / (layers + 1))
        return total_users * share, total_items * share, before

    def _step(self, other: np.ndarray, side: int) -> np.ndarray:
        rows, own, theirs = (self.users, self.items)[side], self.scales[side], self.scales[1 - side]
        return own[:, None] * sums(rows, other * theirs[:, None])


class Convolved:
    """Learned tables behind a light graph convolution: a `PairNetwork` (see `ethogram.numeric.pairnet`)."""

    def __init__(self, graph: Graph, tables: Pair, layers: int):
        self.graph, self.tables, self.layers = graph, tables, layers

    def vectors(self) -> Pair:
        return self.graph.convolve(*self.tables, self.layers)[:2]

    def back(self, slopes: Pair) -> Pair:
        return self.graph.convolve(*slopes, self.layers)[:2]  # the map is its own transpose

    def arrays(self) -> Mapping[str, np.ndarray]:
        """`carried` is what an item adds to the vector of a stranger whose only item it is."""
        users, items, before = self.graph.convolve(*self.tables, self.layers)
        carried = before * self.graph.scales[1][:, None] / np.float32(self.layers + 1)
        return {"users": users, "items": items, "carried": carried}


def sums(rows: Interactions, vectors: np.ndarray) -> np.ndarray:
    """float32[n, d]: the sum of the vectors (float32[width, d]) of each row's columns, each once."""
    out = np.zeros((len(rows), vectors.shape[1]), np.float32)
    _sums(rows.offsets, rows.items, np.ascontiguousarray(vectors, np.float32), out)
    return out


@njit(cache=True, nogil=True, fastmath=True)
def _sums(offsets, items, vectors, out):  # type: ignore[no-untyped-def]
    d = vectors.shape[1]
    for r in range(len(offsets) - 1):
        e, end, x = offsets[r], offsets[r + 1], out[r]
        while e + 4 <= end:  # four at once: the sum is loaded and stored once for them
            a, b, c, f = vectors[items[e]], vectors[items[e + 1]], vectors[items[e + 2]], vectors[items[e + 3]]
            for k in range(d):
                x[k] += (a[k] + b[k]) + (c[k] + f[k])
            e += 4
        while e < end:
            a = vectors[items[e]]
            for k in range(d):
                x[k] += a[k]
            e += 1
