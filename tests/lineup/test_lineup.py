"""The whole of a line-up in this process: who takes part, what is measured, what is not measured again."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

import ethogram
from ethogram import data
from ethogram.errors import OptionError, RolesError, UnknownName
from ethogram.evaluate import RecordStore
from ethogram.evaluate.answering import answering
from ethogram.lineup import cell, children, lineup
from ethogram.lineup.entrants import check, entrants
from ethogram.lineup.files import as_json, write
from ethogram.lineup.sampling import some_users
from ethogram.log import Log

FEW = [("popularity", {}), ("als", {"iterations": 2, "factors": 4}), ("transition_kernel", {})]


@pytest.fixture(scope="module")
def log():
    return data.load("interests", users=90, seed=1)


@pytest.fixture
def here(monkeypatch):
    """Children run in this process; what each was asked is kept. `fate` says how a system ends, if not well."""
    asked, fate = [], {}

    def run(job, *, seconds, watch=None):
        asked.append((job.entrant.key, job.seed, seconds))
        if job.entrant.key in fate:
            return children.Ended(*fate[job.entrant.key])
        return children.Ended(children.DONE, job(watch or (lambda facts: None)))

    monkeypatch.setattr(children, "child", run)
    monkeypatch.setattr(cell, "limit", lambda seconds: None)
    run.asked, run.fate = asked, fate
    return run


def measured(log, folder, **how):
    return lineup("recommend", log, data="interests", folder=folder, systems=FEW, resamples=200, **how)


def test_a_line_up(log, tmp_path, here):
    said = []
    found = measured(log, tmp_path, users=60, protocol="leave-last-out", seeds=(0, 1), say=said.append)
    assert found.share["users"] == 60
    assert found.shared().startswith(f"60 of {found.share['all users']} users (")
    assert [a[:2] for a in here.asked] == [(k, s) for s in (0, 1) for k, _ in FEW]
    rows = {r["arm"]: r for r in found.standing.rows}
    assert set(rows) == {"popularity", "als, as trained", "als, folded in", "transition_kernel"}
    assert found.standing.reference in rows
    assert "begins" in said[0]
    # the numbers are those of an evaluation by itself
    alone = ethogram.run(ethogram.system("popularity"), some_users(log, 60), "leave-last-out")
    assert rows["popularity"]["ndcg@10"] == pytest.approx(alone.metrics["ndcg@10"])
    valid = ethogram.run(ethogram.system("popularity"), some_users(log, 60), "leave-last-out", part="valid")
    assert rows["popularity"]["valid"] == pytest.approx(valid.metrics["ndcg@10"])
    folded = ethogram.system("als", iterations=2, factors=4, fold_in="always")
    alone = ethogram.run(folded, some_users(log, 60), "leave-last-out")
    one = next(r for r in found.records if r.options.get("fold_in") == "always" and r.seed == 0)
    assert one.metrics["hr@10"] == pytest.approx(alone.metrics["hr@10"])

    again = measured(log, tmp_path, users=60, protocol="leave-last-out", seeds=(0, 1))
    assert (again.measured, len(here.asked)) == (0, 6)
    assert as_json(again) == as_json(found)

    paths = write(found, tmp_path / "out")
    told = json.loads(paths["json"].read_text())
    assert told["reference"] == found.standing.reference
    assert pq.read_table(paths["parquet"]).column("arm").to_pylist() == [r["arm"] for r in found.standing.rows]
    assert all(a["fit_cpu_seconds"] >= 0 and a["people_per_second"] > 0 and a["coverage@10"] > 0 for a in told["arms"])
    page, words = paths["page"].read_text(), paths["markdown"].read_text()
    for text in (page, words):
        assert "als, folded in" in text
        assert "60 of" in text
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "| popularity ◇ |" in words


def test_who_ends_early_stops_nobody_and_is_told(log, tmp_path, here):
    here.fate["als"] = (children.STOPPED, None, "it had not ended after 5 CPU s")
    found = measured(log, tmp_path, budget=5.0)
    assert [(x.key, x.how) for x in found.left] == [("als", "stopped")]
    assert {r["arm"] for r in found.standing.rows} == {"popularity", "transition_kernel"}
    assert "`als` was not measured (stopped): it had not ended after 5 CPU s." in found.words()
    measured(log, tmp_path, budget=4.0)
    assert len(here.asked) == 3  # a smaller budget would stop it, too
    here.fate["als"] = (children.FAILED, None, "KeyError at als.py:1: 'x'")
    measured(log, tmp_path, budget=6.0)
    assert here.asked[3:] == [("als", 0, 6.0)]
    here.fate["als"] = (children.REFUSED, None, "RolesError: no")
    measured(log, tmp_path, budget=6.0)
    assert len(here.asked) == 5  # what failed is tried again
    measured(log, tmp_path, budget=60.0)
    assert len(here.asked) == 5  # what was refused is not
    kept = next(r for r in RecordStore(tmp_path / "records") if r.system == "als")
    assert (kept.status, kept.error) == ("failed", "RolesError: no")
    here.fate.update(popularity=here.fate["als"], transition_kernel=here.fate["als"])
    with pytest.raises(OptionError, match="no system of area recommend could be measured on interests: popularity: Ro"):
        measured(log, tmp_path / "other")


def test_what_a_system_does_wrong_after_fitting_is_a_fault_of_its(log, tmp_path, monkeypatch):
    monkeypatch.setattr(cell, "limit", lambda seconds: None)
    monkeypatch.setattr(cell, "evaluate", lambda *a, **k: ethogram.system("als", factor=0))
    setting = cell.Setting(str(log.write(tmp_path / "log").source.path), str(tmp_path), "x", "next", warm=False)
    with pytest.raises(RuntimeError, match="fitted, but not judged: OptionError"):
        cell.Cell(entrants("recommend", FEW[:1])[0][0], 0, setting)(lambda facts: None)


def test_an_unknown_metric_is_told_before_all_is_measured(log, tmp_path, here):
    with pytest.raises(UnknownName, match="ndcg@10"):
        measured(log, tmp_path, metric="ndcg@11")
    assert len(here.asked) == 1


def test_ranking_too(tmp_path, here):
    clicks = data.load("adverts", users=60, seed=1)
    few = [("smoothed_rates", {})]
    found = lineup("rank", clicks, data="adverts", folder=tmp_path, systems=few, resamples=100)
    assert {r["arm"] for r in found.standing.rows} == {"smoothed_rates"}
    assert found.standing.metrics[0] in ("gauc", "auc")
    told = as_json(found)
    assert all(a["median_ms"] > 0 and a["people_per_second"] is None for a in told["arms"])
    write(found, tmp_path / "out")


def test_who_takes_part():
    able, left = entrants("recommend")
    by = {e.key: e for e in able}
    assert [x.key for x in left] == ["pipeline"]
    assert by["popularity"].floor
    assert not by["pld"].floor
    assert by["als"].ways == ({"fold_in": "strangers"}, {"fold_in": "always"})
    assert by["sasrec"].ways == ({},)
    (chosen,), _ = entrants("recommend", [("als", {"fold_in": "always"})])
    assert chosen.ways == ({},)
    (quick,), _ = entrants("recommend", [("sasrec", {})], quick=True)
    assert quick.built().epochs == 1


def test_who_cannot_take_part(log):
    with pytest.raises(UnknownName, match="recommend"):
        entrants("recomend")
    with pytest.raises(OptionError, match=r"it has ltl_agent: .*Areas that have: rank, recommend\."):
        entrants("act")
    with pytest.raises(OptionError, match=r"'din' is of area rank, not recommend\. Systems of recommend: als"):
        entrants("recommend", [("din", {})])
    with pytest.raises(UnknownName, match="sasrec"):
        entrants("recommend", [("sasrek", {})])
    with pytest.raises(OptionError, match="pipeline: it does not score"):
        entrants("recommend", [("pipeline", {})])
    bare = Log.open({"user": [1, 1, 2], "time": [1, 2, 3]})
    with pytest.raises(RolesError, match=r"x has no role 'item'.*--item COLUMN"):
        check("recommend", bare, "x")
    with pytest.raises(RolesError, match="--label COLUMN"):
        check("rank", Log.open({"user": [1, 1], "item": [1, 2], "time": [1, 2]}), "x")
    with pytest.raises(UnknownName, match="als"):
        lineup("recommend", log, data="x", folder="unused", systems=FEW, reference="asl")
    with pytest.raises(OptionError, match=r"none of the systems is a floor.*transition_kernel"):
        lineup("recommend", log, data="x", folder="unused", systems=[("pisa", {})])


def test_some_users_with_all_they_did(log, tmp_path):
    some = some_users(log, 20)
    table, whole = some.table(), log.table()
    people = set(table.column("user").to_pylist())
    assert len(people) == 20
    kept = [u for u in whole.column("user").to_pylist() if u in people]
    assert sorted(table.column("user").to_pylist()) == sorted(kept)
    assert some.fingerprint() == some_users(log.write(tmp_path / "log"), 20).fingerprint()
    assert some.fingerprint() != some_users(log, 20, seed=1).fingerprint()
    assert some_users(log, 10_000) is log
    with pytest.raises(OptionError, match="at least two"):
        some_users(log, 1)


class Answers:
    def __init__(self):
        self.sizes = []

    def recommend(self, histories, k=10):
        self.sizes.append((len(histories), k))


def test_answering(log):
    asked = log.split("leave-last-out").test.questions("next")
    system = Answers()
    found = answering(system, asked, k=5, requests=7, batch=30)
    assert system.sizes == [(1, 5)] * 9 + [(30, 5)] * 4
    assert (found.requests, found.batch) == (7, 30)
    assert 0 < found.median_ms <= found.p95_ms
    assert np.isfinite(found.users_per_second)
    with pytest.raises(OptionError, match="0 requests"):
        answering(system, asked, requests=0)


def test_memory_counts_from_the_imports():
    spent = cell._above(cell.Cost(peak_mb=10.0), 5 * 2**20, 2 * 2**20)
    assert spent.peak_mb == pytest.approx(13.0)
    assert cell._above(replace(spent, peak_mb=None), 1, 1).peak_mb is None
