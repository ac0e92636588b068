"""Every point's nearest others by matrix products of those pairs that the triangle inequality does not rule out.

Points are cut into cells, and each cell into shells of nearly equal distance to its centre (what lies around a dense
group would else widen it). A point asks its own cell first; with what it found it asks only those shells that can hold
something nearer. The points that ask a shell are gathered and multiplied with it at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ethogram.numeric.density.cells import Cells
from ethogram.numeric.density.metric import answering, asking, share, squares
from ethogram.numeric.topk import replace_worst

POINTS, LARGEST = 768, 1024
"""Points of a cell, about, and of a shell at most: its scores for some hundred points stay in cache."""
FEW, MOST = 96, 4096
"""Cells up to which they are half as large, and cells at most."""
TOGETHER = 8192
"""Points that ask together."""
AT_ONCE = 512
RUN = 64
NOBODY = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Shells:
    """Points ``order[offsets[s]:offsets[s + 1]]`` lie between low[s] and high[s] from centre cell[s]."""

    order: np.ndarray
    offsets: np.ndarray
    cell: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, cells: Cells) -> Shells:
        order = np.lexsort((cells.reach, cells.cell)).astype(np.int32)
        reach = cells.reach[order]
        starts = _cut(cells.cell[order], reach)
        offsets = np.append(starts, len(order))
        return cls(order, offsets, cells.cell[order][starts].astype(np.int64), reach[starts], reach[offsets[1:] - 1])


def candidates(near: np.ndarray, kept: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(lowest score float32[n], code int32[n, kept]) of the `kept` points of highest score with each point of `near`.

    Parameters
    ----------
    near : float32[n, d], centred. kept : at most n.
    """
    n = len(near)
    cells = Cells.of(near, _cells(n), seed)
    shells = Shells.of(cells)
    order = shells.order
    items, query = answering(near)[order], asking(near)[order]
    blocks = [np.ascontiguousarray(items[a:b].T) for a, b in zip(shells.offsets[:-1], shells.offsets[1:], strict=True)]
    del items
    norm, central = squares(near)[order], squares(cells.centres)
    best, who = np.full((n, kept), -np.inf, np.float32), np.full((n, kept), NOBODY, np.int32)
    middle = answering(cells.centres).T.copy()
    at, room = np.empty(TOGETHER, np.int64), np.empty(AT_ONCE * LARGEST, np.float32)
    mine = cells.cell[order].astype(np.int64)
    slip = share(near.shape[1])
    for a in range(0, n, TOGETHER):
        b = min(a + TOGETHER, n)
        gap = query[a:b] @ middle
        _to_distances(gap, norm[a:b], central, slip)
        for own in (True, False):
            for s, block in enumerate(blocks):
                if own and not mine[a] <= shells.cell[s] <= mine[b - 1]:
                    continue
                count = _active(
                    own, gap, mine[a:b], norm[a:b], central, slip, best[a:b], shells.cell[s], shells.low[s],
                    shells.high[s], at,
                )  # fmt: skip
                members = order[shells.offsets[s] : shells.offsets[s + 1]]
                for c in range(0, count, AT_ONCE):
                    some = at[c : min(c + AT_ONCE, count)] + a
                    scores = room[: len(some) * len(members)].reshape(len(some), len(members))
                    np.dot(query[some], block, out=scores)
                    _keep(scores, some, members, best, who)
    worst, code = np.empty(n, np.float32), np.empty_like(who)
    worst[order], code[order] = best.min(1), who
    return worst, code


def _cells(n: int) -> int:
    return int(np.clip(n // POINTS, max(1, min(FEW, 2 * n // POINTS)), MOST))


@njit(cache=True, nogil=True)
def _cut(cell, reach):  # type: ignore[no-untyped-def]
    """Where shells begin: cells cut where that lessens the spread of reach most, if by half, and at LARGEST points."""
    n = len(cell)
    starts, total, a = np.empty(n, np.int64), 0, 0
    while a < n:
        b, whole, square = a, 0.0, 0.0
        while b < n and cell[b] == cell[a]:
            whole += reach[b]
            square += reach[b] * reach[b]
            b += 1
        spread, at, least, part = square - whole * whole / (b - a), a, np.inf, 0.0
        for i in range(a, b - 1):
            part += reach[i]
            left, right = i + 1 - a, b - i - 1
            inside = square - part * part / left - (whole - part) * (whole - part) / right
            if inside < least:
                least, at = inside, i + 1
        if least > 0.5 * spread:
            at = a
        for low, high in ((a, at), (at, b)):
            for i in range(low, high, LARGEST):
                starts[total] = i
                total += 1
        a = b
    return starts[:total].copy()


@njit(cache=True, nogil=True)
def _to_distances(gap, norm, central, slip):  # type: ignore[no-untyped-def]
    """Scores with centres to distances, each by no more than rounding below the true one; NaN never."""
    for i in range(gap.shape[0]):
        size = np.sqrt(norm[i])
        for c in range(gap.shape[1]):
            far = norm[i] - 2.0 * gap[i, c] - slip * (size * np.sqrt(central[c]) + central[c])
            gap[i, c] = np.sqrt(max(far, 0.0)) * (1 - 1e-6)


@njit(cache=True, nogil=True)
def _active(own, gap, mine, norm, central, slip, best, cell, low, high, at):  # type: ignore[no-untyped-def]
    """Who asks a shell: those of its cell, or the others that it may help."""
    count = 0
    for i in range(len(mine)):
        if own:
            asks = mine[i] == cell
        elif mine[i] == cell:
            asks = False
        else:
            reached = max(0.0, norm[i] - 2.0 * best[i, 0])
            outer = gap[i, cell] - high
            asks = outer <= 0 or outer * outer <= reached
            if asks and gap[i, cell] < low:
                wide = 2.0 * slip * (np.sqrt(norm[i] * central[cell]) + central[cell])
                inner = low - np.sqrt(gap[i, cell] * gap[i, cell] + wide) * (1 + 1e-5)
                asks = inner <= 0 or inner * inner <= reached
        if asks:
            at[count] = i
            count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _keep(scores, some, members, best, who):  # type: ignore[no-untyped-def]
    m, width = scores.shape
    whole = width // RUN * RUN
    for i in range(m):
        row, far, own = scores[i], best[some[i]], who[some[i]]
        for a in range(0, whole, RUN):
            # an OR over a run of constant length, without a branch, is what the compiler turns into vectors
            limit, run, found = far[0], row[a : a + RUN], np.int32(0)
            for j in range(RUN):
                found |= np.int32(run[j] >= limit)
            if found != 0:
                _enter(row, a, a + RUN, members, far, own)
        _enter(row, whole, width, members, far, own)


@njit(cache=True, nogil=True)
def _enter(row, first, last, members, far, own):  # type: ignore[no-untyped-def]
    for j in range(first, last):
        if row[j] > far[0] or (row[j] == far[0] and members[j] < own[0]):
            replace_worst(far, own, row[j], members[j])
