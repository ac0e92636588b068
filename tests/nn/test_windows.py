"""Windows: every event that something follows is asked about once an epoch, and for the group behind it."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.log import Histories, Log
from ethogram.nn.windows import Windows


def histories(times):
    """One history per list of times; rows are numbered through."""
    user = np.repeat(np.arange(len(times)), [len(t) for t in times])
    clock = np.concatenate(times)
    return Log.open(pa.table({"user": user, "item": np.arange(len(user)), "time": clock})).histories()


TIED = [[0, 1, 1, 2, 3, 3, 3, 4, 5], [7, 7, 7], [1, 2], [3], [0, 0, 0, 0, 0, 0, 1, 2, 2]]


def epoch(made, seed, **how):
    return list(made.batches(np.random.default_rng(seed), **{"length": 4, "tokens": 12, **how}))


def times_and_users():
    return np.concatenate(TIED), np.repeat(np.arange(len(TIED)), [len(t) for t in TIED])


@pytest.mark.parametrize("seed", range(5))
def test_an_epoch_asks_about_each_event_once_and_for_the_next_group(seed):
    windows = Windows.of(histories(TIED))
    clock, user = times_and_users()
    batches = epoch(windows, seed)
    rows = np.concatenate([b.rows for b in batches])
    last = np.array([max(t) for t in TIED])[user]
    assert sorted(rows) == np.flatnonzero(clock < last).tolist(), "all but the last groups, each once"
    assert windows.events == len(rows)
    following = {(u, t): min(x for x in TIED[u] if x > t) for u in range(5) for t in TIED[u] if t < max(TIED[u])}
    for b in batches:
        assert (user[b.target] == user[b.rows]).all()
        assert clock[b.target].tolist() == [following[user[r], clock[r]] for r in b.rows]


@pytest.mark.parametrize("seed", range(5))
def test_windows_hold_whole_groups_in_order_and_no_more_than_their_length(seed):
    clock, user = times_and_users()
    large = {(4, 0)}  # six events of one time do not fit into four
    for b in epoch(Windows.of(histories(TIED)), seed):
        for first, end in zip(b.offsets[:-1], b.offsets[1:], strict=True):
            rows, group = b.rows[first:end], b.group[first:end]
            assert 1 <= len(rows) <= 4
            assert len(set(user[rows])) == 1
            assert (np.diff(rows) == 1).all()
            np.testing.assert_array_equal(group, np.unique(clock[rows], return_inverse=True)[1])
            for t in set(clock[rows]):
                if (user[rows[0]], t) not in large:
                    assert (clock[rows] == t).sum() == TIED[user[rows[0]]].count(t), "a group is not cut"


def test_targets_inside_a_group_are_drawn_evenly():
    windows = Windows.of(histories([[0, 1, 1, 1]]))
    drawn = [int(epoch(windows, seed)[0].target[0]) for seed in range(600)]
    counts = np.bincount(drawn, minlength=4)
    assert counts[0] == 0
    assert (abs(counts[1:] - 200) < 5 * 12).all(), counts  # five standard deviations


def test_long_histories_are_cut_elsewhere_each_epoch():
    windows = Windows.of(histories([list(range(21))]))
    starts = {tuple(np.sort(windows.cut(5, np.random.default_rng(seed))[0])) for seed in range(40)}
    assert len(starts) == 5, "the first window has room for 1 to 5 events"
    assert windows.cut(50, np.random.default_rng(0))[0].tolist() == [0], "a history that fits stays whole"


def test_the_same_generator_gives_the_same_epoch_and_another_another():
    windows = Windows.of(histories(TIED))
    one, same, other = epoch(windows, 3), epoch(windows, 3), epoch(windows, 4)
    for a, b in zip(one, same, strict=True):
        assert a.rows.tobytes() == b.rows.tobytes()
        assert a.target.tobytes() == b.target.tobytes()
    assert [b.rows.tolist() for b in one] != [b.rows.tolist() for b in other]


def test_only_so_many_windows_are_drawn():
    windows = Windows.of(histories(TIED))
    assert sum(len(b.offsets) - 1 for b in epoch(windows, 0, windows=2)) == 2
    whole = sum(len(b.offsets) - 1 for b in epoch(windows, 0))
    assert sum(len(b.offsets) - 1 for b in epoch(windows, 0, windows=10_000)) == whole


def test_histories_that_hold_nothing_to_learn():
    assert epoch(Windows.of(histories([[1, 1], [2]])), 0) == []
    assert epoch(Windows.of(Histories.of([[], ["a"]])), 0) == []


def test_a_length_below_one_is_refused():
    with pytest.raises(OptionError, match="length = 0"):
        Windows.of(histories(TIED)).cut(0, np.random.default_rng(0))
