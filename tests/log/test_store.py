"""Stored logs: what is written comes back, from any engine; damage is named; appends join as if read at once."""

from __future__ import annotations

import shutil
import tomllib

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import LogFormatError, RolesError, SourceError, StrictError
from ethogram.log import store
from ethogram.log.importer import read
from ethogram.log.store import append, open_stored, verify, write


def source(n: int, seed: int = 0, users: int = 20, **more) -> dict:
    rng = np.random.default_rng(seed)
    kinds = np.array(["view", "buy", "refund"])
    return {
        "user": [f"u{u}" for u in rng.integers(0, users, n)],
        "item": rng.integers(0, 50, n),
        "time": rng.integers(1_600_000_000, 1_600_000_500, n),
        "kind": kinds[rng.integers(0, 3, n)],
        "value": np.where(rng.random(n) < 0.2, None, rng.normal(size=n)),
        "count": rng.integers(0, 5, n),
        "text": [f"said {i % 7}" if i % 3 else None for i in range(n)],
        "tags": [[f"t{i % 4}"] * (i % 3) for i in range(n)],
        **more,
    }


@pytest.fixture
def log(tmp_path):
    events = read(source(300), items={"item": [1, 2], "colour": ["red", None], "words": [["a"], []]})
    write(events, tmp_path / "log")
    return tmp_path / "log"


def content(events) -> list[dict]:
    """All that the events say, in an order of their own; codes left out, since they depend on what came first."""
    table = events.table().drop_columns(["user_code", "item_code"])
    return table.sort_by("event").to_pylist()


def same_as_read(events) -> None:
    """The arrays agree with the table, row by row."""
    table, sequences = events.table(), events.sequences
    assert np.array_equal(table["event"].to_numpy(), sequences.columns["event"])
    assert np.array_equal(table["user_code"].to_numpy(), sequences.user)
    assert np.array_equal(table["item_code"].fill_null(-1).to_numpy(), sequences.columns["item"])
    for name in events.vocabularies:
        codes = sequences.user if name == "user" else sequences.columns[name]
        assert events.vocabularies[name].decode(codes).to_pylist() == table[name].to_pylist()
    assert np.array_equal(table["time"].cast(pa.int64()).to_numpy(), sequences.columns["time"])
    values = table["value"].fill_null(np.nan).to_numpy().astype(np.float32)
    assert np.array_equal(values, sequences.columns["value"], equal_nan=True)
    keys = [sequences.columns["event"], sequences.columns["time"], sequences.user]
    assert np.array_equal(np.lexsort(keys), np.arange(len(sequences)))
    clean = type(sequences)(sequences.users, sequences.offsets, sequences.columns, sequences.vocabularies)
    assert np.array_equal(clean.groups, sequences.groups)


def test_what_is_written_comes_back(tmp_path, log):
    events = read(source(300), items={"item": [1, 2], "colour": ["red", None], "words": [["a"], []]})
    stored = open_stored(log)
    assert stored.table().equals(events.table())
    assert stored.fingerprint == events.fingerprint
    assert stored.roles == events.roles
    assert stored.items.equals(events.items)
    assert stored.users is None
    assert dict(stored.schema) == dict(events.schema)
    for name, column in events.sequences.columns.items():
        assert np.array_equal(stored.sequences.columns[name], column, equal_nan=column.dtype.kind == "f")
        assert stored.sequences.columns[name].dtype == column.dtype
    assert set(stored.vocabularies) == set(events.vocabularies)
    assert all(stored.vocabularies[name] == events.vocabularies[name] for name in events.vocabularies)
    same_as_read(stored)
    verify(log)
    write(stored, tmp_path / "copy")
    copy = open_stored(tmp_path / "copy")
    assert copy.table().equals(events.table())
    assert copy.fingerprint == events.fingerprint


def test_quarantine_is_stored(tmp_path):
    events = read({"user": [1, None], "time": [1, 2]})
    write(events, tmp_path / "log")
    stored = open_stored(tmp_path / "log")
    assert stored.quarantined == {"null user": 1}
    assert stored.quarantine.equals(events.quarantine)


def test_opening_reads_no_events(log, monkeypatch):
    """Open costs the same for any number of events: arrays are mapped, and no Parquet file is opened."""
    import pyarrow.parquet as pq

    def refuse(*_, **__):
        raise AssertionError("a Parquet file was read")

    monkeypatch.setattr(pq, "ParquetFile", refuse)
    stored = open_stored(log)
    assert len(stored) == 300
    assert isinstance(stored.sequences.columns["item"].base, np.memmap)
    with pytest.raises(AssertionError, match="was read"):
        stored.vocabularies["user"]


