"""Loops of the metrics that NumPy cannot say in one pass. Compiled once, cached, free of the GIL, single-threaded.

Every sum runs in a fixed order, so that equal input gives equal bytes whatever the number of threads.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def group_aucs(
    label: np.ndarray, score: np.ndarray, weight: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(weighted AUC with mid-ranks, NaN where a class is missing; total weight) of each group of rows."""
    groups = len(offsets) - 1
    values = np.full(groups, np.nan)
    weights = np.zeros(groups)
    for g in range(groups):
        first, last = offsets[g], offsets[g + 1]
        order = np.argsort(score[first:last])
        below = above = pairs = 0.0
        i = 0
        while i < last - first:
            yes = no = 0.0
            level = score[first + order[i]]
            while i < last - first and score[first + order[i]] == level:
                row = first + order[i]
                yes += weight[row] * label[row]
                no += weight[row] * (1 - label[row])
                i += 1
            pairs += yes * (below + no / 2)
            below += no
            above += yes
        weights[g] = below + above
        if below > 0 and above > 0:
            values[g] = pairs / (below * above)
    return values, weights


@njit(cache=True, nogil=True)
def tally(draws: np.ndarray, counts: np.ndarray) -> None:
    """counts[u] = how often `draws` holds u."""
    for i in range(len(draws)):
        counts[draws[i]] += 1


@njit(cache=True, nogil=True)
def resampled_sums(counts: np.ndarray, values: np.ndarray, out: np.ndarray) -> None:
    """out[b, m] = sum_u counts[u, b] values[u, m], added in the order of u."""
    for u in range(counts.shape[0]):
        for b in range(counts.shape[1]):
            times = counts[u, b]
            if times:
                for m in range(values.shape[1]):
                    out[b, m] += times * values[u, m]


@njit(cache=True, nogil=True)
def resampled_curves(
    yes: np.ndarray, no: np.ndarray, last: np.ndarray, unit: np.ndarray, counts: np.ndarray,
    area: np.ndarray, precision: np.ndarray,
) -> None:  # fmt: skip
    """AUC and average precision of many resamples in one pass over rows sorted by score, highest first.

    yes, no : weight of the row as a positive and as a negative. last[i] : the next row has a lower score.
    unit[i] : who is resampled. counts : [U, B]. Writes area[B] and precision[B].
    """
    width = counts.shape[1]
    hits, misses = np.zeros(width), np.zeros(width)
    new_hits, new_misses = np.zeros(width), np.zeros(width)
    pairs, average = np.zeros(width), np.zeros(width)
    for i in range(len(yes)):
        u = unit[i]
        for b in range(width):
            new_hits[b] += counts[u, b] * yes[i]
            new_misses[b] += counts[u, b] * no[i]
        if last[i]:
            for b in range(width):
                pairs[b] += new_misses[b] * (hits[b] + new_hits[b] / 2)
                hits[b] += new_hits[b]
                misses[b] += new_misses[b]
                asked = hits[b] + misses[b]
                if asked > 0:
                    average[b] += new_hits[b] * hits[b] / asked
                new_hits[b] = 0.0
                new_misses[b] = 0.0
    for b in range(width):
        area[b] = pairs[b] / (hits[b] * misses[b]) if hits[b] > 0 and misses[b] > 0 else np.nan
        precision[b] = average[b] / hits[b] if hits[b] > 0 else np.nan


@njit(cache=True, nogil=True)
def met(
    targets: np.ndarray, offsets: np.ndarray, item: np.ndarray, start: np.ndarray, stop: np.ndarray, items: int
) -> np.ndarray:  # fmt: skip
    """bool[T]: the target lies among its question's past items."""
    out = np.zeros(len(targets), np.bool_)
    last = np.full(items, -1, np.int64)
    for q in range(len(start)):
        for i in range(start[q], stop[q]):
            if item[i] >= 0:
                last[item[i]] = q
        for t in range(offsets[q], offsets[q + 1]):
            out[t] = targets[t] >= 0 and last[targets[t]] == q
    return out


