"""Loops over events that NumPy cannot say in one pass. Compiled once and cached; no knowledge of files or models.

Long results are allocated outside of the loops, in `room`: NumPy asks for huge pages, where a compiled loop would
fault in every 4 KiB, and what is as long as a large log lies in a file.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ethogram.log import room


@njit(cache=True, nogil=True)
def _changes(clock: np.ndarray, out: np.ndarray) -> None:
    for i in range(1, len(clock)):
        out[i] |= clock[i] != clock[i - 1]


def group_starts(offsets: np.ndarray, clocks: list[np.ndarray]) -> np.ndarray:
    """bool[N]: row begins a user or has a clock unlike the row before. Without clocks each row is its own group."""
    n = int(offsets[-1]) if len(offsets) else 0
    if not clocks:
        return np.ones(n, bool)
    out = room.zeros(n, bool)
    for clock in clocks:
        _changes(np.asarray(clock), out)
    out[offsets[:-1][np.diff(offsets) > 0]] = True
    return out


@njit(cache=True, nogil=True)
def _order_in_groups(groups: np.ndarray, key: np.ndarray, n: int, order: np.ndarray) -> bool:
    moved = False
    for g in range(len(groups)):
        first = groups[g]
        last = groups[g + 1] if g + 1 < len(groups) else n
        # insertion sort: groups are baskets, short and often already in order
        if last - first <= 32:
            for i in range(first, last):
                order[i] = i
            for i in range(first + 1, last):
                row, j = order[i], i - 1
                while j >= first and key[order[j]] > key[row]:
                    order[j + 1] = order[j]
                    j -= 1
                    moved = True
                order[j + 1] = row
        else:
            inside = np.argsort(key[first:last], kind="mergesort")
            for i in range(last - first):
                order[first + i] = first + inside[i]
                if inside[i] != i:
                    moved = True
    return moved


def order_in_groups(groups: np.ndarray, key: np.ndarray, n: int) -> np.ndarray | None:
    """Permutation that sorts rows by `key` inside each group, stably; None where nothing moves."""
    order = room.empty(n, np.int64)
    return order if _order_in_groups(groups, key, n, order) else None


@njit(cache=True, nogil=True)
def _ragged_rows(start: np.ndarray, offsets: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(start)):
        row = start[i]
        for at in range(offsets[i], offsets[i + 1]):
            out[at] = row
            row += 1


def ragged_rows(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, offsets): the integers start[i] .. stop[i]-1 one after another."""
    offsets = np.zeros(len(start) + 1, np.int64)
    np.cumsum(stop - start, out=offsets[1:])
    rows = room.empty(int(offsets[-1]), np.int64)
    _ragged_rows(np.asarray(start, np.int64), offsets, rows)
    return rows, offsets


