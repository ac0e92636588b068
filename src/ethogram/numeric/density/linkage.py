"""Single linkage from a spanning tree, and what stays of it when small groups are pruned: the condensed tree.

Merges are ordered by (mutual reachability, distance). Those equal in both are one merge of many parts, since nothing in
the data says which came first: a small part that is tied so to several clusters leaves their parent.

References: R. Campello, D. Moulavi, A. Zimek, J. Sander: Hierarchical Density Estimates for Data Clustering,
Visualization, and Outlier Detection. TKDD 2015. L. McInnes, J. Healy: Accelerated Hierarchical Density Based
Clustering. ICDMW 2017.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ethogram.numeric.density.order import find

TREE = np.dtype([("parent", np.int32), ("child", np.int32), ("lambda", np.float64), ("size", np.int32)])
"""A row: `child` (a point below n, a cluster from n on; n is the root) leaves `parent` at 1 / distance = `lambda`."""


def single_linkage(ends: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(single linkage float64[n - 1, 4] in SciPy's form, number of the merge of each row int64[n - 1]).

    Rows are two nodes, their distance, the size of what they become; those of equal weight are one merge.

    Parameters
    ----------
    ends : int32[n - 1, 2], of the edges of a spanning tree. weight : float64[n - 1, 2], compared in that order.
    """
    low, high = ends.min(1), ends.max(1)
    order = np.lexsort((high, low, weight[:, 1], weight[:, 0]))
    weight = weight[order]
    merge = np.cumsum((weight[1:] != weight[:-1]).any(1))
    return _merged(low[order].astype(np.int64), high[order].astype(np.int64), weight[:, 0]), np.append(0, merge)


def condensed(linkage: np.ndarray, merge: np.ndarray, least: int) -> np.ndarray:
    """The condensed tree, a table of `TREE`, parents before their children.

    Parameters
    ----------
    linkage, merge : as from `single_linkage`.
    least : a group of fewer points is no cluster, they leave one by one; at least 2.
    """
    n = len(linkage) + 1
    left, right = linkage[:, 0].astype(np.int64), linkage[:, 1].astype(np.int64)
    size = np.concatenate([np.ones(n, np.int64), linkage[:, 3].astype(np.int64)])
    columns = _condensed(left, right, linkage[:, 2].copy(), merge, size, least)
    tree = np.empty(len(columns[0]), TREE)
    for name, column in zip(TREE.names or (), columns, strict=True):
        tree[name] = column
    return tree


@njit(cache=True, nogil=True)
def _merged(a, b, weight):  # type: ignore[no-untyped-def]
    n = len(a) + 1
    above, node, size = np.arange(n), np.arange(n), np.ones(n, np.int64)
    out = np.empty((n - 1, 4))
    for e in range(n - 1):
        i, j = find(above, a[e]), find(above, b[e])
        if size[i] < size[j]:
            i, j = j, i
        out[e, 0], out[e, 1] = min(node[i], node[j]), max(node[i], node[j])
        above[j] = i
        size[i] += size[j]
        node[i] = n + e
        out[e, 2], out[e, 3] = weight[e], size[i]
    return out


@njit(cache=True, nogil=True)
def _condensed(left, right, distance, merge, size, least):  # type: ignore[no-untyped-def]
    n = len(distance) + 1
    most = n + n // max(least, 1) * 2 + 2
    parent, child = np.empty(most, np.int32), np.empty(most, np.int32)
    lam, count = np.empty(most, np.float64), np.empty(most, np.int32)
    # clusters in order of their number, the node at which each begins
    begins = np.empty(most, np.int64)
    begins[0], clusters, rows, at = 2 * n - 2, 1, 0, 0
    stack, parts, below = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    while at < clusters:
        node, name = begins[at], n + at
        at += 1
        while node >= n:
            w = distance[node - n]
            level = 1.0 / w if w > 0 else np.inf
            depth, total, large = 1, 0, 0
            stack[0] = node
            while depth:
                depth -= 1
                one = stack[depth]
                if one >= n and merge[one - n] == merge[node - n]:
                    stack[depth], stack[depth + 1] = left[one - n], right[one - n]
                    depth += 2
                else:
                    parts[total] = one
                    total += 1
                    large += size[one] >= least
            node = -1
            for p in range(total):
                if size[parts[p]] >= least and large > 1:
                    begins[clusters] = parts[p]
                    parent[rows], child[rows], lam[rows], count[rows] = name, n + clusters, level, size[parts[p]]
                    clusters += 1
                    rows += 1
                elif size[parts[p]] >= least:
                    node = parts[p]
                else:
                    below[0], deep = parts[p], 1
                    while deep:
                        deep -= 1
                        one = below[deep]
                        if one >= n:
                            below[deep], below[deep + 1] = left[one - n], right[one - n]
                            deep += 2
                        else:
                            parent[rows], child[rows], lam[rows], count[rows] = name, one, level, 1
                            rows += 1
    return parent[:rows], child[:rows], lam[:rows], count[:rows]
