"""The toolbox on tiny tables worked out by hand; pooled cross-validation against the folds it pools."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

import ethogram
from ethogram import data
from ethogram.errors import OptionError
from ethogram.evaluate import run
from ethogram.evaluate.classification import auc
from ethogram.evaluate.ratings import rmse
from ethogram.evaluate.toolbox import paired, predictions, toolbox

TINY = {
    "user": ["a", "a", "a", "a", "b", "b"],
    "item": [1, 2, 3, 4, 1, 2],
    "label": [1.0, 0.0, 1.0, 0.0, 0.0, 1.0],
    "probability": [0.9, 0.6, 0.3, 0.1, 0.4, 0.4],
    "value": [5.0, 3.0, 4.0, 1.0, 2.0, 4.0],
    "rating": [4.0, 3.0, 3.0, 2.0, 2.0, 3.0],
    "category": ["x", "x", "y", "y", "x", "x"],
    "popularity": [8, 4, 2, 2, 8, 4],
}


def told(table, *, slice="", **how):
    return {
        (r["group"], r["metric"]): r["value"]
        for r in toolbox(table, resamples=20, **how).to_pylist()
        if r["slice"] == slice
    }


def test_a_tiny_table_by_hand():
    found = told(TINY, k=2)
    assert found["rating", "rmse"] == pytest.approx(np.sqrt(4 / 6))
    assert found["rating", "mae"] == pytest.approx(4 / 6)
    # a: places 1 and 3 are right; b: two level, one of them right: mid-rank 1.5, inside the first two
    assert found["ranking", "precision@2"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert found["ranking", "recall@2"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["ranking", "f1@2"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["ranking", "map@2"] == pytest.approx((1 / 2 + 1 / 1.5) / 2)
    assert found["ranking", "mrr"] == pytest.approx((1 + 1 / 1.5) / 2)
    ideal = 1 + 1 / np.log2(3)
    assert found["ranking", "ndcg@2"] == pytest.approx((1 / ideal + 1 / np.log2(2.5)) / 2)
    assert found["list", "diversity@2"] == 0.0
    assert found["list", "coverage@2"] == 0.5
    assert found["list", "novelty@2"] == pytest.approx(-np.log2(8 / 16 * 4 / 16) / 2)
    assert found["click", "auc"] == pytest.approx((3 + 1 + 1.5) / 9)
    assert found["click", "user_auc"] == pytest.approx((4 * 0.75 + 2 * 0.5) / 6)
    assert found["click", "accuracy"] == pytest.approx(3 / 6)
    assert found["truth", "brier"] == pytest.approx((0.01 + 0.36 + 0.49 + 0.01 + 0.16 + 0.36) / 6)


def test_slices_are_the_table_cut():
    part = {n: [v for v, c in zip(column, TINY["category"], strict=True) if c == "x"] for n, column in TINY.items()}
    assert told(TINY, k=2, slices=["category"], slice="category=x") == told(part, k=2)
    rows = toolbox(TINY, k=2, slices=["category"], resamples=5)
    counts = {r["slice"]: (r["rows"], r["people"]) for r in rows.to_pylist()}
    assert counts == {"": (6, 2), "category=x": (4, 2), "category=y": (2, 1)}


def test_what_is_not_there_is_left_out():
    bare = {n: TINY[n] for n in ("user", "item", "label", "probability")}
    assert {group for group, _ in told(bare)} == {"ranking", "click", "truth"}


def test_refusals():
    with pytest.raises(OptionError, match=r"no column 'probability'\. Did you mean 'probabilty'"):
        toolbox({"user": [1], "item": [1], "label": [1.0], "probabilty": [0.5]})
    with pytest.raises(OptionError, match="no rows"):
        toolbox({n: [] for n in ("user", "item", "label", "probability")})
    with pytest.raises(OptionError, match="'label' holds no numbers"):
        toolbox({**TINY, "label": ["yes"] * 6})
    with pytest.raises(OptionError, match="outside"):
        toolbox({**TINY, "probability": [1.5] * 6})
    other = {**TINY, "item": [2, 1, 3, 4, 1, 2]}
    with pytest.raises(OptionError, match="same people and items"):
        paired(TINY, other)


def test_paired_finds_the_better_one_and_corrects():
    rng = np.random.default_rng(0)
    user, item = (a.ravel() for a in np.indices((40, 12)))
    label = (rng.random(len(user)) < 0.4).astype(float)
    good = np.clip(0.3 + 0.3 * label + rng.normal(0, 0.1, len(user)), 0.01, 0.99)
    bad = np.clip(0.4 + rng.normal(0, 0.1, len(user)), 0.01, 0.99)
    base = {"user": user, "item": item, "label": label}
    rows = {r["metric"]: r for r in paired({**base, "probability": good}, {**base, "probability": bad}).to_pylist()}
    assert rows["user_auc"]["difference"] > 0.3
    assert rows["user_auc"]["signed_rank"] < 1e-5 < 0.05
    assert rows["logloss"]["difference"] < 0
    assert all(r["p_holm"] >= r["p"] and r["signed_rank_holm"] >= r["signed_rank"] for r in rows.values())
    same = paired({**base, "probability": good}, {**base, "probability": good})
    assert set(same["p"].to_pylist()) == {1.0}
    assert set(same["effect"].to_pylist()) == {0.0}


@cache
def cut():
    return data.load("adverts", users=24, categories=4, per_category=5, pictures=2, strength=0.8, seed=1).split(
        "new-user", folds=4
    )


def test_pooled_folds_are_judged_as_one():
    system = ethogram.system("personality_ads")
    record = run(system, cut(), bootstrap=50)
    table = predictions(system, cut(), columns={"items": ["format"], "users": ["gender"]})
    assert len(table) == 24 * 20
    assert record.metrics["auc"] == pytest.approx(auc(table["label"], table["probability"]))
    assert record.metrics["rmse"] == pytest.approx(rmse(table["value"], table["rating"]))
    found = told(table, slices=["format", "gender"], k=5)
    assert found["click", "auc"] == pytest.approx(record.metrics["auc"])
    assert found["click", "user_auc"] == pytest.approx(record.metrics["user_auc"])
    low, high = record.intervals["rmse"]
    assert low < record.metrics["rmse"] < high
    assert record.facts["folds"] == 4
    assert record.protocol["name"] == "new-user"
    assert len(record.draw("rmse")) == 50
    counts = {r["slice"]: r["rows"] for r in toolbox(table, slices=["format"], resamples=2).to_pylist()}
    assert sum(n for name, n in counts.items() if name) == counts[""]


def test_systems_that_do_not_rate_have_no_ratings():
    record = run(ethogram.system("smoothed_rates"), cut(), bootstrap=10)
    assert "rmse" not in record.metrics
    assert record.metrics["auc"] > 0.4


def test_folds_judge_answers_only():
    with pytest.raises(OptionError, match="task and part are fixed"):
        run(ethogram.system("smoothed_rates"), cut(), task="next")
    with pytest.raises(OptionError, match="no side table 'adverts'"):
        predictions(ethogram.system("smoothed_rates"), cut(), columns={"adverts": ["format"]})
    with pytest.raises(OptionError, match="Did you mean 'format'"):
        predictions(ethogram.system("smoothed_rates"), cut(), columns={"items": ["formt"]})
    assert isinstance(cut().parts[0].test.ratings(), np.ndarray)
    assert pa.types.is_string(cut().log.items["format"].type)
