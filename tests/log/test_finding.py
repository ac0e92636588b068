"""Patterns and folders of files, compressed or not, and frames of other libraries."""

from __future__ import annotations

import bz2
import gzip

import duckdb
import narwhals as nw
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ethogram.cli import main
from ethogram.errors import SourceError
from ethogram.log import Log
from ethogram.log.importer import read

HEAD = "user,item,time\n"
PACK = {
    "": lambda b: b,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda b: pa.Codec("zstd").compress(b, asbytes=True),
}


def put(folder, name, rows, packed=""):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}{packed}").write_bytes(PACK[packed]((HEAD + rows).encode()))


@pytest.mark.parametrize("packed", PACK)
def test_lines_are_those_inside_each_compressed_file(tmp_path, packed):
    put(tmp_path, "part-2.csv", "b,1,2020-01-02\n\nb,2,never\n", packed)
    put(tmp_path, "part-1.csv", "a,1,2020-01-01\na,2\n", packed)
    events = read(tmp_path / f"part-*.csv{packed}")
    assert events.table()["user"].to_pylist() == ["a", "b"]
    assert events.table()["event"].to_pylist() == [0, 1]  # in order of the files' names
    said = [(r["file"], r["line"], r["reason"]) for r in events.quarantine.to_pylist()]
    assert said == [
        (str(tmp_path / f"part-1.csv{packed}"), 3, "wrong number of fields"),
        (str(tmp_path / f"part-2.csv{packed}"), 4, "unparsable time"),
    ]
    assert read(tmp_path).fingerprint == events.fingerprint  # the folder holds nothing else


def test_gzip_of_several_members_is_read_to_its_end(tmp_path):
    file = tmp_path / "e.csv.gz"
    file.write_bytes(gzip.compress((HEAD + "a,1,1\n").encode()) + gzip.compress(b"b,2,2\nc,3,\n"))
    events = read(file)
    assert events.table()["user"].to_pylist() == ["a", "b"]
    assert events.quarantine.to_pylist()[0]["line"] == 4


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_atomic_files_with_their_side_tables(tmp_path, packed):
    text = b"user_id:token\titem_id:token\ttimestamp:float\n1\t9\t5\n2\t8\t6\n"
    (tmp_path / f"d.inter{packed}").write_bytes(PACK[packed](text))
    (tmp_path / f"d.item{packed}").write_bytes(PACK[packed](b"item_id:token\ttag:token\n9\tx\n"))
    for source in (tmp_path / f"d.inter{packed}", tmp_path):
        events = read(source)
        assert events.items.to_pylist() == [{"item": 9, "tag": "x"}]
        assert len(events) == 2


def test_lists_of_several_files_go_on_where_a_user_stopped(tmp_path):
    (tmp_path / "a.txt").write_text("1 10 20\n2 30\n")
    (tmp_path / "b.txt").write_text("2 40 50\n1 60\n")
    table = read(tmp_path / "?.txt").table()
    assert table["item"].to_pylist() == [10, 20, 60, 30, 40, 50]
    assert table["order"].to_pylist() == [0, 1, 2, 0, 1, 2]


def test_what_does_not_go_together(tmp_path):
    put(tmp_path, "a.csv", "a,1,1\n")
    (tmp_path / "b.csv").write_text("user,when\n1,2\n")
    with pytest.raises(SourceError, match=r"b\.csv: has not the same columns as .*a\.csv; they differ in item, time"):
        read(tmp_path)
    (tmp_path / "b.csv").rename(tmp_path / "b.tsv")
    with pytest.raises(SourceError, match=r"holds csv and tsv files; name those to read"):
        read(tmp_path)
    with pytest.raises(SourceError, match="no file matches this pattern"):
        read(tmp_path / "*.jsonl")
    pq.write_table(pa.table({"user": [1], "time": [1]}), tmp_path / "c.parquet")
    with pytest.raises(SourceError, match="matches text files and Parquet files"):
        read(tmp_path / "[ac].*")


def test_a_changed_file_of_a_pattern_is_noticed(tmp_path):
    put(tmp_path, "a.csv", "a,1,1\n")
    first = Log.open(str(tmp_path / "*.csv"))
    put(tmp_path, "b.csv", "b,1,2\n")
    second = Log.open(str(tmp_path / "*.csv"))
    assert (len(first.events), len(second.events)) == (1, 2)
    assert first != second


def test_the_command_takes_patterns_and_zones(tmp_path, capsys):
    put(tmp_path, "a.csv", "a,1,2024-07-01 12:00:00\n", ".gz")
    assert main(["log", "import", f"{tmp_path}/*.gz", "--tz", "Europe/Berlin", "--out", str(tmp_path / "log")]) == 0
    assert "in Europe/Berlin" in capsys.readouterr().out
    made = Log.open(tmp_path / "log")
    assert made.table()["time"][0].as_py().hour == 10
    assert (
        made.append({"user": ["a"], "item": [1], "time": ["2024-07-02 12:00:00"]}).table()["time"][1].as_py().hour == 10
    )
    assert main(["log", "import", f"{tmp_path}/*.xyz", "--out", str(tmp_path / "no")]) == 2
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "made",
    [
        lambda t: duckdb.connect().from_arrow(t),
        nw.from_native,
        lambda t: nw.from_native(pl.from_arrow(t).lazy()),
        lambda t: nw.from_native(t.to_pandas()),
    ],
    ids=["duckdb", "narwhals", "narwhals lazy", "narwhals pandas"],
)
def test_frames_of_other_libraries(made):
    table = pa.table({"user": ["a", "b"], "item": [1, 2], "time": [10, 20], "value": [None, 1.5]})
    assert read(made(table)).fingerprint == read(table).fingerprint


def test_what_is_no_frame():
    with pytest.raises(SourceError, match=r"cannot be read as a table.*narwhals knows"):
        read(object())
