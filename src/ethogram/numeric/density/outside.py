"""Exact answers to: which point outside a component is nearest to it by mutual reachability?

Only pairs of points that are both bound below the best edge known so far can hold a lighter one (see `boruvka`). Points
lie cell by cell, in a cell component by component (a run), in a run by ascending bound: of each run a beginning is in
question, with a least and a largest distance to the cell's centre. Whole runs are ruled out by the triangle inequality,
first for all points of a cell that ask, then for each.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ethogram.numeric.density.cells import Cells
from ethogram.numeric.density.metric import SLACK, roughly, squared
from ethogram.numeric.density.order import lighter

DOUBT = 1e-9
"""Share of a distance by which rounding may move it, and much more."""


def complete(
    x: np.ndarray, core: np.ndarray, bound: np.ndarray, component: np.ndarray, cells: Cells, asked: np.ndarray,
    settled: np.ndarray, best: np.ndarray, ends: np.ndarray, extra: np.ndarray,
) -> None:  # fmt: skip
    """Settle the components `asked`: `best`, `ends` and `extra` (an edge of no list) are changed in place.

    Parameters
    ----------
    bound, best : float64[n, 2], of each point and of each component. component : int64[n], named by one of its points.
    settled : bool[n], components whose `best` is known to be that; becomes true of `asked`.
    """
    # the heaviest first: what they found rules them out for those that follow
    asked = asked[np.lexsort((best[asked, 1], best[asked, 0]))[::-1]]
    order = np.lexsort((bound[:, 1], bound[:, 0], component, cells.cell)).astype(np.int32)
    cell, whose = cells.cell[order], component[order]
    starts = np.flatnonzero(np.append(True, (cell[1:] != cell[:-1]) | (whose[1:] != whose[:-1])))
    runs = np.append(starts, len(x))
    first = np.searchsorted(cell[starts], np.arange(len(cells.centres) + 1))
    by_component = np.argsort(whose[starts], kind="stable")
    mine = np.searchsorted(whose[starts][by_component], np.stack([asked, asked + 1]))
    _complete(
        x[order], core[order], bound[order], order, whose[starts], runs, first, cells.centres, cells.reach[order],
        asked, settled, by_component, mine, best, ends, extra,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _below(near, low, high, light):  # type: ignore[no-untyped-def]
    """End of the points of near[low:high], ascending, that come before the pair `light`."""
    while low < high:
        middle = (low + high) // 2
        if lighter(near[middle, 0], near[middle, 1], light):
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _complete(
    x, core, near, order, whose, runs, first, centres, reach, asked, settled, by_component, mine, best, ends,
    extra,
):  # type: ignore[no-untyped-def]  # fmt: skip
    count, total = len(centres), len(whose)
    longest, shortest, cell = reach.copy(), reach.copy(), np.empty(total, np.int64)
    for r in range(total):
        for p in range(runs[r] + 1, runs[r + 1]):
            longest[p], shortest[p] = max(longest[p - 1], reach[p]), min(shortest[p - 1], reach[p])
    # of a whole cell: the least bound and the farthest point, whoever it belongs to
    least, far = np.full(count, np.inf), np.zeros(count)
    for c in range(count):
        for r in range(first[c], first[c + 1]):
            cell[r] = c
            least[c], far[c] = min(least[c], near[runs[r], 0]), max(far[c], longest[runs[r + 1] - 1])
    kept, until = np.empty(total, np.int64), np.empty(total, np.int64)
    for a in range(len(asked)):
        own = asked[a]
        light = best[own]  # changes in place
        for m in range(mine[0, a], mine[1, a]):
            run = by_component[m]
            end = _below(near, runs[run], runs[run + 1], light)
            if end == runs[run]:
                continue
            wide, surviving = longest[end - 1], 0
            for c in range(count):
                if least[c] > light[0]:
                    continue
                gap = math.sqrt(roughly(centres, cell[run], centres, c)) * (1 - DOUBT) - wide
                if gap - far[c] > light[0]:
                    continue
                for r in range(first[c], first[c + 1]):
                    other = whose[r]
                    # nothing that leaves a settled component is lighter than its best edge
                    if other != own and not (settled[other] and not lighter(best[other, 0], best[other, 1], light)):
                        stop = _below(near, runs[r], runs[r + 1], light)
                        if stop > runs[r] and gap - longest[stop - 1] <= light[0]:
                            kept[surviving], until[surviving] = r, stop
                            surviving += 1
            for p in range(runs[run], end):
                if not lighter(near[p, 0], near[p, 1], light):
                    break
                last, gap = -1, 0.0
                for s in range(surviving):
                    r = kept[s]
                    if cell[r] != last:
                        last = cell[r]
                        gap = math.sqrt(roughly(x, p, centres, last))
                    room = light[0] + DOUBT * gap
                    if gap - longest[until[s] - 1] > room or shortest[until[s] - 1] - gap > room:
                        continue
                    limit = SLACK * light[0] * light[0]
                    for q in range(runs[r], until[s]):
                        if near[q, 0] > light[0]:
                            break
                        if abs(gap - reach[q]) > room or roughly(x, p, x, q) > limit:
                            continue
                        d = math.sqrt(squared(x, p, x, q))
                        w = max(core[p], core[q], d)
                        if lighter(w, d, light) and lighter(near[q, 0], near[q, 1], light):
                            light[0], light[1] = w, d
                            limit = SLACK * light[0] * light[0]
                            ends[own, 0], ends[own, 1] = order[p], order[q]
                            extra[own] = True
                            other = whose[r]
                            if not settled[other] and lighter(w, d, best[other]):
                                best[other], ends[other], extra[other] = light, ends[own], True
        settled[own] = True
