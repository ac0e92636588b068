"""Logs as values: equal, hashed and pickled by where they lie; content is hashed only when somebody asks."""

import os
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.log.random_events import events

from ethogram.errors import OptionError, SourceError
from ethogram.log import Log, fingerprint, opened


@pytest.fixture
def file(tmp_path):
    pq.write_table(events(), tmp_path / "events.parquet")
    return tmp_path / "events.parquet"


def test_opening_hashes_no_content(file, monkeypatch):
    def refuse(*_):
        raise AssertionError("content was hashed")

    monkeypatch.setattr(fingerprint, "absorb", refuse)
    log = Log.open(file).core(2, 2)
    assert log == Log.open(file).core(2, 2)
    assert len({log, Log.open(file).core(2, 2), Log.open(file)}) == 2
    assert len(pickle.loads(pickle.dumps(log)).rows()) == len(log.rows())
    with pytest.raises(AssertionError, match="was hashed"):
        log.fingerprint()


def test_the_same_content_has_the_same_fingerprint_wherever_it_lies(file, tmp_path):
    held = Log.open(events()).until("2017-07-14T12:00")
    stored = Log.open(file).write(tmp_path / "log").until("2017-07-14T12:00")
    assert Log.open(file).until("2017-07-14T12:00").fingerprint() == held.fingerprint() == stored.fingerprint()


def test_held_logs_are_equal_by_content():
    assert Log.open(events()) == Log.open(events())
    assert hash(Log.open(events())) == hash(Log.open(events()))
    assert Log.open(events()) != Log.open(events(seed=1))


def test_a_file_that_changed_is_not_read_for_another(file):
    log = Log.open(file)
    twin = pickle.loads(pickle.dumps(log))
    opened._OPENED.clear()
    assert twin.table().equals(Log.open(file).table()), "read anew"
    pq.write_table(events(seed=1), file)
    opened._OPENED.clear()
    with pytest.raises(SourceError, match=r"events\.parquet has changed since this log was opened"):
        twin.rows()
    assert Log.open(file) != log


def test_a_side_table_that_changed_is_a_change(file, tmp_path):
    side = tmp_path / "items.csv"
    side.write_text("item,colour\ni01,red\n")
    log = Log.open(file, items=str(side))
    side.write_text("item,colour\ni01,blue\n")
    os.utime(side, ns=(1, 1))
    assert Log.open(file, items=str(side)) != log
    opened._OPENED.clear()
    with pytest.raises(SourceError, match="has changed"):
        log.rows()


def test_an_append_makes_another_log(file, tmp_path):
    log = Log.open(file).write(tmp_path / "log")
    grown = log.append(events(seed=1))
    assert grown != log
    assert len(grown.rows()) == 2 * len(log.rows())


def test_the_roles_of_a_log_are_fixed(file, tmp_path):
    Log.open(file).write(tmp_path / "log")
    with pytest.raises(OptionError, match="its roles are fixed, so value cannot be given again"):
        Log.open(tmp_path / "log", value="kind")


def test_materialise_keeps_the_roles_as_they_are(tmp_path):
    rows = {"who": ["a", "a", "b"], "item": [1, 2, 3], "time": [1, 2, 3], "rating": [5, 4, 3], "click": [1, 0, 1]}
    log = Log.open(rows, user="who", value=None, label=None).where("item < 3")
    made = log.materialise()
    assert made.roles.named() == {"user": "who", "item": "item", "time": "time", "event": "event"}
    assert made.roles.extra == log.roles.extra == ("rating", "click")
    assert "label" not in made.sequences().columns
    grown = log.write(tmp_path / "log").append({**rows, "time": [7, 8, 9]})
    assert grown.table()["rating"].to_pylist() == [5, 4, 5, 4, 3]
    again = Log.open(Log.open(rows, user="who", value=None, label=None))
    assert again.roles.extra == ("rating", "click"), "a log as a source says what its columns are"


def test_materialise_takes_what_steps_added_for_what_it_is():
    made = Log.open(events()).sessions("30m").fold("merchant").materialise()
    assert made.roles.session == "session"
    assert made.roles.extra == ("merchant", "fold")
    before = Log.open(events()).sessions("30m").rows().columns["session"]
    after = made.rows()
    assert after.vocabularies["session"].decode(after.columns["session"]).to_pylist() == before.tolist()
    assert isinstance(made.table(), pa.Table)


def test_any_role_can_be_named_or_denied():
    table = pa.table({"user": [1], "item": [2], "time": [3], "origin": ["real"], "rating": [1.0]})
    log = Log.open(table, source="origin", value=None)
    assert log.roles.source == "origin"
    assert log.roles.value is None
    assert log.roles.extra == ("rating",)
