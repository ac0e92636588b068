"""Declarative memory as ACT-R has it: how readily things come to mind, by use and by what is around them.

    B_i(t) = ln sum over uses j of i of (t - t_j)^-d                              base level, d about 0.5
    W_i    = exp B_i / sum over everything that was used of exp B_k               its softmax
    SPR_i  = sum over other things j of the same session of A_ij                  spreading activation
    A      = D^-1/2 C D^-1/2,   C_ij = sessions with both i and j (C_ii = 0),   D = row sums of C, at least 1

Times are hours; `ethogram.numeric.traces.FRESH` is the least time since a use.

Reference: J. R. Anderson et al.: An Integrated Theory of the Mind. Psychological Review 111, 2004.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ethogram.numeric.interactions import Interactions
from ethogram.numeric.neighbours import Baskets, Neighbours, cosines
from ethogram.numeric.sessions import Sessions
from ethogram.numeric.traces import FRESH


def base_level(hours: np.ndarray, at: float, decay: float = 0.5) -> float:
    """B of one thing that was used at these hours; -inf if never.

    >>> round(float(np.exp(base_level(np.array([6.0, 9.0]), 10.0))), 3)
    1.5
    """
    with np.errstate(divide="ignore"):
        return float(np.log((np.maximum(at - np.asarray(hours, float), FRESH) ** -decay).sum()))


@dataclass(frozen=True, eq=False)
class Recalled:
    """What comes to mind at the end of sessions, when the next one begins.

    Attributes
    ----------
    base : float32[e], W of each item of the sessions asked about, as they stand in ``Sessions.items``.
    favourites : int64[s, k], the items of largest W, best first, -1 where there are fewer. weights : float32[s, k], W.
    """

    base: np.ndarray
    favourites: np.ndarray
    weights: np.ndarray


def recall(sessions: Sessions, asked: np.ndarray, decay: float, k: int, size: int) -> Recalled:
    """What each history holds in mind after the sessions `asked`, by everything up to them.

    Parameters
    ----------
    asked : int64[s], numbers of sessions. k : favourites that are told. size : items are below it.
    """
    owner = np.repeat(np.arange(len(sessions.counts)), sessions.counts)
    hour = np.repeat(sessions.hour, np.diff(sessions.offsets))
    start = sessions.offsets[sessions.bounds[:-1][owner[asked]]]
    since, stop = sessions.offsets[asked], sessions.offsets[asked + 1]
    ends = np.concatenate([[0], np.cumsum(stop - since)])
    base = np.empty(ends[-1], np.float32)
    best, weights = np.full((len(asked), k), -1, np.int64), np.zeros((len(asked), k), np.float32)
    at = (sessions.items, hour, start, since, stop, sessions.next[asked], ends)
    _recall(*at, float(decay), FRESH, np.zeros(size), np.full(size, -1, np.int64), base, best, weights)
    return Recalled(base, best, weights)


@njit(cache=True, nogil=True)
def _recall(items, hour, start, since, stop, at, ends, decay, fresh, sums, mark, base, best, weights):  # type: ignore[no-untyped-def]
    met = np.empty(len(sums), np.int64)
    for q in range(len(at)):
        n, total = 0, 0.0
        for e in range(start[q], stop[q]):
            gone = max(at[q] - hour[e], fresh)
            strength = 1 / np.sqrt(gone) if decay == 0.5 else gone**-decay
            i = items[e]
            if mark[i] != q:
                mark[i] = q
                sums[i] = 0.0
                met[n] = i
                n += 1
            sums[i] += strength
            total += strength
        for e in range(since[q], stop[q]):
            base[ends[q] + e - since[q]] = sums[items[e]] / total
        held, k = 0, best.shape[1]
        for m in range(n):
            i = met[m]
            share = np.float32(sums[i] / total)
            place = held
            # ties go to the smaller item, so that the order of what was used does not matter
            while place > 0 and (
                weights[q, place - 1] < share or (weights[q, place - 1] == share and best[q, place - 1] > i)
            ):
                if place < k:
                    weights[q, place], best[q, place] = weights[q, place - 1], best[q, place - 1]
                place -= 1
            if place < k:
                weights[q, place], best[q, place] = share, i
                held = min(held + 1, k)


def together(sessions: Sessions, size: int, cap: int) -> Neighbours:
    """A of these sessions; of each row the `cap` largest entries."""
    met = Interactions.counted(sessions.items.astype(np.int32), sessions.offsets, size)
    turned = met.transposed()
    baskets = Baskets(met.offsets, met.items, np.ones_like(met.counts), turned.offsets, turned.items, turned.counts)
    others = np.bincount(met.items, np.repeat(met.lengths - 1, met.lengths), minlength=size)
    return cosines(baskets, np.maximum(others, 1.0), cap)


def spreading(items: np.ndarray, offsets: np.ndarray, links: Neighbours) -> np.ndarray:
    """SPR of each item of the sessions ``items[offsets[s]:offsets[s + 1]]``, float32[e]."""
    out = np.zeros(len(items), np.float32)
    _spread(items, offsets, links.offsets, links.codes, links.weights, out)
    return out


@njit(cache=True, nogil=True)
def _spread(items, offsets, ends, codes, weights, out):  # type: ignore[no-untyped-def]
    for s in range(len(offsets) - 1):
        for a in range(offsets[s], offsets[s + 1]):
            first, last = ends[items[a]], ends[items[a] + 1]
            # items of a session and codes of a row both ascend: one walk over the two
            b = offsets[s]
            total = np.float32(0)
            while first < last and b < offsets[s + 1]:
                if codes[first] == items[b]:
                    total += weights[first]
                    first += 1
                    b += 1
                elif codes[first] < items[b]:
                    first += 1
                else:
                    b += 1
            out[a] = total
