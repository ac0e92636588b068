"""A peer's question and answer, with an interpreter that stands in for the peer's own."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from benchmarks.peers import peer as peers
from benchmarks.peers.peer import Peer, PeerError
from benchmarks.peers.recbole import write

from ethogram.log import Log


class Here(Peer):
    """Runs in this interpreter."""

    @property
    def python(self) -> Path:
        return Path(sys.executable)


def inside(folder, body):
    """A module that answers a question with `body`."""
    (folder / "answering.py").write_text(
        f"from benchmarks.peers.inside import answer\ndef run(question):\n    {body}\nanswer(run)\n"
    )
    return Here("stand-in", "answering", {"PYTHONPATH_TOO": "x"})


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "STORE", tmp_path / "store")
    monkeypatch.setattr(peers, "ROOT", tmp_path)
    (tmp_path / "benchmarks").symlink_to(Path(peers.__file__).parents[1])
    return tmp_path


def test_what_it_prints_beside_does_not_spoil_the_answer(asked):
    found = inside(asked, "print('noise'); return {'twice': 2 * question['n']}").ask({"n": 4})
    assert found == {"twice": 8}


@pytest.mark.parametrize(
    ("body", "said"),
    [("raise ValueError('no such model')", "ValueError: no such model"), ("import os; os._exit(3)", "exit 3")],
)
def test_a_failure_is_one_typed_line(asked, body, said):
    with pytest.raises(PeerError, match=said) as error:
        inside(asked, body).ask({})
    assert "\n" not in str(error.value)


def test_an_absent_peer_says_how_to_get_it():
    with pytest.raises(PeerError, match="make peers"):
        Peer("nowhere", "nothing", {}).ask({})


def test_a_peer_that_hangs_is_left(asked):
    with pytest.raises(PeerError, match="after 1 s"):
        inside(asked, "import time; time.sleep(20)").ask({}, seconds=1)


def test_an_answer_is_asked_for_once(asked):
    standing = inside(asked, "return {'pid': __import__('os').getpid(), 'where': question['folder']}")
    first = standing.stored("it", {"n": 1}, lambda: {"folder": "a"})
    assert standing.stored("it", {"n": 1}, lambda: pytest.fail("asked again")) == first
    assert standing.stored("it", {"n": 2}, lambda: {"folder": "a"}) != first
    assert standing.stored("it", {"n": 1}, lambda: {"folder": "b"}, again=True)["answer"]["where"] == "b"
    assert not list((asked / "store").glob("*.[0-9]*")), "nothing half written is left"
    assert json.loads(next((asked / "store").iterdir()).read_text())["peer"] == "stand-in"


def test_the_atomic_file_keeps_the_stored_order(tmp_path):
    table = pa.table({"user": ["b", "a", "b", "b"], "item": [7, 9, 3, 5], "time": [20, 5, 10, 10]})
    file = write(Log.open(table), tmp_path / "two") / "two.inter"
    rows = [line.split("\t") for line in file.read_text().splitlines()]
    assert rows[0] == ["user_id:token", "item_id:token", "timestamp:float"]
    sequence = {u: [r[1] for r in sorted(rows[1:], key=lambda r: float(r[2])) if r[0] == u] for u in "ab"}
    assert sequence == {"a": ["9"], "b": ["3", "5", "7"]}
