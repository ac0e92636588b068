"""Payloads: checked, told by kind, kept on append."""

from __future__ import annotations

import json
import tomllib

import pyarrow as pa
import pytest

from ethogram.errors import StrictError
from ethogram.log import Log
from ethogram.log.importer import read
from ethogram.log.payload import MOST_KEYS, merge
from ethogram.log.store import append, open_stored, write

ROWS = {
    "user": [1, 1, 1, 1, 2, 2],
    "time": [5, 1, 3, 4, 2, 6],
    "kind": ["tap", "tap", "say", "say", None, "tap"],
    "payload": [
        '{"x": 3, "y": 0.5, "on": true}',
        '{"x": 2.5, "why": null}',
        '{"words": ["a"], "to": {"name": "ü"}}',
        None,
        '{"x": "left"}',
        "",
    ],
}
SCHEMA = {
    "": {"x": "string"},
    "say": {"to": "object", "words": "array"},
    "tap": {"on": "boolean", "why": "null", "x": "number", "y": "number"},
}


def test_each_kind_has_keys_of_its_own():
    events = read(ROWS)
    assert events.payload == SCHEMA
    assert events.quarantined == {}
    said = dict(zip(events.table()["event"].to_pylist(), events.table()["payload"].to_pylist(), strict=True))
    assert [said[i] for i in range(6)] == ROWS["payload"]
    assert "payload" not in events.sequences.columns


def test_without_kinds_there_is_one_schema():
    rows = {k: v for k, v in ROWS.items() if k != "kind"}
    events = read({**rows, "item": range(6)})
    assert list(events.payload) == [""]
    assert events.payload[""]["x"] == "number|string"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"x": 1', "broken JSON (payload)"),
        ("{'x': 1}", "broken JSON (payload)"),
        ('{"x": NaN}', "broken JSON (payload)"),
        ("tap", "broken JSON (payload)"),
        ("[" * 100_000, "broken JSON (payload)"),
        ("[1]", "wrong type (payload)"),
        ("3", "wrong type (payload)"),
        ("null", "wrong type (payload)"),
    ],
)
def test_what_is_no_object_is_set_aside(text, reason):
    rows = {"user": [1, 1, 2], "item": [1, 2, 3], "time": [1, 2, 3], "payload": ['{"x": 1}', text, None]}
    events = read(rows)
    assert events.quarantined == {reason: 1}
    (row,) = events.quarantine.to_pylist()
    assert row["line"] == 2
    assert json.loads(row["row"])["payload"] == text
    assert events.payload == {"": {"x": "integer"}}
    with pytest.raises(StrictError, match="1 of 3 rows"):
        read(rows, strict=True)


def test_the_payload_of_a_row_that_is_set_aside_says_nothing():
    events = read({"user": [1, None], "time": [1, 2], "payload": ['{"x": 1}', '{"z": 1}']})
    assert events.payload == {"": {"x": "integer"}}


def test_structures_become_json():
    table = pa.table({"user": [1, 1], "time": [1, 2], "payload": [{"a": 1, "b": ["x"]}, None]})
    events = read(table)
    assert json.loads(events.table()["payload"][0].as_py()) == {"a": 1, "b": ["x"]}
    assert events.table()["payload"][1].as_py() is None
    assert events.payload == {"": {"a": "integer", "b": "array"}}


def test_the_schema_is_stored_and_grows(tmp_path):
    write(read(ROWS), tmp_path / "log")
    assert open_stored(tmp_path / "log").payload == SCHEMA
    assert tomllib.loads((tmp_path / "log" / "log.toml").read_text())["payload"] == SCHEMA
    more = {
        "user": [3, 3, 3],
        "time": [7, 8, 9],
        "kind": ["tap", 'a "quote".', "tap"],
        "payload": ['{"on": 1}', '{"a.b": 1}', "{"],
    }
    assert append(tmp_path / "log", more).quarantined == {"broken JSON (payload)": 1}
    grown = open_stored(tmp_path / "log").payload
    assert grown == {
        **SCHEMA,
        "tap": {**SCHEMA["tap"], "on": "boolean|integer"},
        'a "quote".': {"a.b": "integer"},
    }
    append(tmp_path / "log", {"user": [4], "time": [9]})
    assert open_stored(tmp_path / "log").payload == grown


def test_steps_leave_the_schema_of_what_is_left(tmp_path):
    made = Log.open(ROWS).where("kind == 'say'").write(tmp_path / "said")
    assert made.events.payload == {"say": SCHEMA["say"]}


def test_ids_as_keys_are_no_schema():
    schema = merge([{"k": {str(i): "integer"}} for i in range(MOST_KEYS + 1)] + [{"k": {"x": "string"}}])
    assert schema == {"k": {"*": "integer|string"}}
    assert merge([schema, {"k": {"y": "null"}}]) == {"k": {"*": "integer|null|string"}}
    assert len(merge([{"k": {str(i): "integer"}} for i in range(MOST_KEYS)])["k"]) == MOST_KEYS