def test_any_engine_reads_it(log):
    append(log, source(40, seed=1, users=40))
    stored = open_stored(log)
    con = duckdb.connect()
    rows = con.execute(
        f"""
        SELECT b.event, b."user", b.item, epoch_us(b.time), v.code = b.user_code, i.code = b.item_code, kind, value
        FROM read_parquet('{log}/blocks/*.parquet') b
        JOIN read_parquet('{log}/vocabularies/user-*.parquet') v ON v.id = b."user"
        JOIN read_parquet('{log}/vocabularies/item-*.parquet') i ON i.id = b.item
        ORDER BY b.event
        """
    ).fetchall()
    table = stored.table().sort_by("event")
    assert len(rows) == 340
    assert [r[:3] for r in rows] == list(zip(*(table[c].to_pylist() for c in ("event", "user", "item")), strict=True))
    assert [r[3] for r in rows] == table["time"].cast(pa.int64()).to_pylist()
    assert all(r[4] and r[5] for r in rows)
    assert [r[6:] for r in rows] == list(zip(table["kind"].to_pylist(), table["value"].to_pylist(), strict=True))
    described = tomllib.loads((log / "log.toml").read_text())
    assert [c["name"] for c in described["column"]] == table.column_names


def test_appends_give_what_one_import_gives(tmp_path):
    whole = source(500)
    whole["item"] = [int(i) if i != 7 else None for i in whole["item"]]  # allowed: there is a kind
    parts = [slice(0, 200), slice(200, 210), slice(210, 500)]
    write(read({k: v[parts[0]] for k, v in whole.items()}), tmp_path / "log")
    before = open_stored(tmp_path / "log")
    codes = {name: before.vocabularies[name].ids.to_pylist() for name in before.vocabularies}
    for part in parts[1:]:
        added = append(tmp_path / "log", {k: v[part] for k, v in whole.items()})
        assert added == (part.stop - part.start, 0, {})
        same_as_read(open_stored(tmp_path / "log"))
    grown, once = open_stored(tmp_path / "log"), read(whole)
    assert content(grown) == content(once)
    for name, ids in codes.items():
        assert grown.vocabularies[name].ids.to_pylist()[: len(ids)] == ids
        assert sorted(grown.vocabularies[name].ids.to_pylist()) == once.vocabularies[name].ids.to_pylist()
    assert len(grown.parquet()) == 3
    assert grown.fingerprint != before.fingerprint
    # the log that was open before still says what it said
    assert content(before) == content(read({k: v[parts[0]] for k, v in whole.items()}))
    verify(tmp_path / "log")


def test_an_append_of_known_events_changes_nothing(log):
    before = open_stored(log)
    again = before.table()
    assert append(log, again) == (0, 300, {})
    after = open_stored(log)
    assert after.fingerprint == before.fingerprint
    assert after.repeated == 300
    assert after.table().equals(again)
    other = again.slice(0, 3).set_column(again.column_names.index("value"), "value", pa.array([7.0, 8.0, 9.0]))
    assert append(log, pa.concat_tables([other, again.slice(5, 1)])) == (0, 1, {"duplicate event id": 3})
    assert open_stored(log).table().equals(again)
    assert len(open_stored(log).quarantine) == 3


def test_new_event_ids_go_on_from_the_last(log):
    append(log, source(2, seed=5))
    table = open_stored(log).table()
    assert sorted(table["event"].to_pylist()) == list(range(302))
    append(log, source(1, seed=6, event=[1_000]))
    append(log, source(1, seed=7))
    assert max(open_stored(log).table()["event"].to_pylist()) == 1_001


def test_columns_of_an_append_must_be_those_of_the_log(log):
    more = source(3, seed=1)
    with pytest.raises(RolesError, match="the log has no column 'shoe'"):
        append(log, {**more, "shoe": [1, 2, 3]})
    with pytest.raises(RolesError, match="no column is the time"):
        append(log, {k: v for k, v in more.items() if k != "time"})
    assert append(log, {**more, "count": ["1", "many", "3"]}).quarantined == {"wrong type (count)": 1}
    less = {k: v for k, v in more.items() if k in ("user", "item", "time")}
    assert append(log, less).events == 3
    stored = open_stored(log)
    same_as_read(stored)
    assert stored.table().filter(pa.compute.greater(stored.table()["event"], 301))["kind"].to_pylist() == [None] * 3
    # a whole number is missing now: the column is one of numbers with gaps
    assert np.isnan(stored.sequences.columns["count"]).sum() == 3
    assert stored.schema["count"] == pa.int64()


def test_roles_of_an_append_are_those_of_the_first_source(tmp_path):
    first = {"who": ["a", "b"], "what": [1, 2], "when": [1, 2], "rating": [5, 4]}
    write(read(first, user="who", item="what", time="when", value=None), tmp_path / "log")
    append(tmp_path / "log", {"who": ["c"], "what": ["7"], "when": [5], "rating": [1]})
    append(tmp_path / "log", {"user": ["d"], "x": [3], "time": [6], "rating": [2]}, item="x")
    stored = open_stored(tmp_path / "log")
    assert stored.roles.value is None
    assert stored.table()["user"].to_pylist() == ["a", "b", "c", "d"]
    assert stored.table()["item"].to_pylist() == [1, 2, 7, 3]
    assert stored.table()["rating"].to_pylist() == [5, 4, 1, 2]
    with pytest.raises(RolesError, match="unknown role 'usr'"):
        append(tmp_path / "log", first, usr="who")
    assert append(tmp_path / "log", {"who": ["c", "c"], "what": ["7", "x7"], "when": [9, 9], "rating": [1, 1]}) == (
        1, 0, {"wrong type (item)": 1},
    )  # fmt: skip