def within(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Place of each row in its slice, 0 first; int64[sum of lengths]."""
    rows, offsets = ragged_rows(start, stop)
    return rows - np.repeat(np.asarray(start, np.int64), np.diff(offsets))


@njit(cache=True, nogil=True)
def _before(start: np.ndarray, stop: np.ndarray, a: np.ndarray, at: np.ndarray) -> None:
    for i in range(len(start)):
        low, high = start[i], stop[i]
        while low < high:
            middle = (low + high) // 2
            if a[middle] < at[i]:
                low = middle + 1
            else:
                high = middle
        stop[i] = low


@njit(cache=True, nogil=True)
def _before2(start: np.ndarray, stop: np.ndarray, a: np.ndarray, at: np.ndarray, b: np.ndarray, bt: np.ndarray) -> None:
    for i in range(len(start)):
        low, high = start[i], stop[i]
        while low < high:
            middle = (low + high) // 2
            if a[middle] < at[i] or (a[middle] == at[i] and b[middle] < bt[i]):
                low = middle + 1
            else:
                high = middle
        stop[i] = low


def strictly_before(
    start: np.ndarray, stop: np.ndarray, clocks: list[np.ndarray], asked: list[np.ndarray]
) -> np.ndarray:
    """For each slice the row behind its last event whose clock is less than asked (one or two clocks)."""
    stop = stop.copy()
    if len(clocks) == 1:
        _before(start, stop, clocks[0], np.asarray(asked[0], np.int64))
    elif len(clocks) == 2:
        _before2(start, stop, clocks[0], np.asarray(asked[0], np.int64), clocks[1], np.asarray(asked[1], np.int64))
    return stop


@njit(cache=True, nogil=True)
def cut_at_group(start: np.ndarray, stop: np.ndarray, starts: np.ndarray, n: int) -> np.ndarray:
    """First row of the last `n` events of each slice, moved later to the next group's start (if there is one)."""
    out = start.copy()
    for i in range(len(start)):
        cut = stop[i] - n
        if cut <= start[i]:
            continue
        row = cut
        while row < stop[i] and not starts[row]:
            row += 1
        out[i] = row if row < stop[i] else cut
    return out


@njit(cache=True, nogil=True)
def _count(user: np.ndarray, counts: np.ndarray) -> None:
    for i in range(len(user)):
        counts[user[i] + 1] += 1


@njit(cache=True, nogil=True)
def _place(user: np.ndarray, at: np.ndarray, order: np.ndarray) -> None:
    for i in range(len(user)):
        u = user[i]
        order[at[u]] = i
        at[u] += 1


@njit(cache=True, nogil=True)
def _mend(offsets: np.ndarray, clock: np.ndarray, order: np.ndarray) -> None:
    for u in range(len(offsets) - 1):
        first, last = offsets[u], offsets[u + 1]
        for i in range(first + 1, last):
            if clock[order[i]] < clock[order[i - 1]]:
                rows = order[first:last].copy()
                order[first:last] = rows[np.argsort(clock[rows], kind="mergesort")]
                break


def sort_events(user: np.ndarray, clocks: list[np.ndarray], users: int) -> tuple[np.ndarray, np.ndarray]:
    """Order of rows by (user, clocks ..., row) and offsets[users + 1] by user code.

    A counting sort by user that keeps the source's order; users whose clock then runs backwards are sorted
    on their own, so that time-sorted sources (nearly all) cost two passes.
    """
    counts = np.zeros(users + 1, np.int64)
    _count(user, counts)
    offsets = np.cumsum(counts)
    order = room.empty(len(user), np.int64)
    _place(user, offsets[:-1].copy(), order)
    for clock in reversed(clocks):
        _mend(offsets, clock, order)
    return order, offsets


@njit(cache=True, nogil=True)
def _ones(word: np.uint64) -> np.uint64:
    """Number of bits that are set; compiled to one instruction where the processor has it."""
    x = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(cache=True, nogil=True)
def span(values: np.ndarray) -> tuple[int, int]:
    """(least, greatest) of whole numbers, at least one, in one pass."""
    low = high = values[0]
    for i in range(len(values)):
        low, high = min(low, values[i]), max(high, values[i])
    return low, high


@njit(cache=True, nogil=True)
def mark(keys: np.ndarray, low: int, bits: np.ndarray) -> None:
    """Set bit ``key - low`` of a set (uint64 words) for each key."""
    for i in range(len(keys)):
        x = np.uint64(keys[i] - low)
        bits[x >> np.uint64(6)] |= np.uint64(1) << (x & np.uint64(63))


@njit(cache=True, nogil=True)
def ranks(bits: np.ndarray) -> np.ndarray:
    """int32[words + 1]: how many members of a set lie before each word."""
    out = np.zeros(len(bits) + 1, np.int32)
    for word in range(len(bits)):
        out[word + 1] = out[word] + np.int32(_ones(bits[word]))
    return out


@njit(cache=True, nogil=True)
def members(bits: np.ndarray, before: np.ndarray, low: int) -> np.ndarray:
    """Members of a set, ascending, int64."""
    out = np.empty(before[-1], np.int64)
    at = 0
    for word in range(len(bits)):
        left = bits[word]
        while left:
            rest = left & (left - np.uint64(1))
            out[at] = low + word * 64 + np.int64(_ones((left ^ rest) - np.uint64(1)))
            left = rest
            at += 1
    return out


@njit(cache=True, nogil=True)
def _rank_of(keys: np.ndarray, low: int, bits: np.ndarray, before: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(keys)):
        x = np.uint64(keys[i] - low)
        word = x >> np.uint64(6)
        smaller = (np.uint64(1) << (x & np.uint64(63))) - np.uint64(1)
        out[i] = before[word] + np.int32(_ones(bits[word] & smaller))


def rank_of(keys: np.ndarray, low: int, bits: np.ndarray, before: np.ndarray) -> np.ndarray:
    """For each key how many members of a set are smaller, int32[N]; `before` are the `ranks` of its words."""
    out = np.empty(len(keys), np.int32)
    _rank_of(keys, low, bits, before, out)
    return out


@njit(cache=True, nogil=True)
def rises(clock: np.ndarray) -> bool:
    """Whether no value is less than the one before."""
    for first in range(1, len(clock), 8192):  # in pieces that are compared eight at a time
        falls = 0
        for i in range(first, min(first + 8192, len(clock))):
            falls += clock[i] < clock[i - 1]
        if falls:
            return False
    return True


@njit(cache=True, nogil=True)
def _scatter(user: np.ndarray, at: np.ndarray, time: np.ndarray, item: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(user)):
        row = at[np.uint64(user[i])]
        at[np.uint64(user[i])] = row + np.uint32(1)
        out[row, 0] = time[i]
        out[row, 1] = (np.int64(i) << 32) | np.int64(np.uint32(item[i]))


@njit(cache=True, nogil=True)
def _apart(both: np.ndarray, factor: int, time: np.ndarray, item: np.ndarray, row: np.ndarray) -> None:
    for i in range(len(both)):
        time[i] = both[i, 0] * factor
        item[i] = np.int32(both[i, 1] & 0xFFFFFFFF)
        row[i] = both[i, 1] >> 32


def deal(
    user: np.ndarray, time: np.ndarray, factor: int, item: np.ndarray, users: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows dealt out to their users in the order in which they stand.

    Returns offsets[users + 1] by user code, and time * factor, item codes and row int64 in their new order. At most
    2^31 - 1 rows. Users lie far apart, so that each row misses the cache once for each array that it is written to:
    time, item and row are written side by side, and taken apart afterwards.
    """
    counts = np.zeros(users + 1, np.int64)
    _count(user, counts)
    offsets = np.cumsum(counts)
    both = np.empty((len(user), 2), np.int64)
    _scatter(user, offsets[:-1].astype(np.uint32), time, item, both)
    times, items, rows = (np.empty(len(user), kind) for kind in (np.int64, np.int32, np.int64))
    _apart(both, factor, times, items, rows)
    return offsets, times, items, rows


@njit(cache=True, nogil=True)
def _sessions(offsets: np.ndarray, time: np.ndarray, gap: int, out: np.ndarray) -> None:
    for u in range(len(offsets) - 1):
        # unsigned, so that no index is looked at for being negative: more than twice as fast
        first, last = np.uint64(offsets[u]), np.uint64(offsets[u + 1])
        if first == last:
            continue
        number, before = np.int32(0), time[first]
        out[first] = 0
        for k in range(np.uint64(1), last - first):
            now = time[first + np.uint64(k)]
            number += np.int32(now - before > gap)
            before = now
            out[first + np.uint64(k)] = number


def sessions(offsets: np.ndarray, time: np.ndarray, gap: int) -> np.ndarray:
    """Session number of each row within its user, from 0; a new one after more than `gap` microseconds."""
    out = room.empty(len(time), np.int32)
    _sessions(offsets, time, gap, out)
    return out


@njit(cache=True, nogil=True)
def core(user: np.ndarray, item: np.ndarray, users: int, items: int, min_user: int, min_item: int) -> np.ndarray:
    """bool[N]: rows left when users below `min_user` and items below `min_item` events go, to the fixed point."""
    keep = np.ones(len(user), np.bool_)
    while True:
        by_user = np.zeros(users, np.int64)
        by_item = np.zeros(items, np.int64)
        for i in range(len(user)):
            if keep[i]:
                by_user[user[i]] += 1
                if item[i] >= 0:
                    by_item[item[i]] += 1
        gone = 0
        for i in range(len(user)):
            if keep[i] and (by_user[user[i]] < min_user or (item[i] >= 0 and by_item[item[i]] < min_item)):
                keep[i] = False
                gone += 1
        if gone == 0:
            return keep


@njit(cache=True, nogil=True)
def last_groups(offsets: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of each user's last group and of the one before, int64[U] each.

    Users with two groups have none before, users with one group have no last either: then both, or the first, are
    where the next begins.
    """
    users = len(offsets) - 1
    last, before = np.empty(users, np.int64), np.empty(users, np.int64)
    for u in range(users):
        first, end = offsets[u], offsets[u + 1]
        a = end - 1
        while a > first and not starts[a]:
            a -= 1
        last[u] = before[u] = a if a > first else end
        b = a - 1
        while b > first and not starts[b]:
            b -= 1
        if b > first:
            before[u] = b
    return last, before


@njit(cache=True, nogil=True)
def _copy_runs(column: np.ndarray, start: np.ndarray, offsets: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(start)):
        to, row = np.uint64(offsets[i]), np.uint64(start[i])
        for j in range(np.uint64(offsets[i + 1]) - to):
            out[to + np.uint64(j)] = column[row + np.uint64(j)]


def copy_runs(column: np.ndarray, start: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Runs of a column one after another: run i, from row ``start[i]`` on, has ``offsets[i + 1] - offsets[i]`` rows."""
    out = room.empty(int(offsets[-1]), column.dtype)
    _copy_runs(column, start, offsets, out)
    return out


@njit(cache=True, nogil=True)
def count_kept(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Number of True in each slice of a mask, int64[U]."""
    out = np.zeros(len(offsets) - 1, np.int64)
    for u in range(len(offsets) - 1):
        kept = 0
        for i in range(offsets[u], offsets[u + 1]):
            kept += rows[i]
        out[u] = kept
    return out
