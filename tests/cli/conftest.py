"""The command line called in this process, in a folder of its own."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ethogram.cli import main


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, empty but for two files of events."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    rows = []
    for user in range(40):
        clock = 1_700_000_000 + int(rng.integers(0, 10**6))
        for _ in range(int(rng.integers(5, 15))):
            clock += int(rng.integers(600, 2 * 86_400))
            rows.append(f"u{user},{100 + 10 * int(rng.integers(0, 8)) + user % 3},{clock},{int(rng.integers(1, 6))}")
    Path("events.csv").write_text("\n".join(["user_id,item_id,timestamp,rating", *rows]) + "\n")
    Path("more.csv").write_text("user_id,item_id,timestamp,rating\nu0,100,1800000000,5\nnew,777,1800000001,4\n")
    return tmp_path


@pytest.fixture
def call(folder, capsys):
    """Call a command; gives its exit code and what it printed."""

    def called(*tokens):
        capsys.readouterr()
        code = main([str(t) for t in tokens])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return called


@pytest.fixture
def refused(call, folder):
    """Call a command that must fail: exit code 2, one line on stderr, and no file written or changed."""

    def called(*tokens):
        before = snapshot(folder)
        said = call(*tokens)
        assert said.code == 2, f"exit code {said.code}: {said.out}{said.err}"
        assert said.err.startswith("ethogram: ")
        assert said.err.count("\n") == 1, said.err
        assert "Traceback" not in said.err
        assert snapshot(folder) == before, "something was written"
        return said.err.removeprefix("ethogram: ").strip()

    return called


def snapshot(folder):
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}
