"""The best floor is chosen on validation, every other arm is tested against it, and the tests are corrected."""

import json

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError, UnknownName
from ethogram.evaluate.correction import holm
from ethogram.evaluate.record import Record
from ethogram.lineup.standing import labelled, standing

B = 1000
SHARED = np.random.default_rng(0).normal(0, 0.01, B)  # what all arms find hard, equal resamples


def record(system, test, valid, metric="ndcg@10", noise=0.001, seed=0, **options):
    own = np.random.default_rng(len(system) + seed).normal(0, noise, B)
    draws = test + SHARED + own
    return Record(
        system=system, options=options, seed=seed, plan="p", metrics={metric: test}, facts={"valid": {metric: valid}},
        intervals={metric: (test - 0.02, test + 0.02)}, draws=pa.table({metric: draws}),
    )  # fmt: skip


FIELD = [
    record("high_on_test", 0.30, 0.10),
    record("kernel", 0.20, 0.25),
    record("better", 0.22, 0.0),
    record("worse", 0.15, 0.9),
    record("same", 0.2001, 0.9),
]
FLOORS = {"high_on_test", "kernel"}


def test_the_test_part_has_no_say_in_the_choice():
    found = standing(FIELD, ["ndcg@10"], FLOORS)
    assert found.reference == "kernel"
    assert "chosen on the validation part among 2 floors and baselines" in found.chosen
    assert [r["arm"] for r in found.rows] == ["high_on_test", "better", "same", "kernel", "worse"]
    verdicts = {r["arm"]: r["verdict"] for r in found.rows}
    assert verdicts == {
        "high_on_test": "beats", "better": "beats", "same": "not told apart", "kernel": "", "worse": "below",
    }  # fmt: skip


def test_gaps_are_paired_and_corrected():
    rows = {r["arm"]: r for r in standing(FIELD, ["ndcg@10"], FLOORS).rows}
    draws = {r.system: r.draw("ndcg@10") for r in FIELD}
    gap = draws["better"] - draws["kernel"]
    low, high = np.quantile(gap, [0.025, 0.975])
    better = rows["better"]
    assert better["ndcg@10 gap"] == pytest.approx(0.02)
    assert (better["ndcg@10 gap low"], better["ndcg@10 gap high"]) == pytest.approx((low, high))
    assert high - low < 0.01 < better["ndcg@10 high"] - better["ndcg@10 low"]  # what is shared cancels out
    others = [a for a in rows if a != "kernel"]
    corrected = holm([rows[a]["ndcg@10 p"] for a in others])
    assert [rows[a]["ndcg@10 p corrected"] for a in others] == pytest.approx(list(corrected))
    assert better["ndcg@10 p"] == pytest.approx(2 / (B + 1))
    assert better["ndcg@10 p corrected"] == pytest.approx(4 * 2 / (B + 1))
    assert np.isnan(rows["kernel"]["ndcg@10 p"])


def test_what_does_not_beat_the_floor_is_said_in_words():
    said = standing(FIELD, ["ndcg@10"], FLOORS).short()
    assert said[0].startswith("The best floor is `kernel`")
    assert any(s.startswith("`worse` does not beat the best floor, it is below it: NDCG@10 −0.0500 [") for s in said)
    assert any(s.startswith("`same` does not beat the best floor, the two are not told apart") for s in said)
    assert said[-1] == "Of the other floors and baselines, these beat it: `high_on_test`."


def test_less_is_better_where_it_is():
    field = [record("floor", 0.5, 0.5, "logloss"), record("good", 0.4, 0.4, "logloss")]
    found = standing(field, ["logloss"], {"floor"})
    assert [(r["arm"], r["verdict"]) for r in found.rows] == [("good", "beats"), ("floor", "")]


def test_seeds_are_pooled_and_ways_compared():
    field = [record("floor", 0.1, 0.1)]
    for seed in (0, 1):
        field.append(record("als", 0.2 + 0.1 * seed, 0.1, seed=seed, fold_in="strangers"))
        field.append(record("als", 0.1, 0.1, seed=seed, fold_in="always"))
    found = standing(field, ["ndcg@10"], {"floor"})
    rows = {r["arm"]: r for r in found.rows}
    assert rows["als, as trained"]["seeds"] == 2
    assert rows["als, as trained"]["ndcg@10"] == pytest.approx(0.25)
    (way,) = found.ways
    assert (way["system"], way["verdict"]) == ("als", "as trained is better")
    assert way["gap"] == pytest.approx(-0.15)
    assert labelled("als (factors=8, fold_in=always)") == "als (factors=8, folded in)"


def test_bad_input():
    with pytest.raises(OptionError, match="no floor was measured"):
        standing(FIELD, ["ndcg@10"], set())
    with pytest.raises(UnknownName, match="kernel"):
        standing(FIELD, ["ndcg@10"], FLOORS, reference="kernle")
    with pytest.raises(UnknownName, match=r"ndcg@10"):
        standing(FIELD, ["ndcg@11"], FLOORS)
    assert standing(FIELD, ["ndcg@10"], set(), reference="worse").reference == "worse"
    json.dumps([dict(r) for r in standing(FIELD, ["ndcg@10"], FLOORS).rows])
