"""The minimum spanning tree under mutual reachability, from lists of near neighbours that are completed where needed.

``m(a, b) = max(core(a), core(b), |a - b|)``. Many pairs share one m (the core distance of their sparser end), so that
edges are ordered by (m, distance): a point between two clusters belongs to the nearer one, whatever the order of rows.

Boruvka: every component takes its lightest edge to another one. Lists of k neighbours tell it only down to a bound: an
edge that stands in neither list of its ends is at least as long as the longest entry of both. A component whose
lightest listed edge is above the bound of one of its points is not settled: those points are asked for what else lies
outside (`outside`), whole cells of points ruled out by distance. Nothing that leaves a settled component is lighter
than its edge, which is the bound of its points from then on. With exact neighbours the tree is therefore exactly that
of the full graph. An edge whose ends have met meanwhile is dropped, so that equal ones close no cycle.

Reference: W. March, P. Ram, A. Gray: Fast Euclidean Minimum Spanning Tree. KDD 2010 (the dual-tree form).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ethogram.numeric.density.apart import Groups
from ethogram.numeric.density.order import find, lighter
from ethogram.numeric.density.outside import Known, complete

SETTLED = 0.1
"""Share of the components that a round must settle from lists alone; below it the others are completed."""


@dataclass(frozen=True, eq=False)
class Spanning:
    """Edges ends[e, 0] - ends[e, 1] with weight[e] = (m, distance), n - 1 of them; `repaired` stood in no list."""

    ends: np.ndarray
    weight: np.ndarray
    repaired: int


def spanning(x: np.ndarray, core: np.ndarray, distance: np.ndarray, code: np.ndarray, seed: int) -> Spanning:
    """The minimum spanning tree.

    Parameters
    ----------
    x : float[n, d]. core : float64[n]. distance, code : float64 and int32[n, k], as from `exact.nearest`, sorted anew
        in place; an entry of `code` may be -1 (nobody), with an infinite distance.
    """
    n = len(x)
    bound = np.repeat(distance[:, -1:], 2, axis=1)
    _sorted(core, distance, code)
    above, component, place = np.arange(n), np.arange(n), np.zeros(n, np.int32)
    tree = Spanning(np.empty((n - 1, 2), np.int32), np.empty((n - 1, 2)), 0)
    best, ends, least = np.empty((n, 2)), np.empty((n, 2), np.int32), np.empty((n, 2))
    groups: Groups | None = None
    edges = repaired = 0
    while edges < n - 1:
        roots = np.flatnonzero(component == np.arange(n))
        extra = np.zeros(n, np.bool_)
        _offers(core, component, place, distance, code, bound, best, ends, least)
        settled = _reached(least, best, roots)
        if settled.sum() < SETTLED * len(roots):
            groups = groups or Groups.of(x, seed)
            members = np.bincount(component, minlength=n)[roots]
            settled[np.arange(len(roots)) != members.argmax()] = True  # the others know their edges to the largest
            known = np.zeros(n, np.bool_)
            known[roots[_reached(least, best, roots)]] = True
            asked = roots[settled & ~known[roots]]
            _backwards(core, component, place, distance, code, best, ends)
            complete(x, Known(core, best, ends, extra, known), bound, component, groups, asked)
        _raised(component, roots[settled], best, bound)
        before = edges
        edges, repaired = _joined(above, roots[settled], best, ends, extra, tree.ends, tree.weight, edges, repaired)
        assert edges > before, "a round joined nothing"
        _flattened(above, component)
    return Spanning(tree.ends, tree.weight, repaired)


@njit(cache=True, nogil=True)
def _reached(least, best, roots):  # type: ignore[no-untyped-def]
    """Whether no point of a component can have an edge lighter than its best."""
    out = np.empty(len(roots), np.bool_)
    for i in range(len(roots)):
        out[i] = not lighter(least[roots[i], 0], least[roots[i], 1], best[roots[i]])
    return out


@njit(cache=True, nogil=True)
def _sorted(core, distance, code):  # type: ignore[no-untyped-def]
    """Each row by (m, distance), in place; it is by distance already."""
    n, k = code.shape
    weight = np.empty(k)
    for i in range(n):
        for j in range(k):
            c, d = code[i, j], distance[i, j]
            w = max(core[i], core[c], d) if c >= 0 else np.inf
            at = j
            while at > 0 and weight[at - 1] > w:
                weight[at], distance[i, at], code[i, at] = weight[at - 1], distance[i, at - 1], code[i, at - 1]
                at -= 1
            weight[at], distance[i, at], code[i, at] = w, d, c


@njit(cache=True, nogil=True)
def _offers(core, component, place, distance, code, bound, best, ends, least):  # type: ignore[no-untyped-def]
    """Lightest listed edge that leaves each component, and the least bound among its points."""
    n, k = code.shape
    best[:] = np.inf
    least[:] = np.inf
    for p in range(n):
        own = component[p]
        if lighter(bound[p, 0], bound[p, 1], least[own]):
            least[own] = bound[p]
        j = place[p]
        while j < k and (code[p, j] < 0 or component[code[p, j]] == own):
            j += 1
        place[p] = j
        if j < k:
            q, d = code[p, j], distance[p, j]
            w = max(core[p], core[q], d)
            for c in (own, component[q]):
                if lighter(w, d, best[c]):
                    best[c, 0], best[c, 1], ends[c, 0], ends[c, 1] = w, d, p, q


@njit(cache=True, nogil=True)
def _backwards(core, component, place, distance, code, best, ends):  # type: ignore[no-untyped-def]
    """Every listed edge is offered to the component that it leads to."""
    n, k = code.shape
    for p in range(n):
        for j in range(place[p], k):
            q, d = code[p, j], distance[p, j]
            if q >= 0 and component[q] != component[p]:
                c, w = component[q], max(core[p], core[q], d)
                if lighter(w, d, best[c]):
                    best[c, 0], best[c, 1], ends[c, 0], ends[c, 1] = w, d, p, q


@njit(cache=True, nogil=True)
def _raised(component, settled, best, bound):  # type: ignore[no-untyped-def]
    known = np.zeros(len(bound), np.bool_)
    for c in settled:
        known[c] = True
    for p in range(len(bound)):
        c = component[p]
        if known[c] and lighter(bound[p, 0], bound[p, 1], best[c]):
            bound[p] = best[c]


@njit(cache=True, nogil=True)
def _joined(above, settled, best, ends, extra, pairs, weight, edges, repaired):  # type: ignore[no-untyped-def]
    for c in settled:
        i, j = find(above, ends[c, 0]), find(above, ends[c, 1])
        if i != j:
            above[max(i, j)] = min(i, j)
            pairs[edges], weight[edges] = ends[c], best[c]
            edges += 1
            repaired += extra[c]
    return edges, repaired


@njit(cache=True, nogil=True)
def _flattened(above, component):  # type: ignore[no-untyped-def]
    for i in range(len(above)):
        component[i] = find(above, i)
