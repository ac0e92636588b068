"""Draw what was shown and not taken: uniformly, without replacement, for all slates at once."""

from __future__ import annotations

import numpy as np


def draw(
    listed: np.ndarray, taken: np.ndarray, owner: np.ndarray, uniform: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For every list some of its places that were not taken, each subset of that size equally likely.

    Floyd's algorithm ("Programming Pearls: a sample of brilliance", CACM 30(9), 1987) runs over all lists at
    once: step i draws t from the first ``m - k + i + 1`` of the m free places and takes t, or the last of
    them if t is taken. A free place r becomes a place of the list by skipping the taken places before it.
    Nothing is rejected, so the number of random numbers used does not depend on what is drawn.

    Parameters
    ----------
    listed : int64[n], length of each list.
    taken : int64[t], places taken (from 0), ascending within each list and without repeats.
    owner : int64[t], ascending, the list of each taken place.
    uniform : float64[n, k] in [0, 1), the random numbers; row i serves list i.

    Returns
    -------
    place : int64[d], the places drawn, ascending within each list.
    of : int64[d], the list of each; list i has ``min(k, listed[i] - its taken)`` of them.
    """
    n, k = uniform.shape
    offsets = np.searchsorted(owner, np.arange(n + 1))
    free = listed - np.diff(offsets)
    wanted = np.minimum(free, k)
    drawn = np.full((n, k), -1, np.int64)
    for i in range(k):
        last = free - wanted + i
        pick = np.minimum((uniform[:, i] * (last + 1)).astype(np.int64), last)
        again = (drawn[:, :i] == pick[:, None]).any(axis=1)
        drawn[:, i] = np.where(i < wanted, np.where(again, last, pick), -1)
    of, column = np.nonzero(drawn >= 0)
    rank = drawn[of, column]
    # the j-th taken place, minus the j taken ones before it, is the number of free places before it
    span = int(listed.max(initial=0)) + 1
    before = owner * span + taken - (np.arange(len(taken)) - offsets[owner])
    place = rank + np.searchsorted(before, of * span + rank, side="right") - offsets[of]
    order = np.argsort(of * span + place)
    return place[order], of[order]
