"""Vocabularies, compressed rows and groups, against plain Python."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.log.random_events import events

from ethogram.log import Log, Vocabulary
from ethogram.log.describe import repeats


def test_codes_are_stable_under_extension():
    v = Vocabulary(["b", "d"])
    w = v.extend(pa.array(["c", "a", "b", None]))
    assert w.ids.to_pylist() == ["b", "d", "a", "c"]
    assert v.codes_in(w).tolist() == [0, 1]
    assert w.codes_in(v).tolist() == [0, 1, -1, -1]


def test_text_finds_integer_ids_and_the_other_way_round():
    v = Vocabulary([42, 7])
    assert v.encode(["42", "x", "7", None]).tolist() == [0, -1, 1, -1]
    assert Vocabulary(["42"]).encode([42, 7]).tolist() == [0, -1]


@given(st.lists(st.integers(-(2**62), 2**62), unique=True, max_size=50), st.lists(st.integers(-10, 10), max_size=30))
def test_encode_is_a_lookup(ids, asked):
    v = Vocabulary(pa.array(ids, pa.int64()))
    expected = [ids.index(a) if a in ids else -1 for a in asked]
    assert v.encode(pa.array(asked, pa.int64())).tolist() == expected


def test_rows_are_sorted_and_groups_found():
    rows = Log.open(events()).rows()
    keys = list(zip(rows.user.tolist(), rows.columns["time"].tolist(), rows.columns["event"].tolist(), strict=True))
    assert keys == sorted(keys)
    expected = [i == 0 or keys[i][:2] != keys[i - 1][:2] for i in range(len(keys))]
    assert rows.starts.tolist() == expected
    assert rows.group.tolist() == (np.cumsum(expected) - 1).tolist()


def test_storing_order_changes_nothing():
    table = events()
    rng = np.random.default_rng(4)
    mixed = table.take(rng.permutation(len(table)))
    one, two = Log.open(table).sequences(), Log.open(mixed).sequences()
    for name in ("item", "time"):
        np.testing.assert_array_equal(one.columns[name], two.columns[name])
    np.testing.assert_array_equal(one.offsets, two.offsets)


def test_repeats_are_told_by_earlier_groups():
    table = pa.table({"user": [1, 1, 1, 1, 2], "item": ["a", "a", "b", "a", "a"], "time": [1, 1, 2, 3, 9]})
    log = Log.open(table)
    assert repeats(log.rows()).tolist() == [False, False, False, True, False]
    assert log.repeat_ratio() == 0.2


def test_describe():
    facts = Log.open(events()).describe()
    table = events()
    assert facts["events"] == 600
    assert facts["users"] == len(set(table["user"].to_pylist()))
    assert facts["items"] == len(set(table["item"].to_pylist()))
    pairs = set(zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True))
    assert facts["density"] == len(pairs) / facts["users"] / facts["items"]
    clock = list(zip(table["user"].to_pylist(), table["time"].to_pylist(), strict=True))
    assert np.isclose(facts["tie_share"], sum(clock.count(c) > 1 for c in clock) / 600)
    assert sum(facts["kinds"].values()) == 600


def test_keep_drops_users_without_events():
    rows = Log.open(events()).rows()
    kept = rows.keep(rows.user % 2 == 0)
    assert (kept.users % 2 == 0).all()
    assert (kept.lengths > 0).all()
    assert len(kept) == int((rows.user % 2 == 0).sum())
    assert len(rows.keep(np.zeros(len(rows), bool))) == 0
