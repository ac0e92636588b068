"""Which words exist: a tree of letters whose leaves hold things, as tables that a batch walks by indexing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Trie:
    """Nodes are numbered level by level, the root is 0.

    Attributes
    ----------
    child : int32[nodes, K], the node behind each letter, -1 where no word goes on so.
    path : int32[n, levels], the nodes of each thing's word; the last is its leaf.
    order : int64[n], things by leaf, the first choice of each leaf first. first : int64[nodes + 1], where each leaf's
        things begin in `order` (inner nodes have none).

    Examples
    --------
    >>> made = Trie.of(np.array([[0, 1], [0, 1], [1, 0]]), 2, np.array([1.0, 5.0, 1.0]))
    >>> made.child.tolist(), made.things(int(made.path[0, 1])).tolist()
    ([[1, 2], [-1, 3], [4, -1], [-1, -1], [-1, -1]], [1, 0])
    """

    child: np.ndarray
    path: np.ndarray
    order: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, k: int, weights: np.ndarray) -> Trie:
        """From words int[n, levels] of letters below `k`; in a leaf, things of larger weight come first."""
        n, levels = codes.shape
        at, nodes = np.zeros(n, np.int64), 1
        path, links = np.empty((n, levels), np.int32), []
        for level in range(levels):
            key = at * k + codes[:, level]
            found, place = np.unique(key, return_inverse=True)
            links.append((found // k, found % k, nodes + np.arange(len(found))))
            at = nodes + place
            nodes += len(found)
            path[:, level] = at
        child = np.full((nodes, k), -1, np.int32)
        for parent, letter, node in links:
            child[parent, letter] = node
        order = np.lexsort((np.arange(n), -np.asarray(weights, float), path[:, -1]))
        first = np.searchsorted(path[order, -1], np.arange(nodes + 1))
        return cls(child, path, order, first)

    def things(self, leaf: int) -> np.ndarray:
        """Things of a leaf, the first choice first."""
        return self.order[self.first[leaf] : self.first[leaf + 1]]

    def left(self, offered: np.ndarray) -> np.ndarray:
        """How many offered things lie under each node, int32[q, nodes], from bool[q, n]."""
        out = np.zeros((len(offered), len(self.child)), np.int32)
        question, thing = np.nonzero(offered)
        width = len(self.child)
        for nodes in self.path.T:
            out += np.bincount(question * width + nodes[thing], minlength=out.size).reshape(out.shape).astype(np.int32)
        out[:, 0] = offered.sum(1)
        return out
