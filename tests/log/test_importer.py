"""Roles, types, codes and order of what is imported."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.errors import RolesError
from ethogram.log.importer import read


def test_a_source_without_clock_says_what_to_do(tmp_path):
    file = tmp_path / "e.csv"
    file.write_text("user,item,colour\n1,2,red\n1,1,blue\n")
    with pytest.raises(RolesError) as e:
        read(file)
    said = str(e.value)
    assert "no column is the time or the order" in said
    assert "time='colour'" in said
    assert "order='@row'" in said
    assert "\n" not in said
    events = read(file, order="@row")
    assert events.table()["item"].to_pylist() == [2, 1]
    assert events.sequences.columns["order"].tolist() == [0, 1]


def test_no_user_or_a_wrong_name():
    with pytest.raises(RolesError, match="no column is the user"):
        read({"a": [1], "time": [1]})
    with pytest.raises(RolesError, match=r"no column 'tiem'\. Did you mean 'time'"):
        read({"user": [1], "time": [1]}, time="tiem")
    with pytest.raises(RolesError, match=r"unknown role 'usr'\. Did you mean 'user'"):
        read({"user": [1], "time": [1]}, usr="user")


def test_a_guess_that_the_content_belies_is_taken_back():
    events = read(
        {"user": [1, 1, 2], "time": [1, 2, 3], "event": ["view", "buy", "view"], "position": ["top", "low", "top"]}
    )
    assert events.roles.kind == "event"
    assert events.roles.position is None
    assert events.roles.extra == ("position_",)
    assert events.vocabularies["kind"].ids.to_pylist() == ["buy", "view"]
    assert events.table()["position_"].to_pylist() == ["top", "low", "top"]
    codes = read({"user": np.arange(40), "time": np.arange(40), "event": [1, 2] * 20})
    assert codes.roles.kind == "event"
    with_kind = read({"user": [1, 1], "time": [1, 2], "event": ["x", "y"], "kind": ["a", "b"]})
    assert with_kind.roles.extra == ("event_",)


def test_event_ids_are_given_or_made():
    made = read({"user": [2, 1, 1], "time": [5, 9, 3]})
    assert made.table()["event"].to_pylist() == [2, 1, 0]
    given_ids = read({"user": [2, 1, 1], "time": [5, 3, 3], "event": [70, 50, 40]})
    assert given_ids.table()["event"].to_pylist() == [40, 50, 70]


def test_text_ids_become_whole_numbers_only_if_all_are(tmp_path):
    file = tmp_path / "e.csv"
    file.write_text("user,item,time,session\n10,05,1,7\n9,6,2,8\n,7,3,x\n")
    events = read(file)
    assert events.vocabularies["user"].ids.to_pylist() == [9, 10]
    assert events.vocabularies["item"].ids.to_pylist() == ["05", "6"]
    assert events.vocabularies["session"].ids.to_pylist() == [7, 8]  # the row of session x was set aside


def test_types_of_further_columns(tmp_path):
    file = tmp_path / "e.csv"
    file.write_text(
        "user,item,time,n,x,zip,flag,gap,words,text\n"
        f"1,1,1,5,1.5,01234,True,,{'w' * 80}a,hello\n1,2,2,-7,nan,99999,False,3,{'w' * 80}b,\n"
    )
    events = read(file)
    columns = events.sequences.columns
    assert columns["n"].dtype == np.int64
    assert columns["n"].tolist() == [5, -7]
    assert columns["x"].dtype == np.float32
    assert np.array_equal(columns["x"], np.array([1.5, np.nan], np.float32), equal_nan=True)
    assert events.vocabularies["zip"].ids.to_pylist() == ["01234", "99999"]
    assert columns["flag"].tolist() == [1, 0]
    assert np.array_equal(columns["gap"], np.array([np.nan, 3], np.float32), equal_nan=True)
    assert events.table()["gap"].to_pylist() == [None, 3]
    assert "words" not in columns
    assert "text" not in columns
    assert events.table()["text"].to_pylist() == ["hello", None]


def test_numbers_are_exact_in_the_table_and_single_in_sequences():
    events = read({"user": [1, 1], "time": [1, 2], "value": [16_777_217.0, 0.1]})
    assert events.table()["value"].to_pylist() == [16_777_217.0, 0.1]
    assert events.sequences.columns["value"].dtype == np.float32


def test_typed_extras():
    when = pa.array([7, 8], pa.timestamp("ms"))
    source = {"user": [1, 1], "time": [1, 2], "due": when, "ok": [True, False], "tags": [["a"], []], "cause": [None, 0]}
    events = read(pa.table(source))
    columns = events.sequences.columns
    assert columns["due"].tolist() == [7000, 8000]
    assert columns["ok"].tolist() == [1, 0]
    assert columns["ok"].dtype == np.int8
    assert columns["cause"].tolist() == [-1, 0]
    assert "tags" not in columns
    table = events.table()
    assert table["tags"].to_pylist() == [["a"], []]
    assert table["cause"].to_pylist() == [None, 0]
    assert table["due"].type == pa.timestamp("ms")


def test_codes_follow_the_order_of_ids():
    events = read({"user": ["b", "a", "B", "ä"], "item": [30, -5, 7, 30], "time": [1, 2, 3, 4]})
    assert events.vocabularies["user"].ids.to_pylist() == ["B", "a", "b", "ä"]
    assert events.vocabularies["item"].ids.to_pylist() == [-5, 7, 30]
    sparse = read({"user": [10**15, 5, 10**15], "time": [1, 2, 3]})
    assert sparse.vocabularies["user"].ids.to_pylist() == [5, 10**15]
    assert sparse.sequences.offsets.tolist() == [0, 1, 3]


def rows_of(events) -> list[tuple]:
    sequences = events.sequences.canonical()
    users = events.vocabularies["user"].decode(sequences.user).to_pylist()
    items = events.vocabularies["item"].decode(sequences.columns["item"]).to_pylist()
    return list(zip(users, items, sequences.columns["time"].tolist(), sequences.columns["value"].tolist(), strict=True))


seconds = st.integers(-(10**9), 10**10)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_round_trip_and_no_dependence_on_the_order_of_rows(data):
    """Every id and instant comes back, and permuted rows give the same canonical sequences."""
    kind = data.draw(st.sampled_from([st.integers(-(2**63), 2**63 - 1), st.text(min_size=1, max_size=5)]))
    n = data.draw(st.integers(1, 30))
    pool = data.draw(st.lists(kind, min_size=1, max_size=5))
    user = [data.draw(st.sampled_from(pool)) for _ in range(n)]
    item = [data.draw(st.sampled_from(pool)) for _ in range(n)]
    clock = data.draw(st.lists(seconds, min_size=n, max_size=n))
    source = pa.table(
        {"user": user, "item": item, "time": pa.array(clock).cast(pa.timestamp("s")), "value": list(range(n))}
    )
    events = read(source)
    table = events.table().sort_by("event")
    assert table["user"].to_pylist() == user
    assert table["item"].to_pylist() == item
    assert table["time"].cast(pa.int64()).to_pylist() == [c * 1_000_000 for c in clock]
    assert events.vocabularies["user"].decode(table["user_code"].to_numpy()).to_pylist() == user
    order = np.array(data.draw(st.permutations(range(n))))
    permuted = read(source.take(order))
    assert permuted.vocabularies["item"] == events.vocabularies["item"]
    first, second = rows_of(events), rows_of(permuted)
    assert [r[:3] for r in first] == [r[:3] for r in second]
    assert sorted(first) == sorted(second)


def test_sorted_by_user_time_order_event():
    rng = np.random.default_rng(3)
    n = 5_000
    source = {"user": rng.integers(0, 40, n), "time": rng.integers(0, 50, n), "order": rng.integers(0, 3, n)}
    for ids in ({}, {"event": rng.permutation(n)}):
        table = read({**source, **ids}).table()
        keys = [table[c].to_numpy() for c in ("event", "order", "time", "user_code")]
        assert np.array_equal(np.lexsort(keys), np.arange(n))


def test_fingerprint_is_of_the_content():
    rows = {"user": ["a", "b"], "item": ["x", "y"], "time": [1, 2], "text": ["hello", "you"]}
    one = read(rows).fingerprint
    assert (
        one
        == read(pa.table(rows)).fingerprint
        == read(pa.concat_tables([pa.table(rows)[:1], pa.table(rows)[1:]])).fingerprint
    )
    for change in ({"user": ["a", "c"]}, {"time": [1, 3]}, {"text": ["hell", "oyou"]}, {"item": ["x", "x"]}):
        assert read({**rows, **change}).fingerprint != one
    assert read(rows, items={"item": ["x"], "colour": ["red"]}).fingerprint != one


def test_what_the_time_was_taken_for():
    assert read({"user": [1], "time": [1_600_000_000_000]}).said == {"time": "unix milliseconds"}
    assert read({"user": [1], "time": ["2020-01-01"]}).said == {"time": "timestamp[us]"}
