"""Import on disk gives the same log as import in memory, however small the blocks are."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from tests.log.random_events import events as random_events

from ethogram.errors import SourceError, StrictError
from ethogram.log import Log, ingest, manifest
from ethogram.log.importer import read
from ethogram.log.ingest import ingest as on_disk
from ethogram.log.store import verify, write

TINY = {"rows": 37, "piece": 900, "part": 50}


def both(tmp_path, source, **options):
    """Import in both ways; every file has to be the same, to the byte."""
    write(read(source, **options), tmp_path / "memory")
    made = on_disk(source, tmp_path / "disk", **TINY, **options)
    one, other = manifest.read(tmp_path / "memory"), manifest.read(tmp_path / "disk")
    verify(tmp_path / "disk")
    assert (tmp_path / "disk" / "log.toml").read_text() == (tmp_path / "memory" / "log.toml").read_text()
    assert one == other
    assert {p.name for p in (tmp_path / "disk").iterdir()} == {p.name for p in (tmp_path / "memory").iterdir()}
    assert not list(tmp_path.glob(".*"))
    return made


def messy(n=400):
    """Rows with every kind of fault and type; values that need all of a column to be judged."""
    rng = np.random.default_rng(5)
    table = random_events(1, n)
    days = rng.integers(0, 900, n).astype("timedelta64[h]") + np.datetime64("2020-01-01T00")
    time = np.char.replace(np.datetime_as_string(days, "m"), "T", " ").astype(object)
    user = table["user"].to_pylist()
    for i in rng.integers(0, n, 12):
        time[i] = "never"
    for i in rng.integers(0, n, 9):
        user[i] = None
    columns = {
        "user": user, "item": table["item"], "time": time.tolist(), "value": table["value"], "kind": table["kind"],
        "note": [f"n{i % 9}, with \"quotes\"\nand lines" if i % 50 == 3 else f"n{i % 9}" for i in range(n)],
        "whole": rng.integers(0, 9, n), "late": [None if i < 300 else 1.5 for i in range(n)],
        "words": [f"{i}-{'w' * 70}" for i in range(n)], "mixed": ["5" if i < 380 else "x" for i in range(n)],
    }  # fmt: skip
    return pa.table(columns)


@pytest.mark.parametrize("name", ["e.csv", "e.csv.gz", "e.tsv"])
def test_text(tmp_path, name):
    out = pa.BufferOutputStream()
    pa_csv.write_csv(messy(), out, pa_csv.WriteOptions(delimiter="\t" if name == "e.tsv" else ","))
    data = bytes(out.getvalue()) + b"too,few\n\n"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    made = both(tmp_path, tmp_path / name, tz="Europe/Berlin")
    assert made.quarantined["unparsable time"] > 5
    assert made.quarantined["null user"] > 5
    assert made.quarantined["wrong number of fields"] == 1
    assert made.vocabularies["user"].is_integer
    assert "words" not in made.vocabularies
    assert made.vocabularies["mixed"].ids.to_pylist() == ["5", "x"]


@pytest.mark.parametrize("event", [False, True])
def test_parquet_with_event_ids_that_stand_twice(tmp_path, event):
    table = messy().drop_columns(["mixed"])
    if event:
        ids = np.random.default_rng(0).permutation(len(table))
        ids[[7, 99, 391]] = ids[[300, 2, 12]]
        table = table.append_column("event", pa.array(ids))
        again = table.slice(20, 60)  # the same rows again are repeats
        table = pa.concat_tables([table, again])
    (tmp_path / "s").mkdir()
    for i in range(3):
        pq.write_table(table.slice(i * 160, 160), tmp_path / "s" / f"p{i}.parquet", row_group_size=70)
    made = both(tmp_path, tmp_path / "s")
    if event:
        assert made.repeated > 40
        assert made.quarantined["duplicate event id"] >= 3


def test_json_lines_and_frames(tmp_path):
    rng = np.random.default_rng(2)
    rows = [
        {"user": int(u), "item": f"i{u % 7}", "time": 1_600_000_000 + int(t), "kind": "ab"[t % 2], "x": {"k": int(t)}}
        for u, t in zip(rng.integers(0, 20, 200), rng.integers(0, 999, 200), strict=True)
    ]
    file = tmp_path / "e.jsonl"
    file.write_text("\n".join([*map(json.dumps, rows[:90]), "{broken", "", *map(json.dumps, rows[90:]), '{"user"']))
    made = both(tmp_path, file)
    assert made.payload == {"a": {"x": "object"}, "b": {"x": "object"}}
    assert [r["line"] for r in made.quarantine.to_pylist()] == [91, 203]
    frame = random_events(4, 300)
    on_disk(frame, tmp_path / "f", **TINY)
    assert Log.open(tmp_path / "f").fingerprint() == Log.open(frame).write(tmp_path / "g").fingerprint()


def test_order_of_rows_as_the_clock(tmp_path):
    table = random_events(3, 500).drop_columns(["time"])
    pq.write_table(table, tmp_path / "e.parquet")
    both(tmp_path, tmp_path / "e.parquet", order="@row")


def test_what_fails_leaves_nothing(tmp_path):
    file = tmp_path / "e.csv"
    file.write_text("user,item,time\n" + "a,1,2020-01-01\n" * 200 + "a,1,never\n")
    with pytest.raises(StrictError, match="unparsable time"):
        on_disk(file, tmp_path / "log", strict=True, **TINY)
    file.write_text("user,item,time\n" + "a,1,never\n" * 200)
    with pytest.raises(SourceError, match=r"200 unparsable time\. Nothing is left to import\. Times are ISO"):
        on_disk(file, tmp_path / "log", **TINY)
    assert [p.name for p in tmp_path.iterdir()] == ["e.csv"]


def test_large_sources_go_to_disk_by_themselves(tmp_path, monkeypatch):
    pq.write_table(random_events(6, 400), tmp_path / "e.parquet")
    small = Log.ingest(tmp_path / "e.parquet", tmp_path / "a")
    monkeypatch.setattr(ingest, "LARGE", 1)
    large = Log.ingest(tmp_path / "e.parquet", tmp_path / "b")
    assert small.fingerprint() == large.fingerprint()
    assert large.events.said == {"time": "unix seconds"}
    assert large.describe()["events"] == 400


MEASURED = """
import sys, numpy as np, pyarrow as pa
from pathlib import Path
import pyarrow.parquet as pq
from ethogram.evaluate import measure
from ethogram.log import deal, ingest, store
from ethogram.log.importer import read
from ethogram.log.store import write
folder, how = Path(sys.argv[1]), sys.argv[2]
deal.ROW_GROUP = store.ROW_GROUP = 1 << 16
def run(file, out):
    if how == "disk":
        ingest.ingest(file, out, rows=1 << 15, part=1 << 16)
    else:
        write(read(file), out)
pq.write_table(pq.ParquetFile(folder / "e.parquet").read_row_group(0).slice(0, 999), folder / f"{how}.parquet")
run(folder / f"{how}.parquet", folder / f"{how}-few")  # compiles and imports
with measure() as cost:
    run(folder / "e.parquet", folder / how)
print(cost.peak_mb)
"""


def test_memory_is_that_of_blocks(tmp_path):
    """Two million events; peak anonymous memory of both ways, each in a process of its own."""
    n, rng = 2_000_000, np.random.default_rng(0)
    table = pa.table(
        {
            "user": rng.integers(0, 20_000, n),
            "item": rng.integers(0, 5_000, n),
            "time": rng.integers(1_600_000_000, 1_700_000_000, n),
            "value": rng.random(n),
        }
    )
    pq.write_table(table, tmp_path / "e.parquet", row_group_size=1 << 17, compression="none")
    peak = {
        how: float(subprocess.check_output([sys.executable, "-c", MEASURED, str(tmp_path), how], text=True))
        for how in ("memory", "disk")
    }
    same = [(tmp_path / how / "log.toml").read_text() for how in peak]
    assert same[0] == same[1]
    assert peak["disk"] < 0.4 * peak["memory"], peak
