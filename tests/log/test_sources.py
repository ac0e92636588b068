"""Every source gives the same events, and every bad one its line."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ethogram.errors import OptionError, RolesError, SourceError
from ethogram.log.importer import read
from ethogram.log.sources import load
from ethogram.log.store import append, open_stored, write

ROWS = {
    "user": ["ann", "bob", "ann", "cy"],
    "item": [3, 1, 2, 1],
    "time": [1_577_836_800, 1_577_836_805, 1_577_836_803, 1_577_836_801],
    "value": [1.5, None, -2.0, 4.0],
}
CSV = "user,item,time,value\nann,3,1577836800,1.5\nbob,1,1577836805,\nann,2,1577836803,-2.0\ncy,1,1577836801,4.0\n"


def same(events) -> bool:
    table = events.table()
    assert table["event"].to_pylist() == [0, 2, 1, 3]
    assert table["user"].to_pylist() == ["ann", "ann", "bob", "cy"]
    assert table["user_code"].to_pylist() == [0, 0, 1, 2]
    assert table["item"].to_pylist() == [3, 2, 1, 1]
    assert table["item_code"].to_pylist() == [2, 1, 0, 0]
    assert table["time"].cast(pa.int64()).to_pylist() == [t * 1_000_000 for t in np.take(ROWS["time"], [0, 2, 1, 3])]
    assert table["value"].to_pylist() == [1.5, -2.0, None, 4.0]
    assert table.schema.field("time").type == pa.timestamp("us", "UTC")
    sequences = events.sequences
    assert sequences.offsets.tolist() == [0, 2, 3, 4]
    assert sequences.columns["item"].dtype == np.int32
    assert np.array_equal(sequences.columns["value"], np.array([1.5, -2, np.nan, 4], np.float32), equal_nan=True)
    return True


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_separated_text(tmp_path, separator):
    file = tmp_path / "events.txt"
    file.write_text(CSV.replace(",", separator))
    assert same(read(file))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("\n", "\r\n").encode(),
        lambda t: t.replace("\n", "\r").encode(),
        lambda t: b"\xef\xbb\xbf" + t.encode(),
        lambda t: t.encode("utf-16"),
        lambda t: ("\n\n" + t.replace("bob", "\nbob") + "\n\n").encode(),
        lambda t: t.replace("ann", '"ann"').encode(),
        lambda t: t.rstrip("\n").encode(),
    ],
    ids=["windows", "old mac", "byte order mark", "utf-16", "blank lines", "quotes", "no newline at the end"],
)
def test_spellings_of_a_text_file(tmp_path, change):
    file = tmp_path / "events.csv"
    file.write_bytes(change(CSV))
    assert same(read(file))
    assert read(file).quarantined == {}


def test_compressed(tmp_path):
    file = tmp_path / "events.csv.gz"
    file.write_bytes(gzip.compress(CSV.encode()))
    assert same(read(file))
    file.write_bytes(gzip.compress(CSV.encode())[:-20])
    with pytest.raises(SourceError, match="truncated or damaged"):
        read(file)


def test_columns_of_spaces(tmp_path):
    file = tmp_path / "events.txt"
    file.write_text(" user   item time\n  7   1    20200101\n  7   2 20200102\n")
    assert read(file).table()["item"].to_pylist() == [1, 2]


def test_parquet_file_and_folder(tmp_path):
    table = pa.table(ROWS)
    pq.write_table(table, tmp_path / "all.parquet")
    assert same(read(tmp_path / "all.parquet"))
    folder = tmp_path / "parts"
    (folder / "day=1").mkdir(parents=True)
    (folder / "day=2").mkdir()
    pq.write_table(table.slice(0, 1), folder / "day=1" / "a.parquet")
    pq.write_table(table.slice(1), folder / "day=2" / "b.parquet")
    (folder / "_SUCCESS").touch()
    events = read(folder)
    assert same(events)
    assert events.roles.extra == ("day",)
    assert events.table()["day"].to_pylist() == ["1", "2", "2", "2"]


def test_parquet_of_other_columns_is_named(tmp_path):
    pq.write_table(pa.table(ROWS), tmp_path / "a.parquet")
    pq.write_table(pa.table({"user": [1], "when": [2]}), tmp_path / "b.parquet")
    with pytest.raises(SourceError, match=r"b\.parquet: has not the same columns as .*a\.parquet"):
        read(tmp_path)


@pytest.mark.parametrize(
    "made",
    [
        pa.table,
        pl.DataFrame,
        lambda rows: pl.DataFrame(rows).lazy(),
        pd.DataFrame,
        lambda rows: pd.DataFrame(rows).astype({"user": "category"}),
        lambda rows: pa.table(rows).to_reader(),
        dict,
        lambda rows: pa.table(rows).set_column(0, "user", pa.array(rows["user"]).dictionary_encode()),
        lambda rows: pa.table(rows).set_column(0, "user", pa.array(rows["user"]).cast(pa.large_string())),
    ],
    ids=["arrow", "polars", "lazy polars", "pandas", "categories", "reader", "dict", "dictionary", "large strings"],
)
def test_frames(made):
    assert same(read(made(ROWS)))


def test_a_log_is_a_source(tmp_path):
    events = read(pa.table(ROWS))
    write(events, tmp_path / "log")
    again = read(tmp_path / "log")
    assert again.table().equals(events.table())
    assert again.fingerprint == events.fingerprint


def test_pandas_nan_is_missing_and_ids_stay_whole():
    frame = pd.DataFrame({"user": [1, 2, np.nan], "item": ["a", None, "b"], "time": [1, 2, 3], "kind": ["x", "y", "z"]})
    events = read(frame)
    assert events.quarantined == {"null user": 1}
    assert events.vocabularies["user"].ids.to_pylist() == [1, 2]
    assert events.sequences.columns["item"].tolist() == [0, -1]


def test_pandas_objects_of_mixed_type():
    frame = pd.DataFrame({"user": ["a", 5], "item": [1, 2], "time": [1, 2], "value": ["7", 8.5]}, dtype=object)
    events = read(frame)
    assert sorted(events.vocabularies["user"].ids.to_pylist()) == ["5", "a"]
    assert sorted(events.table()["value"].to_pylist()) == [7.0, 8.5]


def test_atomic_files_with_side_tables(tmp_path):
    (tmp_path / "d.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\ttags:token_seq\n"
        '1\t"a\t3\t881250949\tx y\n2\tb\t4.5\t881250950\t\n'
    )
    (tmp_path / "d.item").write_text(
        'item_id:token\ttitle:token_seq\tyear:token\tsize:float_seq\n"a\tA long\t05\t1 2\n'
    )
    (tmp_path / "d.user").write_text("user_id:token\tage:float\n1\t30\n2\t\n")
    events = read(tmp_path / "d.inter")
    assert events.table()["item"].to_pylist() == ['"a', "b"]
    assert events.table()["tags"].to_pylist() == [["x", "y"], None]
    assert events.table()["value"].to_pylist() == [3, 4.5]
    assert events.items.to_pylist() == [{"item": '"a', "title": ["A", "long"], "year": "05", "size": [1.0, 2.0]}]
    assert events.users.to_pylist() == [{"user": 1, "age": 30}, {"user": 2, "age": None}]
    assert read(tmp_path).fingerprint == events.fingerprint


def test_lists(tmp_path):
    file = tmp_path / "lists.txt"
    file.write_text("1 10 11 10\n2 11\n\n7\n12 5 6\n")
    events = read(file)
    assert events.roles.order == "order"
    assert events.roles.time is None
    table = events.table()
    assert table["user"].to_pylist() == [1, 1, 1, 2, 12, 12]
    assert table["item"].to_pylist() == [10, 11, 10, 11, 5, 6]
    assert table["order"].to_pylist() == [0, 1, 2, 0, 0, 1]
    assert events.quarantine.to_pylist() == [{"file": str(file), "line": 4, "reason": "user without items", "row": "7"}]
    file.write_text("ann x y\nbob x\n")
    assert read(file).vocabularies["item"].ids.to_pylist() == ["x", "y"]


def test_side_tables_by_argument(tmp_path):
    (tmp_path / "i.csv").write_text("name,item_id,price\nfoo,1,2.5\nbar,2,\n")
    events = read(pa.table(ROWS), items=tmp_path / "i.csv", users={"id": ["ann"], "user": ["x"]})
    assert events.items.to_pylist() == [
        {"item": 1, "name": "foo", "price": 2.5},
        {"item": 2, "name": "bar", "price": None},
    ]
    assert events.users.column_names == ["user", "id"]
    with pytest.raises(SourceError, match="item 1 has more than one row"):
        read(pa.table(ROWS), items={"item": [1, 1]})
    with pytest.raises(SourceError, match="1 rows of the side table have no user"):
        read(pa.table(ROWS), users={"user": ["a", None]})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("blank.csv", b"\n \n", "no lines"),
        ("header.csv", b"user,item,time\n", "a header and no rows"),
        ("twice.csv", b"user,item,item,time\n1,2,3,4\n", "two columns are named 'item'"),
        ("image.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not a text file"),
        ("broken.parquet", b"PAR1garbage", "not readable as Parquet"),
        ("other.parquet", b"user,item\n", "not readable as Parquet"),
    ],
)
def test_bad_files(tmp_path, name, content, said):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(SourceError, match=said) as e:
        read(file)
    assert str(file) in str(e.value)
    assert "\n" not in str(e.value)


def test_truncated_parquet(tmp_path):
    file = tmp_path / "events.parquet"
    pq.write_table(pa.table(ROWS), file)
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(SourceError, match=r"events\.parquet: not readable as Parquet, truncated or damaged"):
        read(file)


def test_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "events.csv").write_text(CSV)
    with pytest.raises(SourceError, match=r"no such file or folder\. Did you mean 'events\.csv'\?"):
        read(tmp_path / "evnts.csv")


def test_a_folder_that_holds_nothing(tmp_path):
    (tmp_path / "readme").write_text("hello")
    with pytest.raises(SourceError, match=r"neither a log .* nor does it hold Parquet, CSV"):
        read(tmp_path)


@pytest.mark.parametrize("source", [5, None, [1, 2], pa.table({}), {"user": [1, 2], "item": [1]}])
def test_what_is_no_table(source):
    with pytest.raises((SourceError, RolesError)) as e:
        read(source)
    assert "\n" not in str(e.value)


def test_lines_of_a_large_file_read_in_blocks(tmp_path):
    """Line numbers hold over the blocks in which a file is read, with values that span lines."""
    rng = np.random.default_rng(0)
    lines, want, at = ["user,item,time,text"], [], 2
    for i in range(60_000):
        kind = rng.integers(0, 50)
        if kind == 0:
            lines.append(f"{i},2,bad,x")
            want.append((at, "unparsable time"))
            at += 1
        elif kind == 1:
            lines.append(f"{i},2")
            want.append((at, "wrong number of fields"))
            at += 1
        elif kind == 2:
            lines.append(f'{i},2,5,"two\nlines, one ""quoted"" {"x" * 200}"')
            at += 2
        else:
            lines.append(f"{i},2,{i},{'y' * 60}")
            at += 1
    file = tmp_path / "large.csv"
    file.write_text("\n".join(lines) + "\n")
    assert file.stat().st_size > 1 << 22
    events = read(file)
    found = events.quarantine
    assert list(zip(found["line"].to_pylist(), found["reason"].to_pylist(), strict=True)) == want
    assert load(file).total == 60_000
    assert len(events) + len(found) == 60_000


HEADLESS = "ann\t10\t2020-01-01\nbob\t11\t2020-01-02\nbob\t5\tsoon\n"


def test_a_file_without_header(tmp_path):
    file = tmp_path / "u.data"
    file.write_text("\n" + HEADLESS)
    events = read(file, header=False, user="1", item="2", time="3")
    assert events.table()["user"].to_pylist() == ["ann", "bob"]
    assert events.table()["item"].to_pylist() == [10, 11]
    assert events.quarantine["line"].to_pylist() == [4]
    assert events.roles.named() == {"user": "1", "item": "2", "time": "3"}
    write(events, tmp_path / "log")
    file.write_text("eve\t12\t2020-01-03\n")
    assert append(tmp_path / "log", file, header=False).events == 1
    spaced = tmp_path / "u.txt"
    spaced.write_text("7 1 20200101\n7 2 20200102\n")
    assert read(spaced, header=False, user="1", item="2", time="3").table()["item"].to_pylist() == [1, 2]


@pytest.mark.parametrize("text", [HEADLESS, "196\t242\t881250949\n186\t302\t891717742\n", "1,1,5\n2,1,6\n"])
def test_a_missing_header_says_what_to_do(tmp_path, text):
    file = tmp_path / "u.data"
    file.write_text(text)
    with pytest.raises((RolesError, SourceError)) as e:
        read(file)
    said = str(e.value)
    assert said.startswith(f"{file}: the first line looks like values (")
    assert "say header=False" in said
    assert "user='1', item='2', time='3'" in said
    assert "\n" not in said


def test_a_header_that_is_no_column_name_is_not_blamed(tmp_path):
    file = tmp_path / "e.csv"
    file.write_text("who,what,when\n1,2,3\n")
    with pytest.raises(RolesError, match=r"no column is the user\. Columns: who, what, when"):
        read(file)
    file.write_text("0,1,2\n5,6,7\n")
    assert read(file, user="0", item="1", time="2").table()["item"].to_pylist() == [6]


def test_header_is_of_text_files(tmp_path):
    pq.write_table(pa.table(ROWS), tmp_path / "e.parquet")
    for source in (tmp_path / "e.parquet", tmp_path, pa.table(ROWS)):
        with pytest.raises(OptionError, match="header=False is for text files"):
            read(source, header=False)


def test_lists_go_on_where_the_user_ended(tmp_path):
    file = tmp_path / "lists.txt"
    file.write_text("1 10 11\n2 11\n1 12\n")
    events = read(file)
    assert events.table()["order"].to_pylist() == [0, 1, 2, 0]
    write(events, tmp_path / "log")
    file.write_text("2 13 14\n3 9\n1 15\n")
    assert append(tmp_path / "log", file).events == 4
    table = open_stored(tmp_path / "log").table()
    assert table["user"].to_pylist() == [1, 1, 1, 1, 2, 2, 2, 3]
    assert table["item"].to_pylist() == [10, 11, 12, 15, 11, 13, 14, 9]
    assert table["order"].to_pylist() == [0, 1, 2, 3, 0, 1, 2, 0]
