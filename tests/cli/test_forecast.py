"""``ethogram forecast`` and ``assess`` with a saved model, and what they refuse."""

from __future__ import annotations

import json

import pytest

from ethogram.cli import main

LOG = "regime_hawkes:users=6,windows=1"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("forecast") / "m"
    assert main(["fit", "prompt_tpp", LOG, "--process", "hawkes", "--out", str(path)]) == 0
    return str(path)


def test_forecasts_of_a_saved_model(model, tmp_path, capsys):
    out = tmp_path / "said.json"
    assert main(["forecast", model, LOG, "--user", "3", "-k", "2", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())
    assert [(r["user"], r["step"]) for r in rows] == [(3, 1), (3, 2)]
    assert rows[0]["low"] <= rows[0]["time"] <= rows[0]["high"]
    assert "expected" in capsys.readouterr().out


def test_a_key_is_fitted_first(tmp_path):
    out = tmp_path / "said.csv"
    assert main(["forecast", "prompt_tpp", LOG, "--process", "poisson", "--out", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 7


def test_people_are_assessed_by_a_saved_model(model, tmp_path):
    out = tmp_path / "said.json"
    assert main(["assess", model, LOG, "--json", str(out)]) == 0
    assert all(0 <= r["risk"] <= 1 for r in json.loads(out.read_text()))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--user", "33"], "no user '33'"),
        (["--epochs", "3"], "cannot be changed"),
        (["-k", "0"], "not a number of events"),
        (["--out", "x.txt"], "must end in"),
    ],
)
def test_refusals_are_one_line(model, more, said, capsys):
    assert main(["forecast", model, LOG, *more]) == 2
    assert said in capsys.readouterr().err


def test_what_cannot_forecast_says_what_it_can(capsys):
    assert main(["forecast", "popularity", LOG]) == 2
    assert "popularity cannot forecast" in capsys.readouterr().err
