"""`ethogram risk` as people call it: what it prints and writes, and every wrong call in one line."""

import csv
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.csv as table_csv
import pyarrow.parquet as pq
import pytest
from tests.risky import payments, visits

from ethogram.cli import main
from ethogram.cli.risk_cases import Judging, remarks
from ethogram.errors import StepError
from ethogram.log import Log
from ethogram.numeric import rule_sets


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A saved system and two logs, written once."""
    place = tmp_path_factory.mktemp("risk")
    payments(300, seed=1).write(place / "train")
    payments(400, seed=2, unfair=0.2).write(place / "pay")
    payments(200, seed=3).write(place / "earlier")
    assert main(["fit", "lender_share", str(place / "train"), "--out", str(place / "m")]) == 0
    return place


@pytest.fixture
def here(made, folder):
    for name in ("m", "pay", "earlier", "train"):
        Path(name).symlink_to(made / name)


def test_score_tells_windows_metrics_costs_drift_and_groups(here, call):
    said = call("risk", "score", "m", "pay", "--out", "cases.csv", "--json", "told.json")
    assert said.code == 0, said.err
    for words in (
        "validation: 200 cases decided before 2024-",
        "approves at most 90.0% of the validation",
        "recall at the approval rate",
        "top 5%",
        "cost per case:",
        "drift since validation",
        "note: north: approval rate is",
        "beyond chance",
        "have no outcome yet",
    ):
        assert words in said.out, words
    rows = list(csv.DictReader(Path("cases.csv").read_text().splitlines()))
    assert len(rows) == 200
    assert {r["decision"] for r in rows} == {"approve", "decline"}
    assert rows[0]["reasons"].startswith(("share of payments", "mean payment"))
    assert "%)" in rows[0]["reasons"]
    import json

    told = json.loads(Path("told.json").read_text())
    assert told["valid"]["rate"]["value"] <= 0.9
    assert told["metrics"]["auc"]["low"] < told["metrics"]["auc"]["value"] < told["metrics"]["auc"]["high"]
    assert told["censoring"]["unknown"] == told["test"]["unknown"] > 0
    declined = [r for r in rows if r["decision"] == "decline"]
    assert min(float(r["risk"]) for r in declined) > told["threshold"]


def test_windows_can_be_named(here, call):
    other = call("risk", "score", "m", "pay", "--valid", "earlier", "--out", "cases.parquet")
    assert "validation: all 200 cases of earlier" in other.out
    assert pq.read_table("cases.parquet").num_rows == 400
    day = call("risk", "score", "m", "pay", "--valid", "2024-02-01", "--approve", "0.5", "--json", "-")
    assert day.json["wanted"] == 0.5
    assert day.json["windows"].startswith("validation: ")
    assert "2024-02-01" in day.json["windows"]


def test_the_log_that_it_learned_from_flatters(here, call):
    assert "the figures flatter it" in call("risk", "score", "m", "train").out
    assert "flatter" not in call("risk", "score", "m", "pay").out


def test_a_system_that_reads_what_is_protected_is_told(made):
    log = Log.open(made / "pay")
    for by, profile, notes in ((None, ("group",), 1), ("age", ("group", "age"), 1), ("age", ("group",), 0)):
        found = remarks("m", SimpleNamespace(profile=profile), log, Judging(by=by))
        assert ["laws forbid deciding by it" in f for f in found] == [True] * notes


def test_a_split_that_it_was_fitted_with_gives_the_windows(here, call):
    assert call("fit", "lender_share", "train", "--protocol", "by-decision", "--out", "m2").code == 0
    said = call("risk", "score", "m2", "train")
    assert "of the by-decision split it was fitted with" in said.out
    assert "flatter" not in said.out


def test_explain_tells_one_case(here, call):
    said = call("risk", "explain", "m", "pay", "--user", "u0013", "--last", "3")
    assert said.code == 0
    assert "user u0013: risk 0." in said.out
    assert "share of payments to lenders" in said.out
    assert "latest 3 of" in said.out
    told = call("risk", "explain", "m", "pay", "--user", "u0013", "--json", "-").json
    assert told["user"] == "u0013"
    assert sum(abs(r["share"]) for r in told["reasons"]) == pytest.approx(1)
    assert len(told["latest"]) == min(15, told["events"])
    rows, people = Log.open("pay").table(), Log.open("pay").users
    table_csv.write_csv(rows.select(["user", "item", "time", "value"]), "told.csv")
    table_csv.write_csv(people, "people.csv")
    from_files = call(
        "risk", "explain", "m", "told.csv", "--users", "people.csv", "--user", "u0013", "--json", "-"
    ).json
    assert from_files["risk"] == pytest.approx(told["risk"])


def test_report_is_one_page(here, call):
    said = call("risk", "report", "m", "pay", "--out", "deep/report.html", "--cases", "7", "--no-charts")
    assert said.code == 0, said.err
    text = Path("deep/report.html").read_text()
    assert text.count('<details class="case"') == 7
    assert "7 of 200 cases written" in said.out


WRONG = {
    ("score", "nothing.model", "pay"): "there is no folder 'nothing.model', nor a system of that name",
    ("score", "popularit", "pay"): "Did you mean 'popularity'?",
    ("score", "popularity", "pay"): "popularity cannot assess: its verbs are",
    ("score", "friendship_paradox", "pay", "--set", "author=@item"): "judges, but tells no risk",
    ("score", "friendship_paradox", "pay", "--set", "authr=@item"): "Did you mean 'author'?",
    ("score", "m", "payy"): "there is no file or folder 'payy'",
    ("score", "m", "events.csv"): "so there is no earlier window to choose a threshold on; give one: --valid LOG",
    ("score", "m", "pay", "--valid", "last week"): "neither an instant like 2024-05-01 nor a log",
    ("score", "m", "pay", "--valid", "1999-01-01"): "0 of 400 cases were decided before 1999-01-01",
    ("score", "m", "pay", "--approve", "90"): "approval rate 90: give a share above 0 and at most 1",
    ("score", "m", "pay", "--outcome", "defalt"): "outcome 'defalt': no such column in the table of users",
    ("score", "m", "pay", "--loss", "-1"): "cost of a false approval",
    ("score", "m", "pay", "--out", "cases.xlsx"): "must end in .parquet or .csv",
    ("score", "m", "pay", "--set", "outcome=x"): "a saved system has the options that it learned with",
    ("explain", "m", "pay", "--user", "u13"): "no case is of a user 'u13'.",
    ("explain", "m", "pay", "--user", "u0013", "--session", "s"): "here a case is a whole user",
    ("explain", "m", "pay"): "--user",
    ("clusters", "m", "pay"): "lender_share finds no clusters",
    ("report", "m", "pay", "--out", "report.pdf"): "must end in .html",
    ("report", "m", "pay", "--cases", "0"): "--cases 0: give 1 or more",
    ("scor", "m", "pay"): "unknown command of ethogram risk 'scor'. Did you mean 'score'?",
}


@pytest.mark.parametrize("tokens", WRONG, ids=" ".join)
def test_wrong_calls_are_told(here, refused, tokens):
    assert WRONG[tokens] in refused("risk", *tokens)


def test_nothing_learned_and_nobody_to_judge(here, refused):
    assert "fit lender_share LOG --out FOLDER" in refused("risk", "score", "lender_share", "pay")
    Path("no value.csv").write_text("user,item,time\nu1,lender 1,2024-01-01\nu2,rent,2024-01-02\n")
    assert "no column is the value" in refused("risk", "score", "m", "no value.csv")


def test_assess_takes_the_same_systems_and_tells_the_same_mistakes(here, call, refused):
    assert call("assess", "m", "pay", "--json", "-").json[0]["risk"] > 0
    assert "a saved system has the options that it learned with" in refused("assess", "m", "pay", "--outcome", "x")
    assert "cannot assess: its verbs are" in refused("assess", "popularity", "pay")
    assert "fit lender_share LOG --out FOLDER" in refused("assess", "lender_share", "pay")
    Path("lender_share").mkdir(exist_ok=True)  # a folder of a system's name that holds no system
    assert "fit lender_share LOG --out FOLDER" in refused("assess", "lender_share", "pay")
    assert "there is no folder 'popularit'" in refused("assess", "popularit", "pay")


def test_help_reads_well(call):
    told = call("risk", "--help").out
    assert "ethogram risk score lbsf.model payments --approve 0.9" in told
    for name in ("score", "clusters", "explain", "report"):
        assert name in told
        assert call("risk", name, "--help").code == 0


def test_clusters_show_cards_rules_and_who_falls_into_them(call, folder):
    visits(60, seed=1).write("shop")
    visits(40, seed=2).write("later")
    assert call("fit", "gift_rings", "shop", "--out", "rings").code == 0
    said = call("risk", "clusters", "rings", "later", "--rules", "rules.json")
    assert said.code == 0, said.err
    assert "2 clusters, 1 of them flagged; 8 of 40 cases of this log fall into one" in said.out
    assert "cluster 0: 12 sessions with gift cards." in said.out
    assert "  where gifts at least 2 and amount at least 100" in said.out
    assert "1 rules written to rules.json" in said.out
    system, found = rule_sets.read(Path("rules.json"))
    assert system == "gift_rings"
    assert [(c, str(r)) for c, r in found] == [("0", "gifts at least 2 and amount at least 100")]
    told = call("risk", "clusters", "rings", "later", "--json", "-").json
    assert [c["here"] for c in told["clusters"]] == [8, 0]
    assert told["outside"] == 32
    assert len(told["cases"]) == 40


def test_sessions_are_scored_explained_and_reported(call, folder):
    visits(60, seed=1).write("shop")
    call("fit", "gift_rings", "shop", "--out", "rings")
    visits(80, seed=2).write("later")
    told = call("risk", "score", "rings", "later", "--json", "-").json
    assert told["windows"].startswith("validation: 40 cases decided before")  # by the sessions' last events
    assert told["metrics"]["auc"]["value"] > 0.8
    case = call("risk", "explain", "rings", "later", "--user", "a0", "--json", "-").json
    assert (case["session"], case["risk"], case["events"]) == ("s0", 0.9, 4)
    assert (
        call("risk", "explain", "rings", "later", "--user", "a0", "--session", "s30", "--json", "-").json["events"] == 4
    )
    assert call("risk", "report", "rings", "later", "--no-charts").code == 0
    text = Path("report.html").read_text()
    assert "1 of 2 clusters are flagged." in text
    assert "gifts at least 2 and amount at least 100" in text


def test_more_wrong_calls(call, refused):
    visits(20).write("shop")
    call("fit", "gift_rings", "shop", "--out", "rings")
    assert "--rules rules.txt: the name must end in .json" in refused(
        "risk", "clusters", "rings", "shop", "--rules", "rules.txt"
    )
    said = refused("risk", "explain", "rings", "shop", "--user", "a0", "--session", "s3")
    assert said == "user 'a0' has no session 's3'; there are s0."
    Path("rules.json").write_text('{"format": 1, "clusters": [{"rules": 3}]}')
    assert "rules rules.json: entry 0 has no `cluster` or no `rules`" in refused(
        "serve", "rings", "--no-keys", "--rules", "rules.json"
    )
    Path("rules.json").write_text('{"format": 1, "clusters": [{"cluster": 2, "rules": 3}]}')
    assert "rules rules.json: cluster 2: this JsonLogic is no list" in refused(
        "serve", "rings", "--rules", "rules.json"
    )
    Path("rules.json").write_text("[]")
    assert "no file that `ethogram risk clusters --rules` wrote" in refused("serve", "rings", "--rules", "rules.json")


def test_cases_without_an_instant_are_counted_and_in_neither_window(call, folder):
    log = payments(120, seed=4)
    decided = [None if n < 7 else v for n, v in enumerate(log.users["decided"].to_pylist())]
    place = log.users.column_names.index("decided")
    users = log.users.set_column(place, "decided", pa.array(decided, pa.timestamp("us", "UTC")))
    Log.open(log.table().drop_columns(["user_code", "item_code"]), users=users).write("some")
    call("fit", "lender_share", "some", "--out", "m")
    said = call("risk", "score", "m", "some")
    assert "; 7 without an instant of decision are in neither" in said.out
    assert "validation: 56 cases decided before" in said.out


def test_a_log_without_events(here, refused):
    Path("nobody.csv").write_text("user,item,time,value\n")
    for command in (("score",), ("report",), ("explain", "--user", "u0001")):
        assert "nobody.csv: the file has a header and no rows" in refused(
            "risk", command[0], "m", "nobody.csv", *command[1:]
        )


def test_a_part_without_events_is_told(made):
    from ethogram.cli.output import Output
    from ethogram.cli.risk_cases import assessed
    from ethogram.system import load

    with pytest.raises(StepError, match="there is nobody to judge"):
        assessed(load(made / "m"), Log.open(made / "pay").where("value > 1000000000"), Output())