def test_a_refused_append_leaves_the_log_as_it_was(log):
    before = {p: p.read_bytes() for p in log.rglob("*") if p.is_file()}
    with pytest.raises(StrictError, match="1 null user"):
        append(log, {"user": ["a", None], "item": [1, 1], "time": [1, 2]}, strict=True)
    with pytest.raises(SourceError, match="1 of 1 rows"):
        append(log, {"user": [None], "item": [1], "time": [1]})
    with pytest.raises(SourceError, match="no such file"):
        append(log, "nowhere.csv")
    after = {p: p.read_bytes() for p in log.rglob("*") if p.is_file() and p.name != ".lock"}
    assert after == {p: b for p, b in before.items() if p.name != ".lock"}


def test_rows_of_an_append_come_after_those_of_the_log(tmp_path):
    write(read({"user": [1, 2, 1], "item": [5, 6, 7]}, order="@row"), tmp_path / "log")
    append(tmp_path / "log", {"user": [1, 2], "item": [8, 9]})
    table = open_stored(tmp_path / "log").table()
    assert table["item"].to_pylist() == [5, 7, 8, 6, 9]
    assert table["order"].to_pylist() == [0, 2, 3, 1, 4]


def test_columns_of_any_name(tmp_path):
    odd = {
        "user": [1, 1],
        "time": [1, 2],
        "a/b": ["x", "y"],
        "ü %-1": [1, 2],
        'say "hi"\n': ["p", "q"],
        "users": [3, 4],
    }
    write(read(odd), tmp_path / "log")
    append(tmp_path / "log", {**odd, "a/b": ["z", "x"]})
    stored = open_stored(tmp_path / "log")
    assert stored.table()["a/b"].to_pylist() == ["x", "z", "y", "x"]
    assert stored.table()['say "hi"\n'].to_pylist() == ["p", "p", "q", "q"]
    assert stored.sequences.columns["users"].tolist() == [3, 3, 4, 4]
    assert stored.sequences.columns["ü %-1"].tolist() == [1, 1, 2, 2]
    assert stored.sequences.users.tolist() == [0]


def test_nothing_is_written_over(log, tmp_path):
    events = read({"user": [1], "time": [1]})
    with pytest.raises(LogFormatError, match="something is there already"):
        write(events, log)
    (tmp_path / "empty").mkdir()
    write(events, tmp_path / "empty")
    assert len(open_stored(tmp_path / "empty")) == 1


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(store, "write_array", fail)
    with pytest.raises(OSError, match="disk full"):
        write(read({"user": [1], "time": [1]}), tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def damage(log, change) -> str:
    change(log)
    with pytest.raises(LogFormatError) as e:
        open_stored(log)
    assert "\n" not in str(e.value)
    return str(e.value)


def edit(old: str, new: str):
    def change(log):
        text = (log / "log.toml").read_text()
        assert old in text
        (log / "log.toml").write_text(text.replace(old, new, 1))

    return change


def cut(path: str):
    def change(log):
        (log / path).write_bytes((log / path).read_bytes()[:-1])

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log: (log / "log.toml").unlink(), "not a log: there is no log.toml in it"),
        (edit("format = 1", "format = 2"), "written by a newer version (ethogram 0.1.0, format 2)"),
        (edit("format = 1", "format = one"), "log.toml: damaged"),
        (edit("events = 300", "event = 300"), "log.toml: damaged"),
        (edit("events = 300", "events = 299"), "the arrays hold 300 events, log.toml says 299"),
        (edit('arrow_schema = "', 'arrow_schema = "AAAA'), "log.toml: damaged"),
        (lambda log: (log / "log.toml").write_bytes(b"\xff"), "log.toml: damaged"),
        (lambda log: (log / "blocks/000001.parquet").unlink(), "the file blocks/000001.parquet is missing"),
        (lambda log: shutil.rmtree(log / "arrays"), "is missing"),
        (cut("blocks/000001.parquet"), "the file blocks/000001.parquet has"),
        (cut("arrays/000001/columns/item.npy"), "the file arrays/000001/columns/item.npy has"),
        (cut("vocabularies/user-000001.parquet"), "the file vocabularies/user-000001.parquet has"),
        (cut("tables/items.parquet"), "the file tables/items.parquet has"),
    ],
)
def test_damage_is_named(log, change, said):
    assert said in damage(log, change)


@pytest.mark.parametrize("path", ["blocks/000001.parquet", "arrays/000001/columns/time.npy", "tables/items.parquet"])
def test_a_flipped_byte_is_found_by_verify(log, path):
    data = bytearray((log / path).read_bytes())
    data[len(data) // 2] ^= 1
    (log / path).write_bytes(data)
    with pytest.raises(LogFormatError, match=f"the content of {path} is not what was written"):
        verify(log)
