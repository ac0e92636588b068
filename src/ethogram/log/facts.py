"""Loops that count over events without copying them: what `describe`, splits and systems ask of a log of any length."""

from __future__ import annotations

import numpy as np
from numba import njit

from ethogram.log import room

BINS = 1 << 16
FEW = 1 << 22
"""Values from which the k-th is found by histograms instead of by NumPy, which copies them."""


@njit(cache=True, nogil=True)
def _tally(codes: np.ndarray, counts: np.ndarray) -> None:
    for i in range(len(codes)):
        if codes[i] >= 0:
            counts[codes[i]] += 1


def tally(codes: np.ndarray, size: int) -> np.ndarray:
    """How often each code from 0 to `size` - 1 occurs, int64[size]; -1 is left out."""
    counts = np.zeros(size, np.int64)
    _tally(np.asarray(codes), counts)
    return counts


@njit(cache=True, nogil=True)
def _met_before(
    offsets: np.ndarray, starts: np.ndarray, item: np.ndarray, by: np.ndarray, debut: np.ndarray, out: np.ndarray
) -> int:
    pairs, group = 0, np.int64(-1)
    for u in range(len(offsets) - 1):
        for i in range(offsets[u], offsets[u + 1]):
            group += starts[i]
            a = item[i]
            if a < 0:
                continue
            if by[a] != u:
                by[a], debut[a] = u, group
                pairs += 1
            elif debut[a] < group and len(out):
                out[i] = True
    return pairs


def met_before(offsets: np.ndarray, starts: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, int]:
    """(bool[N]: the user met the row's item in a strictly earlier group; number of distinct (user, item) pairs)."""
    size = int(item.max(initial=-1)) + 1
    out = room.zeros(len(item), bool)
    pairs = _met_before(offsets, starts, item, np.full(size, -1, np.int64), np.zeros(size, np.int64), out)
    return out, int(pairs)


def pairs(offsets: np.ndarray, starts: np.ndarray, item: np.ndarray) -> int:
    """Number of distinct (user, item) pairs; -1 is no item."""
    size = int(item.max(initial=-1)) + 1
    none = np.zeros(0, bool)
    return int(_met_before(offsets, starts, item, np.full(size, -1, np.int64), np.zeros(size, np.int64), none))


@njit(cache=True, nogil=True)
def tied(groups: np.ndarray, n: int) -> int:
    """How many rows share their group with another."""
    found = 0
    for g in range(len(groups)):
        size = (groups[g + 1] if g + 1 < len(groups) else n) - groups[g]
        if size > 1:
            found += size
    return found


@njit(cache=True, nogil=True)
def _tied_rows(groups: np.ndarray, n: int, rows: np.ndarray, first: np.ndarray) -> int:
    at, found = 0, 0
    for g in range(len(groups)):
        stop = groups[g + 1] if g + 1 < len(groups) else n
        if stop - groups[g] > 1:
            first[found] = at
            found += 1
            for i in range(groups[g], stop):
                rows[at] = i
                at += 1
    return found


def tied_rows(groups: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows that share their group with another, place among them at which each such group begins)."""
    size = tied(groups, n)
    rows, first = room.empty(size, np.int64), room.empty(size // 2, np.int64)
    return rows, first[: _tied_rows(groups, n, rows, first)]


@njit(cache=True, nogil=True)
def _repeat(values: np.ndarray, offsets: np.ndarray, out: np.ndarray) -> None:
    for u in range(len(values)):
        for i in range(offsets[u], offsets[u + 1]):
            out[i] = values[u]


def repeat(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Each value for all rows of its slice."""
    out = room.empty(int(offsets[-1]) if len(offsets) else 0, values.dtype)
    _repeat(values, offsets, out)
    return out


@njit(cache=True, nogil=True)
def _places(mask: np.ndarray, out: np.ndarray) -> None:
    at = 0
    for i in range(len(mask)):
        if mask[i]:
            out[at] = i
            at += 1


def places(mask: np.ndarray) -> np.ndarray:
    """Rows where a mask holds, int64."""
    out = room.empty(int(np.count_nonzero(mask)), np.int64)
    _places(mask, out)
    return out


@njit(cache=True, nogil=True)
def _numbered(mask: np.ndarray, out: np.ndarray) -> None:
    at = -1
    for i in range(len(mask)):
        at += mask[i]
        out[i] = at


def numbered(mask: np.ndarray, kind: type = np.int64) -> np.ndarray:
    """For each row the number of the last begin at or before it, counted from 0."""
    out = room.empty(len(mask), kind)
    _numbered(mask, out)
    return out


@njit(cache=True, nogil=True)
def below(values: np.ndarray, bound: int) -> int:
    """How many whole numbers are less than a bound."""
    found = 0
    for i in range(len(values)):
        found += values[i] < bound
    return found


@njit(cache=True, nogil=True)
def _histogram(values: np.ndarray, low: int, high: int, shift: int, counts: np.ndarray) -> None:
    for i in range(len(values)):
        if low <= values[i] <= high:
            counts[np.uint64(values[i] - low) >> np.uint64(shift)] += 1


def kth(values: np.ndarray, k: int) -> int:
    """The whole number that would stand at place `k`, from 0, if the values were sorted.

    >>> kth(np.array([5, 1, 4]), 1)
    4
    """
    if len(values) <= FEW:
        return int(np.partition(values, k)[k])
    low, high = int(values.min()), int(values.max())
    while low < high:
        shift = max(0, (high - low).bit_length() - 16)
        counts = np.zeros(((high - low) >> shift) + 1, np.int64)
        _histogram(values, low, high, shift, counts)
        before = np.cumsum(counts)
        bin_ = int(np.searchsorted(before, k, side="right"))
        k -= int(before[bin_ - 1]) if bin_ else 0
        low, high = low + (bin_ << shift), min(high, low + ((bin_ + 1) << shift) - 1)
    return low


@njit(cache=True, nogil=True)
def group_ends(starts: np.ndarray, first: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Row behind the group that begins at each of `first`; it ends at `stop` at the latest."""
    out = first + 1
    for i in range(len(first)):
        while out[i] < stop[i] and not starts[out[i]]:
            out[i] += 1
    return out
