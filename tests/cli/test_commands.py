"""What the commands do when all is well; the spellings that scripts rely on are fixed here."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import ethogram
from ethogram import claims
from ethogram.log import Candidates, Histories, Log


@pytest.fixture
def log(folder):
    return Log.open("events.csv")


def test_systems(call):
    said = call("systems", "--json", "systems.json")
    assert said.code == 0
    found = json.loads(Path("systems.json").read_text())
    assert {s["key"] for s in found} >= {
        "popularity", "personal_frequency", "item_knn", "item_knn_decay", "transition_kernel",
    }  # fmt: skip
    assert all({"key", "area", "paper", "year", "baseline", "verbs"} <= set(s) for s in found)
    assert all(s["key"] in said.out for s in found)
    only = call("systems", "--area", "recommend", "--verb", "explain", "--json", "-").json
    assert {s["key"] for s in only} == {s.key for s in ethogram.systems("recommend", "explain")}


def test_json_on_stdout_is_alone(call):
    said = call("show", "item_knn", "--json", "-")
    assert said.json["options"][0]["name"] == "neighbours"
    assert "item_knn:" in said.err


def test_show(call):
    said = call("show", "item_knn")
    for part in ("Item-Based Top-N Recommendation Algorithms (2004)", "score, recommend, explain", "--neighbours"):
        assert part in said.out
    known = ethogram.catalogue.index()["item_knn"]
    assert all(o.doc in said.out for o in known.options)


def test_help_of_a_system_has_its_options(call):
    said = call("fit", "item_knn", "--help")
    assert said.code == 0
    assert "Options of item_knn" in said.out
    assert "--neighbours" in said.out
    assert "--half-life" in call("evaluate", "popularity", "--help").out


def test_import_describe_convert_append(call, log):
    said = call("log", "import", "events.csv", "--out", "stored")
    assert said.code == 0
    assert "user = user_id, item = item_id, time = timestamp, value = rating (time: unix seconds)" in said.out
    facts = call("log", "describe", "stored", "--json", "-").json
    assert facts["events"] == len(log.sequences())
    assert (facts["users"], facts["quarantined"]) == (40, 0)
    assert facts["items"] == log.describe()["items"]
    added = call("log", "append", "stored", "more.csv", "--json", "-").json
    assert (added["added"], added["users"], added["events"]) == (2, 41, facts["events"] + 2)
    assert call("log", "convert", "stored", "all.parquet").code == 0
    table = pq.read_table("all.parquet")
    assert table.num_rows == facts["events"] + 2
    assert "user_code" not in table.column_names
    assert call("log", "convert", "stored", "all.csv").code == 0
    again = call("log", "describe", "all.csv", "--json", "-").json
    assert [again[n] for n in ("events", "users", "items")] == [added[n] for n in ("events", "users", "items")]


def test_roles_are_named(call):
    Path("odd.csv").write_text("who,what,ts\n1,a,2020-01-01\n1,b,2020-01-02\n")
    facts = call("log", "describe", "odd.csv", "--user", "who", "--item", "what", "--json", "-").json
    assert facts["roles"] == {"user": "who", "item": "what", "time": "ts"}


def test_evaluate(call, log):
    command = ("evaluate", "item_knn", "--log", "events.csv", "--protocol", "leave-last-out", "--json", "out.json")
    said = call(*command, "--neighbours", "3", "--seed", "5")
    assert said.code == 0
    found = json.loads(Path("out.json").read_text())
    assert {"metrics", "intervals", "seconds", "peak_mb"} <= set(found)
    assert {"hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr@10"} <= set(found["metrics"])
    assert (found["options"]["neighbours"], found["seed"]) == (3, 5)
    split = log.split("leave-last-out")
    expected = ethogram.run(ethogram.system("item_knn", neighbours=3), split)
    assert found["metrics"]["ndcg@10"] == expected.metrics["ndcg@10"]
    low, high = found["intervals"]["ndcg@10"]
    assert low <= found["metrics"]["ndcg@10"] <= high
    assert f"{expected.metrics['hr@5']:.4g}" in said.out
    same = call("evaluate", "item_knn", *command[2:-1], "-", "--set", "neighbours=3").json
    assert same["metrics"] == found["metrics"]


def test_evaluate_ties(call):
    rows = [
        "user,item,time",
        *(f"{u},{i},{1_600_000_000 + 86_400 * d}" for u in range(9) for d in range(3) for i in "ab"),
    ]
    Path("baskets.csv").write_text("\n".join(rows))
    command = ("evaluate", "popularity", "--log", "baskets.csv", "--protocol", "leave-last-out", "--ks", "1")
    said = call(*command, "--ties", "order", "--json", "-")
    assert "chooses among simultaneous targets for 100.0% of 9 questions" in said.err
    groups = call(*command, "--json", "-").json
    assert (groups["facts"]["targets"], said.json["facts"]["targets"]) == (18, 9)


def test_compare_takes_options_and_shows_fold_in_beside_trained(call, log):
    arms = "als:factors=4,iterations=2", "bpr_mf:fold_in=always,factors=4,epochs=1", "popularity"
    said = call("compare", *arms, "--log", "events.csv", "--metric", "ndcg@10", "--json", "-").json
    found = [row["arm"] for row in said["rows"]]
    assert found == ["als (fold_in=strangers)", "als (fold_in=always)", "bpr_mf", "popularity"]
    wrong = call("compare", "als:factros=4", "--log", "events.csv")
    assert wrong.code == 2
    assert "Did you mean 'factors'" in wrong.err


def test_records_compare_run_report(call):
    first = call("evaluate", "popularity", "--log", "events.csv", "--store", "kept", "--json", "-").json
    second = call("evaluate", "item_knn", "--log", "events.csv", "--store", "kept", "--json", "-").json
    paths = [f"kept/{first['key']}", f"kept/{second['key']}"]
    found = call("compare", *paths, "--metric", "ndcg@10", "--json", "-").json
    assert found["reference"] == "popularity"
    gap = next(r for r in found["rows"] if r["arm"] == "item_knn")
    expected = second["metrics"]["ndcg@10"] - first["metrics"]["ndcg@10"]
    assert gap["difference"] == pytest.approx(expected)
    assert gap["difference_low"] <= expected <= gap["difference_high"]
    live = call("compare", "popularity", "item_knn", "--log", "events.csv", "--metric", "ndcg@10", "--json", "-").json
    assert live["rows"] == found["rows"]
    again = call("run", paths[0], "--json", "-")
    assert again.json["metrics"] == first["metrics"]
    assert "metrics equal those of the record" in again.err
    other = call("run", paths[1], "--set", "neighbours=1", "--json", "-").json
    assert other["options"]["neighbours"] == 1
    assert other["metrics"] != second["metrics"]
    assert call("report", "kept", "--out", "page.html", "--log", "events.csv", "--no-charts").code == 0
    page = Path("page.html").read_text()
    assert "item_knn" in page
    assert f"{second['metrics']['ndcg@10']:.4f}" in page


def test_a_record_with_systems_inside_runs_again(call):
    command = ("evaluate", "popularity", "--log", "events.csv", "--ties", "order", "--store", "kept", "--json", "-")
    first = call(*command).json
    again = call("run", f"kept/{first['key']}/record.json", "--json", "-").json
    assert again["metrics"] == first["metrics"]
    from ethogram.cli.run import rebuilt

    kept = {"system": "item_knn", "options": {"neighbours": 4, "memory": 8}}
    assert (rebuilt(kept).neighbours, rebuilt(kept).memory, rebuilt(7)) == (4, 8, 7)


def test_fit_recommend_score(call, log):
    said = call("fit", "item_knn", "events.csv", "--out", "model", "--neighbours", "4", "--json", "-")
    assert said.json["path"] == "model"
    built = ethogram.load("model")
    assert built.neighbours == 4
    for user in ("u3", "u11"):
        rows = call("recommend", "model", "--user", user, "-k", "3", "--json", "-").json
        code = log.vocabulary("user").encode([user])
        mine = built.recommend(log.histories()[np.flatnonzero(log.histories().users == code)], 3)
        assert [r["item"] for r in rows] == mine.column("item").to_pylist()
        assert {r["user"] for r in rows} == {user}
    rows = call("recommend", "model", "--history", "100,110", "-k", "2", "--exclude-seen", "--json", "-").json
    expected = built.recommend(Histories.of([[100, 110]]), 2, exclude_seen=True).to_pylist()
    assert [(r["item"], r["score"]) for r in rows] == [(r["item"], r["score"]) for r in expected]
    rows = call("recommend", "model", "--history", "100", "--among", "120,130", "--no-exclude-seen", "--json", "-").json
    assert {r["item"] for r in rows} == {120, 130}
    rows = call("score", "model", "--history", "100,110", "--items", "120,999", "--json", "-").json
    expected = built.score(Histories.of([[100, 110]]), Candidates.of([120, 999]))[0]
    assert [r["score"] for r in rows] == expected.tolist()


def test_recommend_says_why_and_writes(call):
    assert call("fit", "item_knn", "events.csv").code == 0
    said = call(
        "recommend", "item_knn.model", "--user", "u1", "--user", "u2", "--why", "--out", "out.parquet", "-k", "2"
    )
    assert "for u1" in said.out
    assert "because of" in said.out
    assert "%" in said.out
    assert pq.read_table("out.parquet").num_rows == 4
    assert call("fit", "popularity", "events.csv").code == 0
    assert "cannot say why" in call("recommend", "popularity.model", "--history", "", "--why").out


def test_score_of_slates(call):
    rows = ["user,item,time,label,slate"]
    rows += [f"{u},{10 * i},{1_600_000_000 + 86_400 * d},," for u in range(4) for d in range(3) for i in (1, 2)]
    rows += [f"{u},{10 * i},{1_600_900_000},{int(i == u % 3)},s{u}" for u in range(4) for i in range(3)]
    Path("slates.csv").write_text("\n".join(rows))
    assert call("fit", "item_knn", "slates.csv").code == 0
    found = call("score", "item_knn.model", "--log", "slates.csv", "--out", "scores.csv", "--json", "-").json
    assert [(r["user"], r["item"]) for r in found] == [(u, 10 * i) for u in range(4) for i in range(3)]
    assert len(Path("scores.csv").read_text().splitlines()) == 13


def test_data(call, monkeypatch):
    monkeypatch.setenv("ETHOGRAM_CACHE", "cache")
    names = [d["name"] for d in call("data", "ls", "--json", "-").json]
    assert {"complete_journey", "ml_100k", "amazon_beauty", "amazon_games", "interests"} <= set(names)
    told = call("data", "describe", "interests", "--json", "-").json
    assert told["here"] is True
    assert told["licence"]
    option = next(o["name"] for o in told["options"] if o["name"] == "users")
    got = call("data", "get", "interests", "--set", f"{option}=12", "--set", "slates=2", "--out", "made", "--json", "-")
    assert got.json["users"] == 12
    assert len(Log.open("made").vocabulary("user")) == 12


def test_doctor(call):
    found = call("doctor", "--json", "-").json
    assert found["versions"]["ethogram"] == ethogram.__version__
    assert found["machine"]["cores"] >= 1
    assert found["folders"]["working folder"]["writable"] is True
    assert set(found["extras"]) >= {"nn", "data"}
    assert set(found["systems"]) == {s.key for s in ethogram.systems()}
    assert {pool["api"] for pool in found["blas"]} & {"blas", "openmp"}


def test_reproduce_passes_on_what_was_asked(call, monkeypatch):
    asked = {}

    def run(keys, **how):
        asked.update(how, keys=list(keys))
        claim = {"text": "Better", "measured": 0.25, "threshold": 0.01, "verdict": asked["say"], "why": "[0.1, 0.4]"}
        return [{"key": "din", "mode": "quick", "claims": [claim], "seconds": 2.5, "peak_mb": 10.0}]

    monkeypatch.setattr(claims, "run", run)
    monkeypatch.setattr(claims, "keys", lambda: ["din", "sdim"])
    asked["say"] = "holds"
    said = call("reproduce", "--all", "--json", "claims.json")
    assert said.code == 0
    assert (asked["keys"], asked["quick"], asked["store"]) == (["din", "sdim"], False, Path("records"))
    assert json.loads(Path("claims.json").read_text())[0]["claims"][0]["verdict"] == "holds"
    assert "holds" in said.out
    assert "0.25" in said.out
    asked["say"] = "fails"
    assert call("reproduce", "din").code == 0, "a claim that fails is a result"
    assert asked["keys"] == ["din"]
    assert call("reproduce", "din", "--quick").code == 1, "a quick run that fails was stopped by a fault"
    assert (asked["quick"], asked["store"]) == (True, None)


def test_interruption(call, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(claims, "run", stop)
    said = call("reproduce", "din")
    assert (said.code, said.err) == (130, "ethogram: interrupted.\n")


def test_cross_validation_at_the_command_line(call, refused):
    said = call("evaluate", "personality_ads", "--log", "panel.csv", "--protocol", "new-user", "--folds", 2, "--json")
    assert said.code == 2, "there is no such file"
    rows = ["user,item,order,value,label"]
    rows += [f"u{u},i{i},{i},{1 + (u + 2 * i) % 5},{int((u + 2 * i) % 5 > 2)}" for u in range(9) for i in range(8)]
    Path("panel.csv").write_text("\n".join(rows) + "\n")
    how = ("--protocol", "new-user", "--folds", 3, "--json", "-")
    said = call("evaluate", "personality_ads", "--log", "panel.csv", *how)
    assert said.code == 0, said.err
    assert {"auc", "rmse", "spearman"} <= set(said.json["metrics"])
    assert said.json["facts"]["folds"] == 3
    assert "--folds is for" in refused("evaluate", "personality_ads", "--log", "panel.csv", "--folds", 3)
    few = refused("evaluate", "personality_ads", "--log", "panel.csv", "--protocol", "new-user", "--folds", 40)
    assert "40 folds of 9 to deal" in few


@pytest.fixture
def slates():
    """People with nine past events and a slate of two."""
    rows = ["user,item,time,label,slate"]
    for u in range(30):
        for d in range(9):
            rows.append(f"{u},{(10, 30)[u % 2] if d < 2 else 100 + 10 * ((u + d) % 7)},{1_600_000_000 + 86_400 * d},,")
        rows += [f"{u},{i},{1_600_900_000},{int(i == (100, 130)[u % 2])},s{u}" for i in (100, 130)]
    Path("slates.csv").write_text("\n".join(rows))


def test_explain_names_events_and_tests_them(call, slates):
    assert call("fit", "item_knn", "slates.csv").code == 0
    built = ethogram.load("item_knn.model")
    said = call("explain", "item_knn.model", "--history", "100,110", "--items", "120,130", "-k", "1", "--json", "-")
    asked, judged = Histories.of([[100, 110]]), Candidates.of([120, 130])
    expected = [
        (str(r["candidate"]), str(r["item"]), r["share"]) for r in built.explain(asked, judged, k=1).to_pylist()
    ]
    assert [(r["candidate"], r["item"], r["share"]) for r in said.json["reasons"]] == expected
    scores = built.score(asked, judged)[0]
    assert [r["score"] for r in said.json["scores"]] == sorted(scores.tolist(), reverse=True)
    assert "120 for stranger 1" in said.err
    found = call("explain", "item_knn.model", "--user", "3", "--items", "120", "--deletion", "--out", "why.csv")
    assert "120 for user 3" in found.out
    assert "item_knn: deleting the 3 named events moves the score by" in found.out
    assert len(Path("why.csv").read_text().splitlines()) == 4
    alone = call("explain", "item_knn.model", "--deletion", "-k", "2", "--pairs", "20", "--json", "-").json
    assert list(alone) == ["deletion"]
    assert (alone["deletion"]["k"], alone["deletion"]["pairs"]) == (2, 20)


def test_answers_say_who_is_not_known_and_what_an_event_speaks_through(call, slates):
    pytest.importorskip("torch")
    assert call("fit", "popularity", "slates.csv").code == 0
    said = call("recommend", "popularity.model", "--history", "100", "--history", "", "--among", "100,110,999",
                "--no-exclude-seen").out  # fmt: skip
    assert "a stranger who did 100, whom training did not meet" in said
    assert "a stranger who did nothing, of whom nothing is known" in said
    assert said.count("999 (training never met it)") == 2
    assert call("fit", "pisa", "slates.csv", "--set", "epochs=1", "--set", "dim=8").code == 0
    why = call("explain", "pisa.model", "--history", "100,110", "--items", "100", "-k", "9").out
    assert "component" in why
    assert "long term" in why
    assert "no past event speaks" in call("explain", "pisa.model", "--history", "", "--items", "100").out


def test_progress_counts_epochs_from_one(capsys, monkeypatch):
    from ethogram.cli import output

    monkeypatch.setattr(output.time, "monotonic", iter([0.0, 11.0, 12.0, 23.0, 24.0]).__next__)
    with output.Output(None).progress("fit") as watch:
        watch({"epoch": 1, "epochs": 5, "step": 3, "loss": 0.25, "valid": None})
        watch({"epoch": 2, "epochs": 5, "step": 4, "steps": 8})
    assert capsys.readouterr().err.splitlines() == [
        "fit: epoch 1 of 5, step 3, loss 0.25",
        "fit: epoch 2 of 5, step 4 of 8",
    ]


def test_a_report_holds_reasons_and_their_test(call, slates):
    call("fit", "item_knn", "slates.csv")
    call("evaluate", "item_knn", "--log", "slates.csv", "--task", "next", "--store", "kept")
    told = ("--model", "item_knn.model", "--history", "100,110", "--items", "120,130", "--deletion")
    assert call("report", "kept", "--out", "page.html", "--no-charts", *told).code == 0
    page = Path("page.html").read_text()
    assert "A stranger who did 100,110" in page
    assert "because of 1" in page
    assert "when the events that a reason names are deleted" in page


def test_compare_tells_quality_costs_and_latency_and_writes_a_page(call, refused):
    arms = ("smoothed_rates", "hashed_regression:epochs=1,buckets=1024")
    how = ("--data", "interests:users=40,length=60,70,slates=6", "--protocol", "by-user", "--latency", 20)
    said = call("compare", *arms, *how, "--metric", "auc", "--report", "page.html")
    assert said.code == 0, said.err
    assert "ms for 20" in said.out
    assert re.search(r"auc +0\.\d{4} \[0\.\d{4}, 0\.\d{4}\]", said.out)
    assert "frontier" in said.out
    page = Path("page.html").read_text()
    assert "Quality against cost." in page
    assert "requests of 20 candidates" in page
    found = call("compare", *arms, *how, "--metric", "auc", "--json", "-").json
    costs = {row["arm"]: row for row in found["costs"]}
    assert set(costs) == {"smoothed_rates", "hashed_regression"}
    assert all(0 < row["latency_ms"] <= row["latency_p95_ms"] and row["candidates"] == 20 for row in costs.values())
    assert costs["smoothed_rates"]["fit_seconds"] > 0
    assert costs["smoothed_rates"]["served"] == "plain"
    assert "served" in said.out
    assert any(row["frontier"] for row in costs.values())
    plain = call("compare", "smoothed_rates", *how[:4], "--latency", 0, "--metric", "auc", "--json", "-").json
    assert plain["costs"][0]["latency_ms"] is None
    assert "Did you mean 'users'" in refused("compare", *arms, "--data", "interests:user=40")
    assert "Did you mean 'interests'" in refused("compare", *arms, "--data", "interest:users=40")
    assert "-3 candidates" in refused("compare", *arms, *how[:4], "--latency", -3)


def test_a_stream_of_answers_from_the_command_line(call):
    said = call(
        "evaluate", "reloop2", "--log", "drifting_clicks", "--protocol", "stream", "--windows", "2", "--block", "0.05",
        "--held", "0.05", "--attribution", "6h", "--base", "smoothed_rates", "--calibrate", "platt", "--json", "-",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert {"auc", "auc/block 2", "ece/block 1", "user_auc"} <= set(said.json["metrics"])
    assert said.json["protocol"]["attribution"] == 6 * 3_600_000_000
    assert said.json["options"]["calibrate"] == "platt"
    assert "users with one kind of answer are left out" in said.err


def test_similar_names_items(call, slates):
    assert call("fit", "item_knn", "slates.csv").code == 0
    built = ethogram.load("item_knn.model")
    said = call("similar", "item_knn.model", "--items", "100,110", "-k", "2", "--out", "like.csv", "--json", "-")
    expected = [(str(r["query"]), str(r["item"])) for r in built.similar_items([100, 110], 2).to_pylist()]
    assert [(str(r["query"]), str(r["item"])) for r in said.json] == expected
    assert "like 110" in said.err
    assert len(Path("like.csv").read_text().splitlines()) == 5
    assert "never met item" in call("similar", "item_knn.model", "--items", "999").err
