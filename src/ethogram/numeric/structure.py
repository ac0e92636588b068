"""How a graph is knit: density, reciprocity, clustering; and how far what is passed on travels: cascades.

density     = m / (n (n - 1))
reciprocity = share of ties i -> j with a tie j -> i
clustering  = 3 triangles / connected triples, directions forgotten (transitivity)
local       = mean over agents with two neighbours or more of their neighbours' ties over the possible ones
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ethogram.errors import OptionError
from ethogram.numeric.graphs import Graph


@dataclass(frozen=True)
class Structure:
    """See the module; NaN where nothing is there to divide by."""

    agents: int
    ties: int
    density: float
    reciprocity: float
    clustering: float
    local: float


@njit(cache=True, nogil=True)
def _both_ways(offsets, targets):  # type: ignore[no-untyped-def]
    found = 0
    for i in range(len(offsets) - 1):
        for e in range(offsets[i], offsets[i + 1]):
            j = targets[e]
            low, high = offsets[j], offsets[j + 1]
            at = low + np.searchsorted(targets[low:high], i)
            found += at < high and targets[at] == i
    return found


@njit(cache=True, nogil=True)
def _triangles(offsets, targets, counts):  # type: ignore[no-untyped-def]
    """Triangles through each agent of an undirected graph whose ties lead from the lower to the higher rank."""
    mark = np.full(len(offsets) - 1, -1, np.int32)
    for i in range(len(offsets) - 1):
        for e in range(offsets[i], offsets[i + 1]):
            mark[targets[e]] = i
        for e in range(offsets[i], offsets[i + 1]):
            j = targets[e]
            for f in range(offsets[j], offsets[j + 1]):
                if mark[targets[f]] == i:
                    counts[i] += 1
                    counts[j] += 1
                    counts[targets[f]] += 1


def structure(graph: Graph) -> Structure:
    """Facts of a graph as a whole.

    >>> structure(Graph.of([0, 1, 2, 0], [1, 2, 0, 3], 4)).clustering
    0.6
    """
    n, m = len(graph), graph.ties
    reciprocity = _both_ways(graph.offsets, graph.targets) / m if m else np.nan
    plain = graph.symmetric()
    degree = plain.out_degree
    # from low degree to high: an agent's row is then at most sqrt(2 m) long, however many ties a hub has
    rank = np.empty(n, np.int64)
    rank[np.argsort(degree, kind="stable")] = np.arange(n)
    a, b = rank[plain.sources], rank[plain.targets]
    up = Graph.of(a[a < b], b[a < b], n)
    counts = np.zeros(n, np.int64)
    _triangles(up.offsets, up.targets, counts)
    pairs = degree * (degree - 1) / 2
    able = pairs > 0
    return Structure(
        n, m, m / (n * (n - 1)) if n > 1 else np.nan, float(reciprocity),
        float(counts.sum() / pairs.sum()) if able.any() else np.nan,
        float(np.mean(counts[rank][able] / pairs[able])) if able.any() else np.nan,
    )  # fmt: skip


@dataclass(frozen=True)
class Cascades:
    """What became of each beginning, one row per root in order of the roots.

    Attributes
    ----------
    root : int64[c], the posts that answer nothing. size : posts in the whole tree, the root counted. depth : steps to
    the farthest (0: nobody passed it on). breadth : most posts at one depth.
    """

    root: np.ndarray
    size: np.ndarray
    depth: np.ndarray
    breadth: np.ndarray


@njit(cache=True, nogil=True)
def _levels(parent, root, level):  # type: ignore[no-untyped-def]
    for i in range(len(parent)):
        p = parent[i]
        root[i] = i if p < 0 else root[p]
        level[i] = 0 if p < 0 else level[p] + 1


def cascades(parent: np.ndarray) -> Cascades:
    """Trees of posts that pass on or answer others.

    Parameters
    ----------
    parent : int[posts], the earlier post that each one passes on or answers, -1 for none. A parent stands before its
        children (posts are numbered as they appear), so that there are no circles.

    Raises
    ------
    OptionError
        A parent does not come before its child; the place is told.

    Examples
    --------
    >>> found = cascades(np.array([-1, 0, 0, 1, -1]))
    >>> found.root.tolist(), found.size.tolist(), found.depth.tolist(), found.breadth.tolist()
    ([0, 4], [4, 1], [2, 0], [2, 1])
    """
    above = np.asarray(parent, np.int64)
    wrong = (above >= np.arange(len(above))) | (above < -1)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise OptionError(f"cascades: the parent of post {at} is {above[at]}; it must be an earlier post, or -1.")
    root, level = np.empty(len(above), np.int64), np.empty(len(above), np.int64)
    _levels(above, root, level)
    roots, tree = np.unique(root, return_inverse=True)
    size = np.bincount(tree, minlength=len(roots))
    depth = np.zeros(len(roots), np.int64)
    np.maximum.at(depth, tree, level)
    layer, count = np.unique(tree * (int(level.max(initial=0)) + 1) + level, return_counts=True)
    breadth = np.zeros(len(roots), np.int64)
    np.maximum.at(breadth, layer // (int(level.max(initial=0)) + 1), count)
    return Cascades(roots, size, depth, breadth)