@njit(cache=True, nogil=True)
def hide(
    mark: np.ndarray, number: int, targets: np.ndarray, first: int, last: int, item: np.ndarray, start: int,
    stop: int, hidden: np.ndarray,
) -> int:  # fmt: skip
    """Distinct past items of one question that must not be ranked: all but its targets.

    They are marked with `number` and written to `hidden`; returns how many. `number` is new for each question.
    """
    for t in range(first, last):
        if targets[t] >= 0:
            mark[targets[t]] = -number
    found = 0
    for i in range(start, stop):
        v = item[i]
        if v >= 0 and mark[v] != number and mark[v] != -number:
            mark[v] = number
            hidden[found] = v
            found += 1
    return found


@njit(cache=True, nogil=True)
def stand(
    scores: np.ndarray, targets: np.ndarray, offsets: np.ndarray, item: np.ndarray, start: np.ndarray,
    stop: np.ndarray, greater: np.ndarray, equal: np.ndarray,
) -> None:  # fmt: skip
    """For each target the competitors above it and the others level with it, among all items not hidden.

    Counts over the whole row first (a loop without branches), then takes back what is hidden. NaN counts as
    -inf. A target of code -1 is nowhere: all items stand above it.
    """
    n, items = scores.shape
    mark = np.zeros(items, np.int64)
    hidden = np.empty(items, np.int64)
    for q in range(n):
        row = scores[q]
        out = hide(mark, q + 1, targets, offsets[q], offsets[q + 1], item, start[q], stop[q], hidden)
        for t in range(offsets[q], offsets[q + 1]):
            if targets[t] < 0:
                greater[t] = items - out
                continue
            own = row[targets[t]]
            bottom = not own > -np.inf
            if bottom:
                own = -np.inf
            above = level = 0
            for v in range(items):
                above += row[v] > own
                level += row[v] == own
            for i in range(out):
                above -= row[hidden[i]] > own
                level -= row[hidden[i]] == own
            if bottom:
                level = items - out - above
            greater[t] = above
            equal[t] = level - 1


@njit(cache=True, nogil=True)
def expose(
    scores: np.ndarray, ks: np.ndarray, targets: np.ndarray, offsets: np.ndarray, item: np.ndarray,
    start: np.ndarray, stop: np.ndarray, information: np.ndarray, exposure: np.ndarray, missed: np.ndarray,
    novelty: np.ndarray,
) -> None:  # fmt: skip
    """Who is shown in the best ks[j] of each question, items level at the last place sharing what is left.

    Adds to exposure[j, v] the probability that v is shown, multiplies missed[j, v] by that it is not, and
    writes novelty[q, j], the mean information of what is shown. ks ascending. Items at -inf or NaN are never
    shown, so that a list may be short or empty (novelty NaN).
    """
    n, items = scores.shape
    mark = np.zeros(items, np.int64)
    hidden = np.empty(items, np.int64)
    most = min(ks[-1], items)
    best = np.empty(most, scores.dtype)
    shown = np.empty(items, np.int64)
    for q in range(n):
        row = scores[q]
        hide(mark, q + 1, targets, offsets[q], offsets[q + 1], item, start[q], stop[q], hidden)
        filled = 0
        for v in range(items):
            x = row[v]
            if not x > -np.inf or (filled == most and x <= best[0]) or mark[v] == q + 1:
                continue
            # `best` is ascending; its lowest falls out once it is full
            if filled < most:
                i = filled
                filled += 1
                while i > 0 and best[i - 1] > x:
                    best[i] = best[i - 1]
                    i -= 1
            else:
                i = 0
                while i + 1 < most and best[i + 1] < x:
                    best[i] = best[i + 1]
                    i += 1
            best[i] = x
        if filled == 0:
            novelty[q, :] = np.nan
            continue
        found = 0
        for v in range(items):
            if row[v] >= best[0] and mark[v] != q + 1:
                shown[found] = v
                found += 1
        for j in range(len(ks)):
            k = min(ks[j], filled)
            lowest = best[filled - k]
            above = level = 0
            for i in range(found):
                above += row[shown[i]] > lowest
                level += row[shown[i]] == lowest
            total = 0.0
            for i in range(found):
                v = shown[i]
                share = 0.0
                if row[v] > lowest:
                    share = 1.0
                elif row[v] == lowest:
                    share = (k - above) / level
                exposure[j, v] += share
                missed[j, v] *= 1 - share
                total += share * information[v]
            novelty[q, j] = total / k
