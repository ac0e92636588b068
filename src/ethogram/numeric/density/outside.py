"""Exact answers to: which point outside a component is nearest to it by mutual reachability?

Only pairs of points that are both bound below the best edge known so far can hold a lighter one (see `boruvka`). Points
lie group by group, in a group component by component (a run). Groups too far apart (`apart`) are ruled out at once, and
points too far from the centre of the group that asks; what is left is multiplied, and a distance is computed in double
precision only where single precision cannot exclude that it is smaller.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ethogram.numeric.density.apart import Groups
from ethogram.numeric.density.metric import squared
from ethogram.numeric.density.order import lighter

LARGE = 64
"""Components from that size on ask alone, run by run; smaller ones together, group by group."""
ASKING, ANSWERING = 256, 1024
"""Points multiplied at once."""
RUN = 32


class Known(NamedTuple):
    """Of points (rows of x): core float64[n]. Of components, named by one of their points, what is known and changes in
    place: best float64[n, 2], ends int32[n, 2], extra bool[n] (an edge of no list), settled bool[n].
    """

    core: np.ndarray
    best: np.ndarray
    ends: np.ndarray
    extra: np.ndarray
    settled: np.ndarray


class Runs(NamedTuple):
    """Places ``line[first[r]:first[r + 1]]`` of the order of groups are of component whose[r] and of group group[r],
    whose runs are ``of[g]`` to ``of[g + 1]``. component int64[n] and bound float64[n, 2] are in that order, too; least
    float64[G] is the least bound of a group.
    """

    line: np.ndarray
    first: np.ndarray
    whose: np.ndarray
    group: np.ndarray
    of: np.ndarray
    component: np.ndarray
    bound: np.ndarray
    least: np.ndarray


def complete(
    x: np.ndarray, known: Known, bound: np.ndarray, component: np.ndarray, groups: Groups, asked: np.ndarray
) -> None:
    """Settle the components `asked`.

    Parameters
    ----------
    x : float[n, d]. bound : float64[n, 2], of each point. component : int64[n], named by one of its points.
    """
    # the heaviest first: what they found rules them out for those that follow
    asked = asked[np.lexsort((known.best[asked, 1], known.best[asked, 0]))[::-1]]
    size = np.bincount(component, minlength=len(x))[asked]
    large, small = asked[size >= LARGE], np.zeros(len(x), np.bool_)
    small[asked[size < LARGE]] = True
    runs = _runs(bound[groups.order], component[groups.order], groups.offsets)
    by_component = np.argsort(runs.whose, kind="stable")
    mine = np.searchsorted(runs.whose[by_component], np.stack([large, large + 1]))
    _complete(x, known, groups, runs, large, small, by_component, mine)
    known.settled[asked] = True


def _runs(bound: np.ndarray, component: np.ndarray, offsets: np.ndarray) -> Runs:
    group = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    line = np.argsort(group * len(group) + component, kind="stable").astype(np.int32)
    whose = component[line]
    starts = np.flatnonzero(np.append(True, (group[1:] != group[:-1]) | (whose[1:] != whose[:-1])))
    first, least = np.append(starts, len(group)), np.minimum.reduceat(bound[:, 0], offsets[:-1])
    of = np.searchsorted(group[starts], np.arange(len(offsets)))
    return Runs(line, first, whose[starts], group[starts], of, component, bound, least)


@njit(cache=True, nogil=True)
def _complete(x, known, groups, runs, large, small, by_component, mine):  # type: ignore[no-untyped-def]
    asking = np.empty(ASKING, np.int32)
    for a in range(len(large)):
        own = large[a]
        for m in range(mine[0, a], mine[1, a]):
            r = by_component[m]
            i, end = runs.first[r], runs.first[r + 1]
            while i < end:
                length = 0
                while i < end and length < ASKING:
                    p = runs.line[i]
                    if lighter(runs.bound[p, 0], runs.bound[p, 1], known.best[own]):
                        asking[length] = p
                        length += 1
                    i += 1
                _ask(x, known, groups, runs, asking[:length], runs.group[r], own)
        known.settled[own] = True
    for g in range(len(groups.apart)):
        i, end = runs.first[runs.of[g]], runs.first[runs.of[g + 1]]
        while i < end:
            length = 0
            while i < end and length < ASKING:
                p = runs.line[i]
                own = runs.component[p]
                if small[own] and lighter(runs.bound[p, 0], runs.bound[p, 1], known.best[own]):
                    asking[length] = p
                    length += 1
                i += 1
            _ask(x, known, groups, runs, asking[:length], g, -1)


@njit(cache=True, nogil=True)
def _ask(x, known, groups, runs, asking, g, own):  # type: ignore[no-untyped-def]
    """Points of group g, of component `own` or of several (-1), ask whoever may be near enough."""
    if not len(asking):
        return
    light, wide, far = _heaviest(known, runs, asking), 0.0, groups.apart[g]
    for p in asking:
        wide = max(wide, groups.reach[p])
    near = np.flatnonzero((far <= light[0]) & (runs.least <= light[0]))
    rows, answering, length = groups.query[asking], np.empty(ANSWERING, np.int32), 0
    for t in near[np.argsort(far[near])]:  # who is near leaves little to those farther away
        if far[t] > light[0]:
            break
        limit = (wide + light[0] + groups.slip) ** 2 * (1 + groups.share)
        for r in range(runs.of[t], runs.of[t + 1]):
            other = runs.whose[r]
            # nothing that leaves a settled component is lighter than its best edge
            if other == own or (
                known.settled[other] and not lighter(known.best[other, 0], known.best[other, 1], light)
            ):
                continue
            for i in range(runs.first[r], runs.first[r + 1]):
                q = runs.line[i]
                if not lighter(runs.bound[q, 0], runs.bound[q, 1], light):
                    continue
                if not _within(groups.query, q, groups.centre, g, limit):
                    continue
                answering[length] = q
                length += 1
                if length == ANSWERING:
                    _multiply(x, known, groups, runs, asking, rows, answering)
                    length, light = 0, _heaviest(known, runs, asking)
    if length:
        _multiply(x, known, groups, runs, asking, rows, answering[:length])


@njit(cache=True, nogil=True)
def _heaviest(known, runs, asking):  # type: ignore[no-untyped-def]
    """Of the best edges of the components of some points."""
    light = np.zeros(2)
    for p in asking:
        best = known.best[runs.component[p]]
        if lighter(light[0], light[1], best):
            light[:] = best
    return light


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _within(query, i, centre, j, limit):  # type: ignore[no-untyped-def]
    total = np.float32(0.0)
    for c in range(centre.shape[1]):
        gap = query[i, c] - centre[j, c]
        total += gap * gap
    return total <= limit


@njit(cache=True, nogil=True, error_model="numpy")
def _multiply(x, known, groups, runs, asking, rows, answering):  # type: ignore[no-untyped-def]
    score = np.dot(rows, groups.item[answering].T)
    m, width = score.shape
    whole = width // RUN * RUN
    for i in range(m):
        row, p = score[i], asking[i]
        least = _needed(groups.norm[p], known.best[runs.component[p], 0], groups.share)
        for a in range(0, whole, RUN):
            # an OR over a run of constant length, without a branch, is what the compiler turns into vectors
            run, found = row[a : a + RUN], np.int32(0)
            for j in range(RUN):
                found |= np.int32(run[j] >= least)
            if found != 0:
                least = _compare(x, known, groups, runs, p, run, least, answering[a : a + RUN])
        _compare(x, known, groups, runs, p, row[whole:], least, answering[whole:])


@njit(cache=True, nogil=True)
def _needed(square, light, share):  # type: ignore[no-untyped-def]
    """The least score of a point that may be no farther than `light`, whatever rounding did."""
    size = math.sqrt(square)
    longest = size + light
    doubt = share * (size * longest + longest * longest)
    return np.float32(0.5 * (square - light * light - doubt) - 1e-6 * longest * longest)


@njit(cache=True, nogil=True)
def _compare(x, known, groups, runs, p, score, least, answering):  # type: ignore[no-untyped-def]
    """Pairs of point p that may be lighter than the best edge of its component; the least score from then on."""
    own, i = runs.component[p], groups.order[p]
    light = known.best[own]  # changes in place
    for s in range(len(score)):
        if score[s] < least:
            continue
        q = answering[s]
        other, j = runs.component[q], groups.order[q]
        if other == own:
            continue
        d = math.sqrt(squared(x, i, x, j))
        w = max(known.core[i], known.core[j], d)
        if lighter(w, d, light) and lighter(runs.bound[q, 0], runs.bound[q, 1], light):
            light[0], light[1] = w, d
            least = _needed(groups.norm[p], w, groups.share)
            known.ends[own, 0], known.ends[own, 1], known.extra[own] = i, j, True
            if not known.settled[other] and lighter(w, d, known.best[other]):
                known.best[other], known.ends[other], known.extra[other] = light, known.ends[own], True
    return least
