"""Exact answers to: which point outside a component is nearest to it by mutual reachability?

Only pairs of points that are both bound below the best edge known so far can hold a lighter one (see `boruvka`). Points
lie group by group, in a group component by component (a run). Groups too far apart (`apart`) are ruled out at once, and
points too far from the centre of the group that asks; what is left is multiplied, and a distance is computed in double
precision only where single precision cannot exclude that it is smaller.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ethogram.numeric.density.apart import Groups
from ethogram.numeric.density.metric import SLACK, share, squared
from ethogram.numeric.density.order import lighter

LARGE = 64
"""Components from that size on ask alone, run by run; smaller ones together, group by group."""
ASKING, ANSWERING = 256, 1024
"""Points multiplied at once."""
RUN = 32


def complete(
    x: np.ndarray, core: np.ndarray, bound: np.ndarray, component: np.ndarray, groups: Groups, asked: np.ndarray,
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
    size = np.bincount(component, minlength=len(x))[asked]
    large, small = asked[size >= LARGE], np.zeros(len(x), np.bool_)
    small[asked[size < LARGE]] = True
    own = np.repeat(np.arange(len(groups.offsets) - 1), np.diff(groups.offsets))
    whose = component[groups.order]
    line = np.argsort(own * len(x) + whose, kind="stable").astype(np.int32)
    whose = whose[line]
    starts = np.flatnonzero(np.append(True, (own[1:] != own[:-1]) | (whose[1:] != whose[:-1])))
    runs, group, whose = np.append(starts, len(x)), own[starts], whose[starts]
    first = np.searchsorted(group, np.arange(len(groups.offsets)))
    by_component = np.argsort(whose, kind="stable")
    mine = np.searchsorted(whose[by_component], np.stack([large, large + 1]))
    _complete(
        x, core, bound, component, groups.order, line, runs, first, whose, group, groups.query, groups.item,
        groups.norm, groups.centre, groups.reach, groups.apart, groups.slip, share(x.shape[1]), large, small,
        by_component, mine, settled, best, ends, extra,
    )  # fmt: skip
    settled[asked] = True


@njit(cache=True, nogil=True)
def _complete(
    x, core, bound, component, order, line, runs, first, whose, group, query, item, norm, centre, reach, apart, slip,
    share, large, small, by_component, mine, settled, best, ends, extra,
):  # type: ignore[no-untyped-def]  # fmt: skip
    count = len(apart)
    least = np.full(count, np.inf)
    for r in range(len(whose)):
        for i in range(runs[r], runs[r + 1]):
            least[group[r]] = min(least[group[r]], bound[order[line[i]], 0])
    asking, answering = np.empty(ASKING, np.int32), np.empty(ANSWERING, np.int32)
    for a in range(len(large)):
        own = large[a]
        for m in range(mine[0, a], mine[1, a]):
            r = by_component[m]
            i = runs[r]
            while i < runs[r + 1]:
                length = 0
                while i < runs[r + 1] and length < ASKING:
                    p = order[line[i]]
                    if lighter(bound[p, 0], bound[p, 1], best[own]):
                        asking[length] = line[i]
                        length += 1
                    i += 1
                _asked(
                    x, core, bound, component, order, line, runs, first, whose, query, item, norm, centre, reach,
                    apart, least, slip, share, asking[:length], answering, group[r], own, settled, best, ends, extra,
                )  # fmt: skip
        settled[own] = True
    for s in range(count):
        i, end = runs[first[s]], runs[first[s + 1]]
        while i < end:
            length = 0
            while i < end and length < ASKING:
                p = order[line[i]]
                own = component[p]
                if small[own] and lighter(bound[p, 0], bound[p, 1], best[own]):
                    asking[length] = line[i]
                    length += 1
                i += 1
            _asked(
                x, core, bound, component, order, line, runs, first, whose, query, item, norm, centre, reach, apart,
                least, slip, share, asking[:length], answering, s, -1, settled, best, ends, extra,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def _asked(
    x, core, bound, component, order, line, runs, first, whose, query, item, norm, centre, reach, apart, least, slip,
    share, asking, answering, s, own, settled, best, ends, extra,
):  # type: ignore[no-untyped-def]  # fmt: skip
    """Points of group s, of component `own` or of several (-1), ask whoever may be near enough."""
    if not len(asking):
        return
    light, wide = np.zeros(2), 0.0
    for p in asking:
        wide = max(wide, reach[p])
        c = component[order[p]]
        if lighter(light[0], light[1], best[c]):
            light[:] = best[c]
    rows = query[asking]
    length = 0
    for t in range(len(apart)):
        if apart[s, t] > light[0] or least[t] > light[0]:
            continue
        for r in range(first[t], first[t + 1]):
            other = whose[r]
            # nothing that leaves a settled component is lighter than its best edge
            if other == own or (settled[other] and not lighter(best[other, 0], best[other, 1], light)):
                continue
            limit = wide + light[0] + slip
            limit *= limit * (1 + 1e-6)
            for i in range(runs[r], runs[r + 1]):
                q = line[i]
                if lighter(bound[order[q], 0], bound[order[q], 1], light) and _within(query, q, centre, s, limit):
                    answering[length] = q
                    length += 1
                    if length == len(answering):
                        _multiplied(
                            x, core, bound, component, order, rows, item, norm, share, asking, answering, settled,
                            best, ends, extra,
                        )  # fmt: skip
                        length = 0
                        if own >= 0:
                            light[:] = best[own]
    if length:
        _multiplied(
            x, core, bound, component, order, rows, item, norm, share, asking, answering[:length], settled, best,
            ends, extra,
        )  # fmt: skip


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _within(x, i, y, j, limit):  # type: ignore[no-untyped-def]
    """The last column is 1 of one and 0 of the other."""
    total = np.float32(0.0)
    for c in range(x.shape[1]):
        gap = x[i, c] - y[j, c]
        total += gap * gap
    return total - np.float32(1.0) <= limit


@njit(cache=True, nogil=True, error_model="numpy")
def _multiplied(
    x, core, bound, component, order, rows, item, norm, share, asking, answering, settled, best, ends, extra,
):  # type: ignore[no-untyped-def]  # fmt: skip
    score = np.dot(rows, item[answering].T)
    m, width = score.shape
    whole = width // RUN * RUN
    for i in range(m):
        row, p = score[i], order[asking[i]]
        own, square = component[p], norm[asking[i]]
        least = _needed(square, best[own, 0], share)
        for a in range(0, whole, RUN):
            # an OR over a run of constant length, without a branch, is what the compiler turns into vectors
            run, found = row[a : a + RUN], np.int32(0)
            for j in range(RUN):
                found |= np.int32(run[j] >= least)
            if found != 0:
                least = _compared(
                    x, core, bound, component, order, row, least, a, a + RUN, answering, p, own, square, share,
                    settled, best, ends, extra,
                )  # fmt: skip
        _compared(
            x, core, bound, component, order, row, least, whole, width, answering, p, own, square, share, settled,
            best, ends, extra,
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _needed(square, light, share):  # type: ignore[no-untyped-def]
    """The least score of a point that may be no farther than `light`, whatever rounding did."""
    size = math.sqrt(square)
    longest = size + light
    doubt = share * (size * longest + longest * longest)
    return np.float32(0.5 * (square - light * light * SLACK - doubt) - 1e-6 * square - 1e-6 * light * light)


@njit(cache=True, nogil=True)
def _compared(
    x, core, bound, component, order, row, least, first, last, answering, p, own, square, share, settled, best, ends,
    extra,
):  # type: ignore[no-untyped-def]  # fmt: skip
    light = best[own]  # changes in place
    for j in range(first, last):
        if row[j] < least:
            continue
        q = order[answering[j]]
        other = component[q]
        if other == own:
            continue
        d = math.sqrt(squared(x, p, x, q))
        w = max(core[p], core[q], d)
        if lighter(w, d, light) and lighter(bound[q, 0], bound[q, 1], light):
            light[0], light[1] = w, d
            least = _needed(square, w, share)
            ends[own, 0], ends[own, 1] = p, q
            extra[own] = True
            if not settled[other] and lighter(w, d, best[other]):
                best[other], ends[other], extra[other] = light, ends[own], True
    return least
