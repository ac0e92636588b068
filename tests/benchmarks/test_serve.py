"""The service under load, small: every scenario runs, and what was acknowledged is there."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.cases import serve, serve_scoring
from benchmarks.load import Happened


def test_every_scenario_runs_and_nothing_acknowledged_is_missing():
    size = replace(serve.QUICK, seconds=0.3)
    found = serve.requests(size)
    values = found.values
    assert values["events missing"] == 0
    assert values["accepted"] >= 2 * serve.BATCH
    assert values["usual failed"] == values["large failed"] == values["naive failed"] == 0
    assert values["overload lost"] == values["overload without Retry-After"] == 0
    assert all(row["p50 ms"] > 0 for row in found.rows if row["answered"])
    assert [row["scenario"] for row in found.rows][-1].startswith("naive")


def test_the_99th_percentile_stands_only_where_the_machine_was_quiet():
    happened = Happened(np.linspace(0.001, 0.1, 100), np.zeros(100), np.full(100, 200))
    quiet, busy = (serve.Told("x", happened, 10.0, 1.0, others, 0) for others in (0.0, 64.0))
    assert quiet.row()["p99 ms"] == pytest.approx(99, rel=0.02)
    assert busy.row()["p99 ms"] == "not measurable"
    values = {}
    busy.into(values, "usual")
    assert set(values) == {"usual p50", "usual cpu", "usual failed"}
    even = quiet.row(slice(0, None, 2))
    assert even["answered"] == 50


def test_towers_agree():
    found = serve_scoring.towers(1)
    assert found.values["torch 200"] > 0
    assert {row["candidates"] for row in found.rows} == {200, 500}
