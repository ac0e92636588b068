"""The guides are run as they stand: every `python` and `console` block, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^(?P<skip><!-- not run[^\n]*-->\n+)?```(?P<kind>python|console)\n(?P<text>.*?)^```$", re.M | re.S)
ELSEWHERE = ("spark",)
"""Guides that another test runs, beside what it has started."""
GUIDES = sorted(
    p for p in (DOCS / "guides").glob("*.md") if BLOCK.search(p.read_text("utf-8")) and p.stem not in ELSEWHERE
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = ["customer_id,movie_id,when,stars"]
    for user in range(60):
        for step, movie in enumerate(rng.choice(40, 12, p=np.arange(40, 0, -1) / 820)):
            rows.append(f"u{user},m{movie},2024-01-{1 + step * 2:02d}T{user % 24:02d}:30:00Z,{rng.integers(1, 6)}")
    (tmp_path / "views.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.stem)
def test_the_guide_runs(guide, folder, monkeypatch):
    module = types.ModuleType(f"guide_{guide.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # a class finds its annotations through its module
    text = guide.read_text("utf-8")
    for block in BLOCK.finditer(text):
        if block["skip"]:
            continue
        line = text[: block.start("text")].count("\n")
        if block["kind"] == "python":
            exec(compile("\n" * line + block["text"], str(guide), "exec"), module.__dict__)
            continue
        for command in (c[2:] for c in block["text"].splitlines() if c.startswith("$ ")):
            tools = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
            done = subprocess.run(
                command, shell=True, env=os.environ | tools, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, f"{guide.name}: {command}\n{done.stderr}"
