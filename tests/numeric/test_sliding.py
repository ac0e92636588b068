"""Windows that slide: the same counts and rows as counting each window on its own."""

import numpy as np
import pytest

from ethogram.numeric.sliding import windows


def by_hand(item, start, stop, wanted, offsets, values, bounds):
    count, last = np.zeros(len(wanted), np.float32), np.full(len(wanted), -1)
    for q in range(len(start)):
        for at in range(offsets[q], offsets[q + 1]):
            mine = values[bounds[wanted[at]] : bounds[wanted[at] + 1]]
            total = 0
            for row in range(start[q], stop[q]):
                theirs = values[bounds[item[row]] : bounds[item[row] + 1]]
                hits = np.isin(theirs, mine).sum()
                total += hits
                last[at] = max(last[at], row) if hits else last[at]
            count[at] = total / len(mine) if len(mine) else 0
    return count, last


@pytest.mark.parametrize("seed", range(6))
def test_any_windows_in_any_order(seed):
    rng = np.random.default_rng(seed)
    rows, items, size, n = 60, 12, 7, 40
    several = [rng.choice(size, rng.integers(0, 4), replace=False) for _ in range(items)]
    bounds = np.concatenate([[0], np.cumsum([len(s) for s in several])])
    values = np.concatenate([*several, np.zeros(0)]).astype(np.int64)
    item = rng.integers(0, items, rows).astype(np.int32)
    start = rng.integers(0, rows, n)
    stop = np.minimum(start + rng.integers(0, 25, n), rows)
    if seed % 2:
        start = np.where(rng.random(n) < 0.6, 10, start)  # many windows that begin alike, as whole histories do
        stop = np.maximum(stop, start)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(0, 5, n))])
    wanted = rng.integers(0, items, offsets[-1]).astype(np.int32)
    count, last = windows(item, start, stop, wanted, offsets, values, bounds, size)
    expected, latest = by_hand(item, start, stop, wanted, offsets, values, bounds)
    np.testing.assert_allclose(count, expected)
    np.testing.assert_array_equal(last, latest)
    assert (count > 0).any()


def test_what_left_the_window_is_not_found():
    item = np.array([1, 2, 2, 2], np.int32)
    values, bounds = np.array([0, 1]), np.array([0, 0, 1, 2])
    ask = np.array([1, 1, 1], np.int32)
    count, last = windows(item, np.array([0, 1, 4]), np.array([2, 3, 4]), ask, np.arange(4), values, bounds, 2)
    assert count.tolist() == [1, 0, 0]
    assert last.tolist() == [0, -1, -1]
