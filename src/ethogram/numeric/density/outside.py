"""Exact answers to: which point outside a component is nearest to it by mutual reachability?"""

from __future__ import annotations

import numpy as np
from numba import njit

from ethogram.numeric.density.cells import Cells
from ethogram.numeric.density.exact import squared
from ethogram.numeric.density.order import lighter


def complete(
    x: np.ndarray, core: np.ndarray, bound: np.ndarray, component: np.ndarray, cells: Cells, asked: np.ndarray,
    best: np.ndarray, ends: np.ndarray, extra: np.ndarray,
) -> None:  # fmt: skip
    """Settle the components `asked`: `best`, `ends` and `extra` (an edge of no list) are changed in place.

    Only pairs of points that are both bound below the best edge so far can hold a lighter one that no list has.
    """
    _complete(
        x[cells.order], core[cells.order], bound[cells.order], component[cells.order], cells.order, cells.offsets,
        cells.centres, cells.reach, asked, best, ends, extra,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _complete(x, core, near, component, order, offsets, centres, reach, asked, best, ends, extra):  # type: ignore[no-untyped-def]
    n, count = len(x), len(centres)
    # the points of each component, cell by cell
    start = np.zeros(n + 1, np.int64)
    for p in range(n):
        start[component[p] + 1] += 1
    for c in range(n):
        start[c + 1] += start[c]
    members, fill = np.empty(n, np.int64), start[:-1].copy()
    for p in range(n):
        members[fill[component[p]]] = p
        fill[component[p]] += 1
    # what a cell holds: the least bound, and the component if it is one
    least, only = np.full(count, np.inf), np.full(count, -1)
    for c in range(count):
        if offsets[c] < offsets[c + 1]:
            only[c] = component[offsets[c]]
        for p in range(offsets[c], offsets[c + 1]):
            least[c] = min(least[c], near[p, 0])
            if component[p] != only[c]:
                only[c] = -1
    gap = np.empty(count)
    for own in asked:
        light = best[own]  # changes in place
        for m in range(start[own], start[own + 1]):
            p = members[m]
            if not lighter(near[p, 0], near[p, 1], light):
                continue
            for c in range(count):
                gap[c] = np.sqrt(squared(x, p, centres, c))
            first = gap.argmin()
            for turn in range(count):
                # the nearest cell first, the others as they come: the first answer is then nearly the best
                c = first if turn == 0 else (0 if turn == first else turn)
                if least[c] > light[0] or only[c] == own or offsets[c] == offsets[c + 1]:
                    continue
                if gap[c] - reach[offsets[c + 1] - 1] > light[0] or reach[offsets[c]] - gap[c] > light[0]:
                    continue
                for q in range(offsets[c], offsets[c + 1]):
                    if component[q] == own or abs(gap[c] - reach[q]) > light[0]:
                        continue
                    if not lighter(near[q, 0], near[q, 1], light):
                        continue
                    d = np.sqrt(squared(x, p, x, q))
                    w = max(core[p], core[q], d)
                    if lighter(w, d, light):
                        light[0], light[1] = w, d
                        ends[own, 0], ends[own, 1] = order[p], order[q]
                        extra[own] = True
