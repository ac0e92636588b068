from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from ethogram import data
from ethogram.data.cache import folder, kept, place
from ethogram.data.interests import Interests
from ethogram.errors import SourceError
from ethogram.log import Log

SMALL = {"users": 8, "slates": 2, "items": 40, "categories": 12}


def tiny(items: list[str]) -> Log:
    return Log.open(pa.table({"user": [1, 1], "item": items, "time": [10, 20]}))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ETHOGRAM_CACHE", str(tmp_path / "own"))
    return tmp_path / "own"


def test_the_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ETHOGRAM_CACHE", "/a/b")
    assert folder() == Path("/a/b")
    monkeypatch.delenv("ETHOGRAM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert folder() == Path("/x/ethogram")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert folder().name == "ethogram"
    assert folder().is_absolute()


def test_a_second_load_does_not_read_again(own: Path, monkeypatch: pytest.MonkeyPatch):
    first = data.load("interests", **SMALL)
    monkeypatch.setattr(Interests, "read", lambda self: pytest.fail("read again"))
    again = data.load("interests", **SMALL)
    assert again.fingerprint() == first.fingerprint()
    assert again.table().equals(first.table())
    assert [p.name.split("-")[0] for p in (own / "data").iterdir()] == ["interests"]


def test_other_options_and_changed_files_are_other_logs(own: Path, tmp_path: Path):
    source = tmp_path / "x.csv"
    source.write_text("a")
    first = place("x", 1, {"n": 1}, (source,))
    assert place("x", 1, {"n": 2}, (source,)) != first
    assert place("x", 2, {"n": 1}, (source,)) != first
    source.write_text("ab")
    assert place("x", 1, {"n": 1}, (source,)) != first


def test_a_damaged_log_is_built_again(own: Path):
    first = data.load("interests", **SMALL)
    (where,) = (own / "data").iterdir()
    (where / "log.toml").write_text("not a log")
    assert data.load("interests", **SMALL).fingerprint() == first.fingerprint()


def test_a_failure_leaves_nothing(own: Path):
    def build() -> Log:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        kept(own / "data" / "x", build)
    assert list((own / "data").iterdir()) == []


def test_whoever_is_first_wins(own: Path):
    where = own / "data" / "x"

    def build() -> Log:
        tiny(["a", "b"]).write(where)  # another process, meanwhile
        return tiny(["c", "d"])

    assert kept(where, build).table()["item"].to_pylist() == ["a", "b"]
    assert [p.name for p in where.parent.iterdir()] == ["x"]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("ETHOGRAM_CACHE", str(blocked))
    with pytest.raises(SourceError, match="set ETHOGRAM_CACHE"):
        data.load("interests", **SMALL)
