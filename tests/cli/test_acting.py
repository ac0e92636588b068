"""The commands that act, assess and audit."""

import json

import pytest

from ethogram.cli import main

TRACES = """user,order,kind
a,1,view
a,2,confirm
a,3,pay
b,1,view
b,2,pay
"""


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("Tea: Tea is grown in Assam.\nSilk: Silk is woven in Kashi.\n")
    return path


def test_act_shows_the_steps_and_writes_them_as_a_log(tmp_path, texts, capsys):
    out, found = tmp_path / "steps", tmp_path / "steps.json"
    given = ["--texts", str(texts), "--out", str(out), "--json", str(found), "--lm", "scripted:tea", "--spec", "react"]
    assert main(["act", "ltl_agent", "Where is tea grown?", *given, "--most", "7"]) == 0
    rows = json.loads(found.read_text())
    assert (rows[0]["kind"], rows[-1]["kind"]) == ("question", "answer")
    assert "Where is tea grown?" in capsys.readouterr().out
    assert main(["assess", "ltl_agent", str(out), "--json", "-"]) == 0
    assert [r["accepted"] for r in json.loads(capsys.readouterr().out)] == [True]


def test_assess_tells_what_is_violated_and_where(tmp_path, capsys):
    log, out = tmp_path / "log.csv", tmp_path / "found.csv"
    log.write_text(TRACES)
    assert main(["assess", "ltl_agent", str(log), "--formula", "!pay W confirm", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "1 of 2 cases keep to it" in said
    assert "confirm R" in said
    assert len(out.read_text().splitlines()) == 3


def test_simulate_writes_a_log_that_can_be_assessed(tmp_path, capsys):
    out = tmp_path / "town"
    asked = ["simulate", "friendship_paradox", "--people", "40", "--until", "30", "--log", str(out), "--json", "-"]
    assert main(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["people"] <= 40
    assert {"post", "like"} <= set(told["kinds"])
    assert main(["assess", "friendship_paradox", str(out), "--draws", "1", "--json", "-"]) == 0
    assert len(json.loads(capsys.readouterr().out)["cases"]) >= told["people"]


def test_assess_tells_of_the_whole_log_first(tmp_path, capsys):
    posts = tmp_path / "posts.csv"
    posts.write_text("id,author,time,reposted\n1,a,2020-01-01,\n2,b,2020-01-02,1\n3,c,2020-01-03,1\n4,a,2020-01-04,2\n")
    out = tmp_path / "out.csv"
    asked = ["assess", "friendship_paradox", f"tweets:path={posts}", "--draws", "2", "--out", str(out), "--json", "-"]
    assert main(asked) == 0
    told = json.loads(capsys.readouterr().out)
    whole = [r for r in told["summary"] if r["measure"] == "in_degree"]
    assert {r["null"] for r in whole} == {"uniform", "rewired", "permuted"}
    assert whole[0]["share"] == pytest.approx(2 / 3)
    assert {r["user"]: r["ties"] for r in told["cases"]} == {"a": 1, "b": 1, "c": 1}
    assert out.read_text().startswith('"user","ties","in_degree"')


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["act", "popularity", "x"], "popularity cannot act"),
        (["simulate", "popularity"], "popularity cannot simulate"),
        (["simulate", "friendship_paradox", "--until", "0"], "give 1 tick or more"),
        (["simulate", "friendship_paradox", "--people", "1"], "people = 1"),
        (["act", "ltl_agent", "x", "--lm", "scripted:x", "--texts", "nowhere.txt"], "no such file"),
        (["act", "ltl_agent", "x", "--lm", "scripted:x", "--spec", "raect"], "Did you mean 'react'"),
        (["assess", "ltl_agnet", "x"], "Did you mean 'ltl_agent'"),
        (["assess", "lbsf", "LOG"], "ethogram fit lbsf LOG --out FOLDER"),
        (["assess", "ltl_agent", "LOG", "--formula", "F (pay"], "ends where"),
        (["assess", "ltl_agent", "LOG", "--formula", "F payed"], "Did you mean 'pay'"),
        (["assess", "ltl_agent", "LOG", "--out", "x.txt"], "must end in .parquet or .csv"),
        (["audit", "popularity"], "popularity cannot audit"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, capsys, tokens, said):
    log = tmp_path / "log.csv"
    log.write_text(TRACES)
    assert main([str(log) if t == "LOG" else t for t in tokens]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_fitted_system_assesses_from_its_folder(tmp_path, capsys):
    from ethogram import data

    log, model, out = tmp_path / "payments", tmp_path / "model", tmp_path / "risk.csv"
    data.load("payments", users=80, payments=(20, 40), unknown=0).write(log)
    asked = ["fit", "payment_aggregates", str(log), "--out", str(model), "--protocol", "by-decision", "--steps", "5"]
    assert main(asked) == 0
    assert main(["assess", str(model), str(log), "--out", str(out), "--json", str(tmp_path / "risk.json")]) == 0
    told = json.loads((tmp_path / "risk.json").read_text())
    assert told["summary"][0]["people learned from"] > 30
    assert len(told["cases"]) == 80
    assert all(0 <= r["risk"] <= 1 for r in told["cases"])
    assert len(out.read_text().splitlines()) == 81
    assert main(["assess", str(model), str(log), "--steps", "9"]) == 2
    assert main(["assess", "payment_aggregates", str(log)]) == 2
    assert "fit" in capsys.readouterr().err
