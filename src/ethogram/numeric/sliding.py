"""Counts and latest occurrences inside windows of ragged histories, for many questions at once.

Question i looks at the rows ``start[i]:stop[i]`` of shared columns. Its window slides over to the next question's:
only rows that leave or enter are touched. So all windows of a user who is asked after every event cost as much as
reading the events once, whatever their length (sorted by start and stop; any order gives the same result).
"""

from __future__ import annotations

import numpy as np
from numba import njit


def windows(
    item: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    wanted: np.ndarray,
    offsets: np.ndarray,
    values: np.ndarray,
    bounds: np.ndarray,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """How often, and at which row last, the values of each candidate occur in its question's window.

    Parameters
    ----------
    item : int32[N], item of each shared row (row of `bounds`).
    start, stop : int64[n], windows.
    wanted : int32[total], candidates, flat beside `offsets` int64[n + 1].
    values, bounds : the values of item v are ``values[bounds[v]:bounds[v + 1]]``, each below `size`. An item
        without values matches nothing.

    Returns
    -------
    count : float32[total], occurrences in the window, averaged over the candidate's values.
    last : int64[total], row of the latest occurrence of any of them, -1 if there is none.
    """
    order = np.lexsort((stop, start))
    count = np.zeros(len(wanted), np.float32)
    last = np.full(len(wanted), -1, np.int64)
    _windows(
        np.ascontiguousarray(item),
        np.asarray(start, np.int64),
        np.asarray(stop, np.int64),
        order,
        np.ascontiguousarray(wanted),
        np.asarray(offsets, np.int64),
        values,
        bounds,
        np.zeros(size, np.int64),
        np.full(size, -1, np.int64),
        count,
        last,
    )
    return count, last


@njit(cache=True, nogil=True)
def _windows(
    item: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    order: np.ndarray,
    wanted: np.ndarray,
    offsets: np.ndarray,
    values: np.ndarray,
    bounds: np.ndarray,
    held: np.ndarray,
    latest: np.ndarray,
    count: np.ndarray,
    last: np.ndarray,
) -> None:
    low = high = 0
    for q in order:
        first, end = start[q], stop[q]
        # a window that lies apart, or ends before the held one, starts anew
        keep = low <= first < high and end >= high
        for row in range(low, first if keep else high):
            for j in range(bounds[item[row]], bounds[item[row] + 1]):
                held[values[j]] -= 1
        for row in range(high if keep else first, end):
            for j in range(bounds[item[row]], bounds[item[row] + 1]):
                held[values[j]] += 1
                latest[values[j]] = row
        low, high = first, max(first, end)
        for at in range(offsets[q], offsets[q + 1]):
            begin, finish = bounds[wanted[at]], bounds[wanted[at] + 1]
            if begin == finish:
                continue
            found, row = 0, -1
            for j in range(begin, finish):
                # a value that the window no longer holds keeps its old row in `latest`
                if held[values[j]] > 0:
                    found += held[values[j]]
                    row = max(row, latest[values[j]])
            count[at] = found / (finish - begin)
            last[at] = row
