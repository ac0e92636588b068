"""Requests are timed as asked, recorded, and stand in comparison, report and pictures."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest
from tests.evaluate.taste import Taster, world

from ethogram.errors import OptionError
from ethogram.evaluate import RecordStore, plots, run
from ethogram.evaluate.latency import WARM, latency
from ethogram.evaluate.report import report
from ethogram.log import Log


class Sleeper:
    """Takes its time, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def score(self, histories, candidates, context=None):
        self.asked.append((len(histories), candidates.items.tolist()))
        time.sleep(0.004)
        return np.zeros((len(histories), len(candidates.items)))


def questions():
    n = 30
    table = {"user": np.arange(n) % 6, "item": np.arange(n), "time": np.arange(n), "label": np.arange(n) % 2.0}
    return Log.open(pa.table(table)).questions("slates")


def test_requests_are_what_they_are_said_to_be():
    asked = Sleeper()
    found = latency(asked, questions(), candidates=12, requests=5)
    assert len(asked.asked) == WARM + 5
    assert {(n, len(items), len(set(items))) for n, items in asked.asked} == {(1, 12, 12)}
    assert (found.candidates, found.requests) == (12, 5)
    assert 4 <= found.median_ms <= found.p95_ms
    assert found.cpu_ms < found.median_ms, "sleeping takes time and no CPU"
    again = Sleeper()
    latency(again, questions(), candidates=12, requests=5)
    assert again.asked == asked.asked
    assert latency(Sleeper(), questions(), candidates=500, requests=2).candidates == 30
    with pytest.raises(OptionError, match="0 candidates"):
        latency(Sleeper(), questions(), candidates=0)


def test_a_record_is_made_again_only_for_what_it_lacks(tmp_path):
    store = RecordStore(tmp_path)
    cut = world()
    plain = run(Taster(name="knows"), cut, store=store, bootstrap=20)
    assert "latency" not in plain.facts
    timed = run(Taster(name="knows"), cut, store=store, bootstrap=20, latency=5)
    assert timed.key == plain.key
    assert timed.metrics == plain.metrics
    assert timed.facts["latency"]["candidates"] == 5
    kept = run(Taster(name="knows"), cut, store=store, bootstrap=20, latency=5)
    assert kept.facts["latency"] == timed.facts["latency"]
    assert run(Taster(name="knows"), cut, store=store, bootstrap=20).facts["latency"] == timed.facts["latency"]


def test_the_report_tells_what_requests_cost(tmp_path):
    cut = world()
    records = [
        run(Taster(name=name, knows=knows), cut, bootstrap=20, latency=5)
        for name, knows in (("knows", True), ("guesses", False))
    ]
    page = report(records, tmp_path / "page.html", title="t").read_text("utf-8")
    assert "requests of 5 candidates" in page
    assert f"{records[0].facts['latency']['median_ms']:.3g}" in page
    assert "Quality against latency." in page
    assert "Quality against latency." not in report(
        [run(Taster(name="knows"), cut, bootstrap=20)], tmp_path / "other.html", title="t"
    ).read_text("utf-8")


def test_the_frontier():
    rows = [
        {"label": n, "value": v, "cost": c}
        for n, v, c in (("a", 1, 1), ("b", 3, 2), ("c", 2, 3), ("d", 3, 4), ("e", 4, 5))
    ]
    assert [r["label"] for r in plots.frontier(rows)] == ["a", "b", "e"]
    assert [r["label"] for r in plots.frontier(rows, low=True)] == ["a"]
    same = [{"label": n, "value": v, "cost": 1} for n, v in (("a", 1), ("b", 2))]
    assert [r["label"] for r in plots.frontier(same)] == ["b"]
    assert plots.frontier([]) == []


def test_labels_keep_off_other_bars():
    wide = {"label": "a long name here", "value": 0.5, "low": 0.45, "high": 0.55, "cost": 1.0}
    bar = {"label": "b", "value": 0.7, "low": 0.3, "high": 0.9, "cost": 3.0}
    far = {"label": "c", "value": 0.6, "low": 0.55, "high": 0.65, "cost": 0.02}
    last = {"label": "d", "value": 0.8, "cost": 100.0}
    placed = plots.label_places([wide, bar, far, last])
    free = plots.label_places([wide, {**bar, "low": 0.68, "high": 0.72}, far, last])
    assert placed[0] != free[0], "the bar of b crosses where the name of a would stand"
