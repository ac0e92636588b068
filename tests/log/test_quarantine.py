"""Each kind of bad row is set aside with its reason, its line and what it said; nothing disappears."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.errors import SourceError, StrictError
from ethogram.log.importer import read
from ethogram.log.sources import load

HEADER = "user,item,time,kind,value,weight,position,propensity,label,event,order\n"
GOOD = "u{i},i{i},{t},view,1.5,1,0,0.5,1,{i},{i}\n"


def file_of(tmp_path, rows: list[str], end: str = "\n"):
    file = tmp_path / "events.csv"
    file.write_bytes((HEADER + "".join(rows)).rstrip("\n").encode("latin-1") + end.encode())
    return file


def good(i: int) -> str:
    return GOOD.format(i=i, t=1_600_000_000 + i)


BAD = {
    "unparsable time": good(9).replace("1600000009", "soon"),
    "missing time": good(9).replace("1600000009", ""),
    "time in another unit": good(9).replace("1600000009", "1600000009000"),
    "null user": good(9).replace("u9", ""),
    "wrong type (value)": good(9).replace("1.5", "much"),
    "not finite (value)": good(9).replace("1.5", "nan"),
    "not finite (weight)": good(9).replace("1.5,1,", "1.5,-inf,"),
    "out of range (weight)": good(9).replace("1.5,1,", "1.5,-1,"),
    "out of range (position)": good(9).replace("1,0,0.5", "1,-1,0.5"),
    "out of range (propensity)": good(9).replace("0.5", "1.5"),
    "wrong type (label)": good(9).replace("0.5,1,", "0.5,maybe,"),
    "wrong type (event)": good(9).replace(",9,9", ",9.5,9"),
    "missing event": good(9).replace(",9,9", ",,9"),
    "out of range (event)": good(9).replace(",9,9", ",-9,9"),
    "wrong type (order)": good(9).replace(",9,9", ",9,last"),
    "missing order": good(9).replace(",9,9", ",9,"),
    "duplicate event id": good(9).replace(",9,9", ",1,9"),
    "broken encoding": good(9).replace("u9", "u\xe9"),
    "wrong number of fields": good(9).replace("view,", ""),
    "unclosed quote": good(9).replace("view", '"view'),
}


@pytest.mark.parametrize("reason", BAD)
def test_reason_line_and_values(tmp_path, reason):
    file = file_of(tmp_path, [good(0), good(1), BAD[reason], good(2), good(3)])
    events = read(file)
    assert events.quarantined == {reason: 1}
    (row,) = events.quarantine.to_pylist()
    assert (row["file"], row["line"], row["reason"]) == (str(file), 4, reason)
    assert events.table()["user"].to_pylist() == ["u0", "u1", "u2", "u3"]
    said = BAD[reason].strip().replace("\xe9", "\\xe9")
    if row["row"].startswith("{"):
        values = json.loads(row["row"])
        assert [v or "" for v in values.values()] == said.split(",")
        assert list(values) == HEADER.strip().split(",")
    else:
        assert row["row"] == said


@pytest.mark.parametrize("reason", BAD)
def test_strict_says_counts_and_the_first_line(tmp_path, reason):
    file = file_of(tmp_path, [good(0), good(1), BAD[reason], good(2), good(3)])
    with pytest.raises(StrictError) as e:
        read(file, strict=True)
    said = str(e.value)
    assert said.startswith(f"{file}: 1 of 5 rows cannot be events: 1 {reason}; first: line 4, {reason}: ")
    assert "\n" not in said
    assert len(read(file_of(tmp_path, [good(0), good(1)]), strict=True)) == 2


@pytest.mark.parametrize("cut", ["u9,i9,16", 'u9,i9,1600000009,"vie', "u9"])
def test_a_truncated_last_line(tmp_path, cut):
    events = read(file_of(tmp_path, [good(0), good(1), cut], end=""))
    assert events.quarantined == {"truncated last line": 1}
    assert events.quarantine["line"].to_pylist() == [4]
    assert events.quarantine["row"].to_pylist() == [cut]


def test_negative_values_are_behaviour(tmp_path):
    events = read(file_of(tmp_path, [good(0), good(1).replace("1.5", "-20")]))
    assert events.quarantined == {}
    assert events.table()["value"].to_pylist() == [1.5, -20]


def test_a_null_item_is_an_event_only_of_some_kind(tmp_path):
    table = pa.table({"user": [1, 1], "item": [5, None], "time": [1, 2]})
    assert read(table).quarantined == {"null item": 1}
    events = read(table.append_column("kind", pa.array(["view", "search"])))
    assert events.quarantined == {}
    assert events.sequences.columns["item"].tolist() == [0, -1]
    assert events.table()["item"].to_pylist() == [5, None]
    assert events.table()["item_code"].to_pylist() == [0, None]


def test_repeated_events_are_kept_once(tmp_path):
    again = [good(0), good(1), good(0), good(0).replace("view", "buy"), good(1)]
    events = read(file_of(tmp_path, again), event="event")
    assert events.repeated == 2
    assert events.quarantined == {"duplicate event id": 1}
    assert events.quarantine["line"].to_pylist() == [5]
    assert events.table()["kind"].to_pylist() == ["view", "view"]
    assert len(read(file_of(tmp_path, [good(0), good(0)]), strict=True)) == 1


def test_a_bad_row_does_not_hide_a_good_one_of_the_same_id(tmp_path):
    events = read(file_of(tmp_path, [BAD["null user"].replace(",9,9", ",7,9"), good(7)]))
    assert events.quarantined == {"null user": 1}
    assert len(events) == 1


def test_nan_of_arrow_is_bad_and_of_pandas_missing():
    rows = {"user": [1.0, 2.0], "item": [1, 2], "time": [1, 2], "value": [float("nan"), 1.0]}
    assert read(pa.table(rows)).quarantined == {"not finite (value)": 1}
    assert read(pd.DataFrame(rows)).quarantined == {}
    users = {"user": [float("nan"), 2.0], "item": [1, 2], "time": [1, 2]}
    assert read(pa.table(users)).quarantined == {"null user": 1}


def test_rows_of_parquet_files_are_numbered_by_file(tmp_path):
    pq.write_table(pa.table({"user": ["a", "b"], "time": [1, 2]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"user": ["a", None, ""], "time": [1, 2, 3]}), tmp_path / "2.parquet")
    events = read(tmp_path)
    assert events.quarantined == {"null user": 2}
    assert [(r["file"], r["line"]) for r in events.quarantine.to_pylist()] == [
        (str(tmp_path / "2.parquet"), 2),
        (str(tmp_path / "2.parquet"), 3),
    ]


def test_broken_encoding_in_parquet(tmp_path):
    raw = pa.array([b"fine", b"caf\xe9"], pa.binary())
    unsound = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    pq.write_table(pa.table({"user": unsound, "time": [1, 2]}), tmp_path / "e.parquet")
    for source in (tmp_path / "e.parquet", pa.table({"user": raw, "time": [1, 2]})):
        events = read(source)
        assert events.quarantined == {"broken encoding": 1}
        assert json.loads(events.quarantine["row"][0].as_py()) == {"user": "caf\\xe9", "time": "2"}
        assert events.vocabularies["user"].ids.to_pylist() == ["fine"]


def test_encoding_and_fields_broken_at_once(tmp_path):
    events = read(file_of(tmp_path, [good(0), "\xff,\xfe\n", good(1)]))
    assert events.quarantined == {"wrong number of fields": 1}
    assert events.quarantine["row"].to_pylist() == ["\\xff,\\xfe"]


def test_declared_numbers_of_atomic_files(tmp_path):
    (tmp_path / "a.inter").write_text("user_id:token\ttimestamp:float\tspeed:float\n1\t5\t2.5\n1\t6\tfast\n2\t7\t\n")
    events = read(tmp_path / "a.inter")
    assert events.quarantined == {"wrong type (speed)": 1}
    assert events.table()["speed"].to_pylist() == [2.5, None]


def test_nothing_left_is_an_error_that_says_why(tmp_path):
    with pytest.raises(SourceError, match=r"2 of 2 rows cannot be events: 2 unparsable time; first: line 2"):
        read(file_of(tmp_path, [BAD["unparsable time"], BAD["unparsable time"]]))
    with pytest.raises(SourceError, match=r"Nothing is left to import\. Times are ISO text"):
        read(file_of(tmp_path, [BAD["unparsable time"]]))
    with pytest.raises(SourceError, match=r"1 of 1 rows cannot be events: 1 wrong number of fields; first: line 2"):
        read(file_of(tmp_path, ["a,b\n"]))


def test_broken_rows_of_every_kind(tmp_path):
    rng = np.random.default_rng(1)
    kinds = list(BAD)
    rows, want = [good(1)], {}
    for i in range(1, 4_000):
        if rng.random() < 0.05:
            reason = kinds[rng.integers(0, len(kinds))]
            rows.append(BAD[reason].replace(",9,9", f",{i},9"))
            want[reason] = want.get(reason, 0) + 1
        else:
            rows.append(good(i + 1_000_000))
    file = file_of(tmp_path, rows)
    events = read(file)
    assert dict(events.quarantined) == want
    assert len(events) == 4_000 - sum(want.values())
    assert min(want.values()) > 2
    lines = {r["line"] for r in events.quarantine.to_pylist()}
    assert lines == {i + 2 for i, row in enumerate(rows) if i and row != good(i + 1_000_000)}


cells = st.one_of(
    st.sampled_from(
        ["", "1", "2", "x", "nan", "inf", "1600000000", "1600000001000", "2020-01-01", '"', '"q"', "é", "-1"]
    ),
    st.text(alphabet='ab1",\n\xe9', max_size=4),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(cells, min_size=1, max_size=6), min_size=1, max_size=12), st.booleans())
def test_no_row_disappears(tmp_path_factory, rows, end):
    """Rows read = rows kept + repeated + quarantined, whatever stands in the file."""
    file = tmp_path_factory.mktemp("any") / "e.csv"
    text = "user,item,time,value,event\n" + "\n".join(",".join(r) for r in rows) + ("\n" if end else "")
    file.write_bytes(text.encode("latin-1"))
    try:
        total = load(file).total
    except SourceError:
        assert not text.partition("\n")[2].strip()
        return
    try:
        events = read(file)
    except SourceError as e:
        told = str(e)
        assert f"{total:,} of {total:,} rows" in told
        return
    assert len(events) + events.repeated + sum(events.quarantined.values()) == events.read == total
    assert (0 if events.quarantine is None else len(events.quarantine)) == sum(events.quarantined.values())
