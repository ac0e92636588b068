"""A process killed at any moment of an append or a write leaves the old log or the new one, never a third."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)


def kills(what: str, folder: Path) -> list[dict]:
    script = Path(__file__).with_name("killed.py")
    ran = subprocess.run(
        [sys.executable, str(script), what, str(folder)], capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_append_killed_before_each_step(tmp_path):
    """Before each write, flush, rename and removal in turn: old up to the rename of log.toml, then new."""
    found = kills("step", tmp_path)
    assert [k["killed"] for k in found] == [True] * (len(found) - 1) + [False]
    states = [k["found"] for k in found]
    assert set(states) == {"old", "new"}, states
    assert states == sorted(states, reverse=True), "once new, it stays new"
    assert states.count("old") > 30
    assert states.count("new") > 5  # old arrays were still to be removed


def test_append_killed_at_random_moments(tmp_path):
    states = [k["found"] for k in kills("time", tmp_path)]
    assert len(states) == 15
    assert set(states) <= {"old", "new"}, states


def test_write_killed_before_each_step(tmp_path):
    found = kills("write", tmp_path)
    states = [k["found"] for k in found]
    assert set(states) == {"old", "new"}, states
    assert states == sorted(states, reverse=True)
    assert states.count("old") > 20
    assert not found[-1]["killed"]
