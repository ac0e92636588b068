"""The next event of many point processes at once, by thinning: the first accepted proposal, never the smallest of many.

Ahead of each state lies a window in which the summed intensity is bounded by M. Points of a Poisson process of rate 1
on (window) x [0, M] are drawn; the first one that lies under the intensity is the next event, and where there is none
the next window follows. M is `MARGIN` times the largest of a few looks; should a look or a proposal find the intensity
above M, the missing strip [M, M'] is drawn as well, which gives exactly the points that a bound of M' would have given,
and all points keep their place. What remains is a peak so narrow that neither a look nor a proposal meets it. Windows
grow where nothing happens and shrink where many proposals would be needed.

Draws are counted, not taken from a stream: a state with a key has its own, whatever is asked beside it.

References: P. Lewis, G. Shedler: Simulation of nonhomogeneous Poisson processes by thinning. Naval Research Logistics
26, 1979. Y. Ogata: On Lewis' simulation method for point processes. IEEE Trans. Information Theory 27, 1981.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from ethogram.numeric.hashing import mix

LOOKS, MARGIN, WANTED = 6, 1.3, 4.0
"""Instants at which a window's intensity is looked at; factor of the bound; proposals that a window should have."""
FAR = 1e6
"""Units of time after which the search ends: the process has fallen silent, and the time is infinite."""
Rate = Callable[[np.ndarray, np.ndarray], np.ndarray]


def uniform(key: np.ndarray) -> np.ndarray:
    """Numbers in (0, 1) from keys uint64."""
    found: np.ndarray = ((mix(key, np.int64(0x5D)) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return found


def first_arrivals(rate: Rate, keys: np.ndarray, draws: int, *, far: float = FAR) -> np.ndarray:
    """Time from now on to the next event, float64[n, draws]; infinite where there is none within `far`.

    Parameters
    ----------
    rate : from states int64[m] (ascending) and waits float64[m] to summed intensities float64[m].
    keys : uint64[n], one for each state; the same key and intensity give the same draws.
    """
    states = len(keys)
    found = np.full((states, draws), np.inf)
    open_ = np.repeat(np.arange(states), draws)
    slot = np.tile(np.arange(draws), states)
    key = mix(mix(keys, np.int64(0x2F))[open_], slot)  # hashed first: states and slots are small numbers alike
    begin, length = np.zeros(len(open_)), np.ones(len(open_))
    window = 0
    while len(open_):
        stop = begin + length
        bound = MARGIN * _looked(rate, open_, begin, length)
        arrival, bound = _in_window(rate, open_, begin, stop, bound, mix(key, np.int64(window)))
        done = arrival < stop
        found[open_[done], slot[done]] = arrival[done]
        begin = np.where(done, begin, stop)
        # as long as about so many proposals fall into it, but at most twice as long as before
        length = np.clip(WANTED / np.maximum(bound, WANTED / (2 * length)), 1e-9, None)
        keep = ~done & (begin < far)
        open_, slot, key, begin, length = open_[keep], slot[keep], key[keep], begin[keep], length[keep]
        window += 1
    return found


def _looked(rate: Rate, state: np.ndarray, begin: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Largest intensity of a few looks into each window; the same window of a state is looked into once."""
    key = np.stack([state, begin, length], 1)
    fresh = np.ones(len(state), bool)
    fresh[1:] = (key[1:] != key[:-1]).any(1)
    share = np.linspace(0, 1, LOOKS)
    own = np.flatnonzero(fresh)
    when = begin[own, None] + share * length[own, None]
    seen = rate(np.repeat(state[own], LOOKS), when.ravel()).reshape(-1, LOOKS).max(1)
    return seen[np.cumsum(fresh) - 1]


def _in_window(
    rate: Rate, state: np.ndarray, begin: np.ndarray, stop: np.ndarray, bound: np.ndarray, key: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(first arrival in each window or infinity, the bound that held in the end)."""
    arrival = np.full(len(state), np.inf)
    floor, bound = np.zeros(len(state)), bound.copy()
    rows, strip = np.arange(len(state)), 0
    while len(rows):
        # points of the strip [floor, bound] that lie before the first arrival found so far
        until = np.minimum(stop[rows], arrival[rows])
        counts, when = _points(mix(key[rows], np.int64(strip)), begin[rows], until, bound[rows] - floor[rows])
        owner = np.repeat(rows, counts)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        part = uniform(mix(mix(key[owner], np.int64(~strip)), number))
        height = floor[owner] + part * (bound - floor)[owner]
        value = rate(state[owner], when) if len(owner) else np.zeros(0)
        np.minimum.at(arrival, owner[height < value], when[height < value])
        highest = np.zeros(len(state))
        # only what lies before the first arrival can have hidden an earlier one
        np.maximum.at(highest, owner, np.where(when <= arrival[owner], value, 0.0))
        floor[rows] = bound[rows]
        rows = rows[highest[rows] > bound[rows]]
        bound[rows] = MARGIN * highest[rows]
        strip += 1
    return arrival, bound


@njit(cache=True, nogil=True)
def _mixed(state, code):  # type: ignore[no-untyped-def]
    """`numeric.hashing.mix` of one number."""
    x = (state ^ np.uint64(code)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x632BE59BD9B4E019)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def _points(key, begin, stop, height):  # type: ignore[no-untyped-def]
    """(how many, instants in order) of a Poisson process of rate `height` on each (begin, stop)."""
    counts, made = np.zeros(len(key), np.int64), []
    for i in range(len(key)):
        now, number = begin[i], np.uint64(0)
        while height[i] > 0:
            drawn = (np.float64(_mixed(key[i], number) >> np.uint64(11)) + 0.5) * 2.0**-53
            now -= np.log(drawn) / height[i]
            if not now < stop[i]:
                break
            number += np.uint64(1)
            counts[i] += 1
            made.append(now)
    return counts, np.array(made, np.float64)
