"""``ethogram compare --area``: a true run with children, and what it refuses."""

import json
from pathlib import Path

import pytest


def test_a_quick_run_in_children(call):
    tokens = ("compare", "--area", "recommend", "--log", "events.csv", "--systems", "popularity", "--quick")
    said = call(*tokens, "--out", "out", "--json", "found.json")
    assert said.code == 0, said.err
    assert "[1/1] popularity: begins" in said.out
    assert "The best floor is" in said.out
    assert "nothing is decided by it" in said.out
    found = json.loads(Path("found.json").read_text())
    assert [a["arm"] for a in found["arms"]] == ["popularity"]
    assert all(0 < a["peak_mb"] < 1000 and a["median_ms"] > 0 for a in found["arms"])
    assert {p.name for p in Path("out").iterdir()} == {
        "records", "report.html", "report.md", "picture.svg", "lineup.json", "lineup.parquet",
    }  # fmt: skip
    again = call(*tokens, "--out", "out")
    assert again.out.count("measured before") == 1


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (("--area", "recomend", "--log", "events.csv"), "unknown area 'recomend'. Did you mean 'recommend'?"),
        (("--area", "act", "--log", "events.csv"), "Areas that have: rank, recommend."),
        (("--area", "rank", "--log", "events.csv"), "has no role 'label'"),
        (("--area", "recommend", "--data", "amazon_beuty"), "amazon_beauty"),
        (("--area", "recommend"), "give --log LOG"),
        (("popularity", "--area", "recommend", "--log", "events.csv"), "--systems"),
        (("--area", "recommend", "--log", "events.csv", "--systems", "popularty"), "popularity"),
        (("--area", "recommend", "--log", "events.csv", "--systems", "als:factor=3"), "factors"),
        (("--area", "recommend", "--log", "events.csv", "--systems", "din", "popularity"), "of area rank"),
        (("--area", "recommend", "--log", "events.csv", "--systems", "pisa"), "none of the systems is a floor"),
        (("--area", "recommend", "--log", "events.csv", "--users", "1"), "2 users"),
        (("--area", "recommend", "--log", "events.csv", "--seeds", "0"), "1 seed"),
        (("--area", "recommend", "--log", "events.csv", "--budget", "long"), "90s or 10m"),
        (("--area", "recommend", "--log", "events.csv", "--protocol", "new-user"), "leave-last-out"),
        (("popularity", "--log", "events.csv", "--quick"), "--quick is for --area"),
    ],
)
def test_bad_input(refused, tokens, words):
    assert words in refused("compare", *tokens)


def test_help_has_an_example(call):
    said = call("compare", "--help").out
    assert "--area recommend --data amazon_beauty" in " ".join(said.replace("│", " ").split())
    for flag in ("--systems", "--users", "--budget", "--seeds", "--out", "--quick"):
        assert flag in said
