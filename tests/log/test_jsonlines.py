"""JSON lines: columns, payload, broken lines."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pytest

from ethogram.errors import OptionError, SourceError
from ethogram.log import Log
from ethogram.log.importer import read

LINES = [
    '{"user": "ann", "item": 3, "time": "2024-01-01T10:00:00Z", "kind": "view", "ctx": {"page": 2, "ads": [1, 2]}}',
    "",
    '{"user": "bob", "item": "3", "time": 1704103201, "kind": "buy", "ctx": {"price": 1.5, "gift": null}}',
    '{"user": "ann", "item": 4, "time": "2024-01-01T10:00:03Z", "kind": "view"',
    "[1, 2]",
    '{"time": "2024-01-01T10:00:04Z", "item": 4, "kind": "buy"}',
    '{"user": "cy", "note": "caf\\u00e9", "item": null, "time": "2024-01-01T10:00:05Z", "kind": "buy"}',
]


@pytest.mark.parametrize("name", ["e.jsonl", "e.ndjson", "e.jsonl.gz", "e.ndjson.zst", "e.log"])
def test_lines_become_events_and_nested_fields_the_payload(tmp_path, name):
    file = tmp_path / name
    data = ("\n".join(LINES) + "\n").encode()
    if name.endswith(".gz"):
        data = gzip.compress(data)
    elif name.endswith(".zst"):
        data = pa.Codec("zstd").compress(data, asbytes=True)
    file.write_bytes(data)
    events = read(file)
    assert events.quarantined == {"broken JSON": 1, "no JSON object": 1, "null user": 1}
    aside = {r["line"]: r["reason"] for r in events.quarantine.to_pylist()}
    assert aside == {4: "broken JSON", 5: "no JSON object", 6: "null user"}  # counted with the blank line
    table = events.table()
    assert table["user"].to_pylist() == ["ann", "bob", "cy"]
    assert table["item"].to_pylist() == [3, 3, None]  # 3 and "3" are one id
    assert [json.loads(p) if p else None for p in table["payload"].to_pylist()] == [
        {"ctx": {"page": 2, "ads": [1, 2]}},
        {"ctx": {"price": 1.5, "gift": None}},
        None,
    ]
    assert events.payload == {"buy": {"ctx": "object"}, "view": {"ctx": "object"}}
    assert table["note"].to_pylist() == [None, None, "café"]


def test_a_payload_of_its_own_takes_in_what_else_is_nested(tmp_path):
    file = tmp_path / "e.jsonl"
    rows = [
        {"user": 1, "time": 1, "kind": "tap", "payload": {"x": 1}, "screen": {"w": 9}},
        {"user": 1, "time": 2, "kind": "tap", "payload": {}, "screen": {"w": 9}},
        {"user": 1, "time": 3, "kind": "key", "payload": '{"y": "z"}', "a/b": ["q"]},
        {"user": 1, "time": 4, "kind": "key", "payload": "no object", "screen": 7},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    events = read(file)
    said = [json.loads(p) for p in events.table()["payload"].to_pylist()]
    assert said == [{"x": 1, "screen": {"w": 9}}, {"screen": {"w": 9}}, {"y": "z", "a/b": ["q"]}]
    assert events.payload == {
        "key": {"a/b": "array", "y": "string"},
        "tap": {"screen": "object", "x": "integer"},
    }
    assert events.quarantined == {"broken JSON (payload)": 1}


def test_broken_bytes_and_a_torn_last_line(tmp_path):
    file = tmp_path / "e.jsonl"
    good = b'{"user": 1, "item": 1, "time": 5}\n'
    file.write_bytes(good * 2 + b'{"user": 2, "item": "\xff\xfe", "time": 6}\n' + good + b'{"user": 3, "it')
    events = read(file)
    assert {r["line"]: r["reason"] for r in events.quarantine.to_pylist()} == {
        3: "broken encoding",
        5: "truncated last line",
    }
    assert events.table()["event"].to_pylist() == [0, 1, 2]


def test_what_is_no_lines_of_json(tmp_path):
    file = tmp_path / "e.json"
    file.write_text('[{"user": 1},\n {"user": 2}]\n')
    with pytest.raises(SourceError, match=r"one JSON list|no line|none of the lines"):
        read(file)
    file.write_text('[{"user": 1, "time": 1}]\n')
    with pytest.raises(SourceError, match="one JSON list; write one object a line"):
        read(file)
    file.write_text('{"user": 1, "time": 1}\n')
    with pytest.raises(OptionError, match="header=False is for tables"):
        read(file, header=False)
    file.write_text(json.dumps({f"k{i}": i for i in range(600)}) + "\n")
    with pytest.raises(SourceError, match="more than 512 different keys"):
        read(file)


def test_files_with_different_keys_go_together(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"user": 1, "item": 1, "time": 1, "page": "x"}\n')
    (tmp_path / "b.jsonl").write_text('{"user": 2, "item": 1, "time": 2, "depth": 3}\n{"user": 2\n')
    log = Log.open(tmp_path)
    table = log.table()
    assert table["page"].to_pylist() == ["x", None]
    assert table["depth"].to_pylist() == [None, 3]
    bad = log.events.quarantine.to_pylist()
    assert [(r["file"], r["line"]) for r in bad] == [(str(tmp_path / "b.jsonl"), 2)]
