"""Rows in the order of a log, whatever order they come in: each way of sorting against plain Python."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ethogram.log import kernels
from ethogram.log.coding import code
from ethogram.log.importer import read
from ethogram.log.store import append, open_stored, write


def rows(ids, n=3_000, seed=0):
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 90, n) * 13 + 5, rng.zipf(1.4, n) % 70
    names = {
        "dense": (user, item),
        "sparse": (user * 10**12, item * 10**12),
        "negative": (user - 600, item - 35),
        "text": ([f"u{u}" for u in user], [f"i{i}" for i in item]),
    }
    who, what = names[ids]
    return {"user": who, "item": what, "time": np.sort(rng.integers(0, 900, n)), "value": rng.normal(size=n)}


def told(events):
    table = events.table()
    return list(zip(*(table[c].to_pylist() for c in ("user", "time", "event", "item", "value")), strict=True))


def expected(source, first=0):
    n = len(source["time"])
    seconds = pa.array(source["time"]).cast(pa.timestamp("s", "UTC")).to_pylist()
    plain = [np.asarray(source[c]).tolist() for c in ("user", "item", "value")]
    return sorted(zip(plain[0], seconds, range(first, first + n), plain[1], plain[2], strict=True))


@pytest.mark.parametrize("ids", ["dense", "sparse", "negative", "text"])
@pytest.mark.parametrize("order", ["by time", "by user", "mixed"])
def test_sorted_and_coded(ids, order):
    source = rows(ids)
    if order != "by time":
        rng = np.random.default_rng(1)
        key = rng.random(3_000) if order == "mixed" else np.unique(source["user"], return_inverse=True)[1]
        place = np.argsort(key, kind="stable")
        source = {k: np.asarray(v)[place] for k, v in source.items()}
    events = read(source)
    assert told(events) == expected(source)
    sequences = events.sequences
    assert events.vocabularies["user"].ids.to_pylist() == sorted(set(np.asarray(source["user"]).tolist()))
    assert events.vocabularies["item"].ids.to_pylist() == sorted(set(np.asarray(source["item"]).tolist()))
    assert np.array_equal(sequences.users, np.arange(len(events.vocabularies["user"])))
    assert sequences.users.dtype == sequences.columns["item"].dtype == np.int32
    codes = events.table()["item_code"].to_numpy()
    assert np.array_equal(codes, sequences.columns["item"])


def test_an_item_may_be_missing():
    source = rows("dense")
    items = [None if i % 5 == 0 else int(i) for i in source["item"]]
    events = read({**source, "item": items, "kind": ["x"] * len(items)})
    table = events.table().sort_by("event")
    assert table["item"].to_pylist() == items
    assert (events.sequences.columns["item"] == -1).sum() == items.count(None) > 0


@pytest.mark.parametrize("ids", ["dense", "text"])
def test_appended_rows_keep_the_codes(tmp_path, ids):
    one, two = rows(ids), rows(ids, seed=1)
    two["user"] = [u + (7 if ids == "dense" else "x") if i % 3 else u for i, u in enumerate(two["user"])]
    write(read(one), tmp_path / "log")
    before = open_stored(tmp_path / "log").vocabularies["user"].ids.to_pylist()
    append(tmp_path / "log", two)
    events = open_stored(tmp_path / "log")
    assert sorted(told(events)) == sorted(expected(one) + expected(two, first=3_000))
    after = events.vocabularies["user"].ids.to_pylist()
    assert after[: len(before)] == before
    assert len(after) > len(before)
    keys = [events.sequences.columns["time"], events.sequences.user]
    assert np.array_equal(np.lexsort(keys), np.arange(6_000))


def test_rises():
    assert kernels.rises(np.array([], np.int64))
    assert kernels.rises(np.repeat(np.arange(10_000), 3))
    for at in (1, 8_191, 8_192, 8_193, 19_999):
        clock = np.arange(20_000)
        clock[at] = clock[at - 1] - 1
        assert not kernels.rises(clock)


def test_cut_takes_runs_of_each_user():
    events = read(rows("dense")).sequences
    rng = np.random.default_rng(2)
    start = events.offsets[:-1] + rng.integers(0, events.lengths + 1)
    stop = start + rng.integers(0, events.offsets[1:] - start + 1)
    inside = np.zeros(len(events), bool)
    for a, b in zip(start, stop, strict=True):
        inside[a:b] = True
    one, two = events.cut(start, stop), events.keep(inside)
    assert 0 < len(one.users) < len(events.users)
    np.testing.assert_array_equal(one.users, two.users)
    np.testing.assert_array_equal(one.offsets, two.offsets)
    for name in events.columns:
        np.testing.assert_array_equal(one.columns[name], two.columns[name])
    assert events.cut(events.offsets[:-1], events.offsets[1:]) is events
    assert len(events.cut(start, start)) == 0


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20), st.data())
def test_codes_are_ranks(pool, data):
    """Narrow ranges go through bits, wide ones through a dictionary: the answer is the same."""
    near = data.draw(st.lists(st.integers(max(pool[0] - 200, -(2**63)), min(pool[0] + 200, 2**63 - 1)), max_size=40))
    for ids in (pool, [*near, pool[0]]):
        codes, vocabulary = code(pa.array(ids, pa.int64()))
        assert vocabulary.ids.to_pylist() == sorted(set(ids))
        assert vocabulary.decode(codes).to_pylist() == ids
        assert codes.dtype == np.int32
