"""The next event of many point processes at once, by thinning: the first accepted proposal, never the smallest of many.

Ahead of each state lies a window in which the summed intensity is bounded by M. Points of a Poisson process of rate 1
on (window) x [0, M] are drawn; the first one that lies under the intensity is the next event, and where there is none
the next window follows. M is `margin` times the largest of a few looks; should a look or a proposal find the intensity
above M, the missing strip [M, M'] is drawn as well, which gives exactly the points that a bound of M' would have given,
and all points keep their place. Windows grow where nothing happens and shrink where many proposals would be needed.

References: P. Lewis, G. Shedler: Simulation of nonhomogeneous Poisson processes by thinning. Naval Research Logistics
26, 1979. Y. Ogata: On Lewis' simulation method for point processes. IEEE Trans. Information Theory 27, 1981.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LOOKS, MARGIN, WANTED = 6, 1.3, 4.0
"""Instants at which a window's intensity is looked at; factor of the bound; proposals that a window should have."""
FAR = 1e6
"""Units of time after which the search ends: the process has fallen silent, and the time is infinite."""
Rate = Callable[[np.ndarray, np.ndarray], np.ndarray]


def first_arrivals(rate: Rate, states: int, draws: int, rng: np.random.Generator, *, far: float = FAR) -> np.ndarray:
    """Time from now on to the next event, float64[states, draws]; infinite where there is none within `far`.

    Parameters
    ----------
    rate : from states int64[m] (ascending) and waits float64[m] to summed intensities float64[m].
    """
    found = np.full((states, draws), np.inf)
    open_ = np.repeat(np.arange(states), draws)
    slot = np.tile(np.arange(draws), states)
    begin, length = np.zeros(len(open_)), np.ones(len(open_))
    while len(open_):
        stop = begin + length
        bound = MARGIN * _looked(rate, open_, begin, length)
        arrival, bound = _in_window(rate, open_, begin, stop, bound, rng)
        done = arrival < stop
        found[open_[done], slot[done]] = arrival[done]
        begin = np.where(done, begin, stop)
        # as long as about so many proposals fall into it; bound is that of the window before
        length = np.clip(WANTED / np.maximum(bound, WANTED / (2 * length)), 1e-9, None)
        keep = ~done & (begin < far)
        open_, slot, begin, length = open_[keep], slot[keep], begin[keep], length[keep]
    return found


def _looked(rate: Rate, state: np.ndarray, begin: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Largest intensity of a few looks into each window; windows of one state that are the same are looked into once."""
    key = np.stack([state, begin, length], 1)
    fresh = np.ones(len(state), bool)
    fresh[1:] = (key[1:] != key[:-1]).any(1)
    share = np.linspace(0, 1, LOOKS)
    own = np.flatnonzero(fresh)
    when = begin[own, None] + share * length[own, None]
    seen = rate(np.repeat(state[own], LOOKS), when.ravel()).reshape(-1, LOOKS).max(1)
    return seen[np.cumsum(fresh) - 1]


def _in_window(
    rate: Rate, state: np.ndarray, begin: np.ndarray, stop: np.ndarray, bound: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(first arrival in each window or infinity, the bound that held in the end)."""
    arrival = np.full(len(state), np.inf)
    floor, bound = np.zeros(len(state)), bound.copy()
    rows = np.arange(len(state))
    while len(rows):
        # points of the strip [floor, bound] that lie before the first arrival found so far
        until = np.minimum(stop[rows], arrival[rows])
        counts = rng.poisson((bound[rows] - floor[rows]) * (until - begin[rows]))
        owner = np.repeat(rows, counts)
        when = begin[owner] + rng.random(len(owner)) * (until - begin[rows]).repeat(counts)
        height = rng.uniform(floor[owner], bound[owner])
        value = rate(state[owner], when) if len(owner) else np.zeros(0)
        np.minimum.at(arrival, owner[height < value], when[height < value])
        highest = np.zeros(len(state))
        # only what lies before the first arrival can have hidden an earlier one
        np.maximum.at(highest, owner, np.where(when <= arrival[owner], value, 0.0))
        floor[rows] = bound[rows]
        rows = rows[highest[rows] > bound[rows]]
        bound[rows] = MARGIN * highest[rows]
    return arrival, bound
