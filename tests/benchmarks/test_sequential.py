"""The sequential race from a peer's answer to a row, on a small log with an answer made up here."""

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.cases import sequential
from benchmarks.harness import measure
from benchmarks.peers import recbole
from benchmarks.peers.peer import PeerError

from ethogram.log import Log

pytest.importorskip("torch")


@pytest.fixture
def small(monkeypatch):
    rng = np.random.default_rng(0)
    start, order = np.repeat(rng.integers(0, 20, 60), 12), np.tile(np.arange(12), 60)
    log = Log.open(pa.table({"user": np.repeat(np.arange(60), 12), "item": (start + order) % 20, "time": order}))
    monkeypatch.setattr("ethogram.data.load", lambda name: log)
    monkeypatch.setattr(sequential, "SEEDS", 2)


def answered(valid, rank, users=60):
    """RecBole's answer: three epochs, the second best; every user's target at one rank."""
    curve = [{"epoch": e, "valid": v, "valid_masked": v, "cpu": 2.0 * e} for e, v in ((1, 0.01), (2, valid), (3, 0.02))]
    who = {"user": [str(u) for u in reversed(range(users))], "masked": [rank] * users, "unmasked": [rank] * users}
    answer = {"curve": curve, "best_epoch": 2, "stopped": "budget", "examples_per_cpu_second": 1.0, "peak_mb": 9.0}
    return {"answer": {**answer, "ranks": who}, "load": [1.0, 2.0], "at": "today"}


def race(key):
    return measure(next(c for c in sequential.cases() if c.name.startswith(key)))


def test_ours_stops_at_the_peers_best_epoch_and_is_judged_by_its_users(small, monkeypatch):
    monkeypatch.setattr(recbole, "ask", lambda *a, **k: answered(0.05, 40.0))
    found = race("gru4rec")
    rows = {row[0]: dict(zip(found["columns"], row, strict=True)) for row in found["rows"]}
    assert rows["RecBole GRU4Rec"]["CPU s"] == 4.0
    assert rows["RecBole GRU4Rec"]["test NDCG@10, seen masked"] == 0
    ours = rows["ethogram"]
    assert ours["validation NDCG@10"] >= 0.05
    tenth = rows[sequential.TENTH]
    assert tenth["CPU s"] >= 0.4, "it goes on until a tenth of RecBole's seconds is used up"
    assert tenth["validation NDCG@10"] >= ours["validation NDCG@10"]
    assert float(ours["difference"].split()[0]) == pytest.approx(ours["test NDCG@10, seen masked"], abs=1e-4)
    assert all(t["value"] is not None for t in found["targets"])


def test_a_target_that_is_never_reached_gives_no_ratio(small, monkeypatch):
    monkeypatch.setattr(recbole, "ask", lambda *a, **k: answered(1.1, 1.0))
    monkeypatch.setattr(sequential, "MOST", 1)
    found = race("sasrec")
    assert found["rows"][1][found["columns"].index("arrived")] == "0 of 2"
    judged = {t["text"]: t["met"] for t in found["targets"]}
    assert judged["ethogram: CPU s of RecBole / ours"] is None
    assert judged["ethogram: lower end of the test difference, seen items masked"] is False


def test_an_absent_peer_is_told(small, monkeypatch):
    def ask(*_, **__):
        raise PeerError("recbole is not installed")

    monkeypatch.setattr(recbole, "ask", ask)
    found = race("sasrec")
    assert (found["rows"], found["absent"]) == ([], ["RecBole SASRec: recbole is not installed"])
    assert all(t["value"] is None for t in found["targets"])
