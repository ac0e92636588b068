"""Loops over sparse rows: from an item to the items that share a user with it or follow it, and back to scores."""

from __future__ import annotations

import numpy as np
from numba import njit

from ethogram.log import facts, room
from ethogram.numeric.topk import replace_worst


@njit(cache=True, nogil=True)
def _occurrences(item, at, rows):  # type: ignore[no-untyped-def]
    for i in range(len(item)):
        if item[i] >= 0:
            rows[at[item[i]]] = i
            at[item[i]] += 1


def occurrences(item: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(offsets int64[size + 1], rows): the rows of each item in ascending order; code -1 is left out."""
    offsets = np.append(0, np.cumsum(facts.tally(item, size)))
    rows = room.empty(int(offsets[-1]), np.int32 if len(item) < 1 << 31 else np.int64)
    _occurrences(item, offsets[:-1].copy(), rows)
    return offsets, rows


@njit(cache=True, nogil=True)
def _sharing(a, own, item_offsets, users, times, user_offsets, items, counts, sums, met):  # type: ignore[no-untyped-def]
    n = 0
    for e in range(item_offsets[a], item_offsets[a + 1]):
        u, c = users[e], times[e]
        for i in range(user_offsets[u], user_offsets[u + 1]):
            b = items[i]
            # written whether it is new or not: whether it is cannot be foretold, and a branch would cost more
            met[n] = b
            n += (sums[b] == 0) & (own | (b != a))
            sums[b] += c * counts[i]
    if not own:
        sums[a] = 0
    return n


@njit(cache=True, nogil=True)
def _following(a, offsets, places, item, group, first, owner, gap, reverse, sums, met):  # type: ignore[no-untyped-def]
    n = 0
    for e in range(offsets[a], offsets[a + 1]):
        g = group[places[e]]
        for d in range(-gap, gap + 1):
            other = g + d
            weight = 1.0 / d if d > 0 else (-reverse / d if d < 0 else 0.0)
            if weight == 0 or other < 0 or other >= len(owner) or owner[other] != owner[g]:
                continue
            for i in range(first[other], first[other + 1]):
                b = item[i]
                if b >= 0:
                    if sums[b] == 0:
                        met[n] = b
                        n += 1
                    sums[b] += weight
    return n


@njit(cache=True, nogil=True)
def _write(a, n, sums, met, scale, start, room, codes, weights):  # type: ignore[no-untyped-def]
    """Scale row a's sums, keep at most `room` of them, write them by ascending code and clear the sums."""
    if n <= room:
        found = np.sort(met[:n])
        for i in range(n):
            b = found[i]
            codes[start + i] = b
            weights[start + i] = sums[b] * scale[b] * scale[a]
            sums[b] = 0
        return
    # a heap whose root is the worst that is kept: hardly any of the others ever enters; ties go to the smaller code
    strength, found = np.full(room, -np.inf), np.full(room, len(scale), np.int32)
    for i in range(n):
        b = met[i]
        s = sums[b] * scale[b]
        sums[b] = 0
        if s > strength[0] or (s == strength[0] and b < found[0]):
            replace_worst(strength, found, s, b)
    order = np.argsort(found)
    for i in range(room):
        codes[start + i] = found[order[i]]
        weights[start + i] = strength[order[i]] * scale[a]


@njit(cache=True, nogil=True)
def shared_sizes(own, item_offsets, users, user_offsets, items):  # type: ignore[no-untyped-def]
    """int64[V]: how many items share a user with each item; `own` counts the item itself."""
    size = len(item_offsets) - 1
    # nothing is cleared between rows: an item was met in row a when its mark says a
    sizes, mark = np.zeros(size, np.int64), np.full(size, -1, np.int32)
    for a in range(size):
        if not own:
            mark[a] = a
        n = 0
        for e in range(item_offsets[a], item_offsets[a + 1]):
            u = users[e]
            for i in range(user_offsets[u], user_offsets[u + 1]):
                n += mark[items[i]] != a
                mark[items[i]] = a
        sizes[a] = n
    return sizes


@njit(cache=True, nogil=True)
def shared(own, item_offsets, users, times, user_offsets, items, counts, scale, ends, codes, weights):  # type: ignore[no-untyped-def]
    """Fill rows, as long as `ends` has room for, with sums over shared users, scaled on both sides; whole sizes.

    `times` and `counts` say how often each user was at each item, by item and by user.
    """
    size = len(item_offsets) - 1
    sizes, sums, met = np.zeros(size, np.int64), np.zeros(size, np.float32), np.empty(size + 1, np.int32)
    for a in range(size):
        n = _sharing(a, own, item_offsets, users, times, user_offsets, items, counts, sums, met)
        _write(a, n, sums, met, scale, ends[a], ends[a + 1] - ends[a], codes, weights)
        sizes[a] = n
    return sizes


@njit(cache=True, nogil=True)
def followed_sizes(offsets, places, item, group, first, owner, gap, reverse):  # type: ignore[no-untyped-def]
    """int64[V]: how many items lie within `gap` groups before (unless `reverse` is 0) or behind each item."""
    size = len(offsets) - 1
    sizes, sums, met = np.zeros(size, np.int64), np.zeros(size), np.empty(size, np.int32)
    for a in range(size):
        n = _following(a, offsets, places, item, group, first, owner, gap, reverse, sums, met)
        sizes[a] = n
        for i in range(n):
            sums[met[i]] = 0
    return sizes


@njit(cache=True, nogil=True)
def followed(offsets, places, item, group, first, owner, gap, reverse, scale, ends, codes, weights):  # type: ignore[no-untyped-def]
    """Fill rows with the sums of 1/distance forwards and reverse/distance backwards, scaled on both sides."""
    size = len(offsets) - 1
    sums, met = np.zeros(size), np.empty(size, np.int32)
    for a in range(size):
        n = _following(a, offsets, places, item, group, first, owner, gap, reverse, sums, met)
        _write(a, n, sums, met, scale, ends[a], ends[a + 1] - ends[a], codes, weights)


@njit(cache=True, nogil=True)
def spread(items, weights, offsets, ends, codes, values, prior, out):  # type: ignore[no-untyped-def]
    """out[i] = `prior` and the weighted sum of the sparse rows of trace i's items, by first appearance."""
    own = np.zeros(len(ends) - 1)
    for q in range(len(offsets) - 1):
        row = out[q]
        row[:] = prior
        for e in range(offsets[q], offsets[q + 1]):
            if items[e] >= 0:
                own[items[e]] += weights[e]
        for e in range(offsets[q], offsets[q + 1]):
            a = items[e]
            if a >= 0 and own[a] != 0:
                weight = own[a]  # a repeated item's row is read once
                own[a] = 0
                for i in range(ends[a], ends[a + 1]):
                    row[codes[i]] += weight * values[i]


@njit(cache=True, nogil=True)
def looked_up(a, b, ends, codes, values):  # type: ignore[no-untyped-def]
    """values[a[i], b[i]] of sparse rows with ascending codes, 0 where there is none."""
    out = np.zeros(len(a))
    for i in range(len(a)):
        if a[i] >= 0 and b[i] >= 0:
            low, high = ends[a[i]], ends[a[i] + 1]
            place = low + np.searchsorted(codes[low:high], b[i])
            if place < high and codes[place] == b[i]:
                out[i] = values[place]
    return out


@njit(cache=True, nogil=True)
def spread_through_users(own_too, items, weights, offsets, item_offsets, users, times, user_offsets, baskets, counts,
                         scale, prior, out):  # type: ignore[no-untyped-def]  # fmt: skip
    """What `spread` gives on cosine rows, without the rows: from the trace to its items' users, on to their items."""
    reached = np.zeros(len(user_offsets) - 1)
    own = np.zeros(len(scale))
    for q in range(len(offsets) - 1):
        row = out[q]
        row[:] = 0
        reached[:] = 0
        for e in range(offsets[q], offsets[q + 1]):
            a = items[e]
            if a >= 0 and weights[e] != 0:
                own[a] += weights[e] * scale[a]
                for i in range(item_offsets[a], item_offsets[a + 1]):
                    reached[users[i]] += weights[e] * scale[a] * times[i]
        for u in range(len(reached)):
            if reached[u] != 0:
                for i in range(user_offsets[u], user_offsets[u + 1]):
                    row[baskets[i]] += reached[u] * counts[i]
        for e in range(offsets[q], offsets[q + 1]):
            a = items[e]
            if a >= 0 and own[a] != 0:
                if not own_too:
                    itself = 0.0
                    for i in range(item_offsets[a], item_offsets[a + 1]):
                        itself += times[i] * times[i]
                    self_part = own[a] * itself
                    row[a] -= self_part
                    # what is left of a difference of equal sums is rounding, and would break ties
                    if abs(row[a]) < 1e-13 * self_part:
                        row[a] = 0
                own[a] = 0
        for b in range(len(prior)):
            row[b] = row[b] * scale[b] + prior[b]


@njit(cache=True, nogil=True)
def common_users(a, b, item_offsets, users, times):  # type: ignore[no-untyped-def]
    """float64[len(a)]: sum over the users whom a[i] and b[i] share of how often they met both; 0 where a code is -1."""
    out = np.zeros(len(a))
    for k in range(len(a)):
        if a[k] < 0 or b[k] < 0:
            continue
        i, j = item_offsets[a[k]], item_offsets[b[k]]
        while i < item_offsets[a[k] + 1] and j < item_offsets[b[k] + 1]:
            if users[i] == users[j]:
                out[k] += times[i] * times[j]
                i += 1
                j += 1
            elif users[i] < users[j]:
                i += 1
            else:
                j += 1
    return out
