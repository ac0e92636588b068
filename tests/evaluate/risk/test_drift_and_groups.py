"""PSI by hand and by simulation; group error rates by hand, with warnings that come when they should."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.evaluate.risk.groups import group_errors
from ethogram.evaluate.risk.shift import Bins, band, drift, psi


def test_psi_by_hand():
    before, after = ["a"] * 6 + ["b"] * 3 + [None], ["a"] * 2 + ["c"] * 7 + [None]
    # bins a, b, other, missing; half a case is added to each
    r, c = np.array([6.5, 3.5, 0.5, 1.5]) / 12, np.array([2.5, 0.5, 7.5, 1.5]) / 12
    assert psi(before, after) == pytest.approx(((c - r) * np.log(c / r)).sum())
    told = Bins.of(before).shift(after)
    assert told.most == "other: 0.0% to 70.0%"
    assert psi(before, before) == 0


def test_bins_are_fixed_on_the_reference():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=5_000)
    bins = Bins.of(reference)
    assert bins.counts[:-1] == pytest.approx(500, abs=1)
    assert bins.count(reference + 10)[-2] == 5_000
    assert bins.count([np.nan, None, 0.0])[-1] == 2
    edges = np.quantile(reference, np.arange(1, 10) / 10)
    assert bins.edges == pytest.approx(edges)
    few = Bins.of([1, 1, 2, 5, 5, 5])
    assert few.counts.tolist() == [2, 1, 3, 0]
    assert few.words == ("up to 1.5", "1.5 to 3.5", "above 3.5", "missing")


def test_the_bands_know_what_chance_does():
    rng = np.random.default_rng(1)
    found = [Bins.of(rng.random(400)).shift(rng.random(300)) for _ in range(400)]
    above = np.mean([f.psi > f.chance for f in found])
    assert 0.02 < above < 0.09  # the 95% quantile
    assert np.mean([f.psi for f in found]) == pytest.approx(9 * (1 / 400 + 1 / 300), rel=0.15)
    small = Bins.of(rng.random(30)).shift(rng.random(30))
    assert small.psi > 0.1
    assert small.band == "within chance"
    assert Bins.of(rng.random(4_000)).shift(rng.random(4_000) * 0.8).band == "large shift"
    assert [band(v) for v in (0.099, 0.1, 0.25, float("nan"))] == [
        "stable",
        "moderate shift",
        "large shift",
        "no cases",
    ]


def test_drift_of_features_the_largest_first():
    rng = np.random.default_rng(2)
    before = {"age": rng.normal(size=900), "city": pa.array(rng.choice(["x", "y"], 900)), "new": pa.array([True] * 900)}
    after = {
        "age": rng.normal(size=900) + 1,
        "city": pa.array(rng.choice(["x", "y"], 900)),
        "new": pa.array([True] * 900),
    }
    table = drift(before, after)
    assert table["feature"].to_pylist()[0] == "age"
    assert table["band"].to_pylist()[0] == "large shift"
    assert set(table["band"].to_pylist()[1:]) == {"stable"}
    with pytest.raises(OptionError, match="no feature 'city'"):
        drift(before, {"age": [1.0]})
    with pytest.raises(OptionError, match="must be of a kind"):
        drift({"age": [1.0, 2.0]}, {"age": ["old"]})
    assert drift({"age": [1.0]}, {"age": []})["band"].to_pylist() == ["no cases"]


def test_group_errors_by_hand():
    groups = ["a"] * 5 + ["b"] * 4 + [None]
    risk = [0.1, 0.9, 0.2, 0.8, 0.3, 0.1, 0.2, 0.9, 0.6, 0.5]
    label = [0, 0, 1, 1, np.nan, 0, 0, 1, np.nan, 1]
    a, b = group_errors(groups, risk, label, 0.5).to_pylist()
    assert (a["group"], a["cases"], a["known"]) == ("a", 5, 4)
    assert (a["approval"], a["fpr"], a["fnr"]) == (3 / 5, 1 / 2, 1 / 2)
    assert (b["approval"], b["fpr"], b["fnr"]) == (2 / 4, 0, 0)
    assert a["gap"] == pytest.approx(0.5 - 0.5)
    assert b["gap"] == pytest.approx(0.4 - 1 / 3)
    assert a["warnings"] == ["a: only 5 cases, too few to compare it with the others."]
    assert np.isnan(a["fpr_p"])


def people(n, unfair=0.0, uncalibrated=0.0, seed=0):
    rng = np.random.default_rng(seed)
    group = rng.choice(["north", "south"], n)
    risk = rng.beta(2, 6, n)
    label = (rng.random(n) < np.clip(risk - uncalibrated * (group == "south"), 0, 1)).astype(float)
    return group, np.clip(risk + unfair * (group == "south"), 0, 1), label


def test_equal_groups_get_no_warning_and_unequal_ones_do():
    warned = 0
    for seed in range(40):
        table = group_errors(*people(800, seed=seed), 0.3)
        warned += any("beyond chance" in w for ws in table["warnings"].to_pylist() for w in ws)
    assert warned <= 6  # 5% of 40, corrected for many tests
    harsh = group_errors(*people(4_000, unfair=0.1), 0.3).to_pylist()
    assert any("false alarms among the good is" in w for w in harsh[0]["warnings"])
    assert harsh[1]["warnings"] == []  # of two groups it is one comparison
    assert harsh[0]["fpr_p"] == harsh[1]["fpr_p"] < 1e-6
    assert harsh[1]["fpr"] > harsh[0]["fpr"]
    off = group_errors(*people(8_000, uncalibrated=0.1), 0.3).to_pylist()
    assert any(w.startswith("north: its mean risk is") for w in off[0]["warnings"])
    assert off[1]["gap_low"] > 0


def test_weights_count_as_rows_written_out():
    rng = np.random.default_rng(5)
    group, risk, label = people(300, seed=5)
    weight = rng.integers(1, 4, 300)
    one = group_errors(group, risk, label, 0.3, weight).to_pylist()
    out = group_errors(*(np.repeat(v, weight) for v in (group, risk, label)), 0.3).to_pylist()
    for a, b in zip(one, out, strict=True):
        assert [a[n] for n in ("fpr", "fnr", "risk", "bad_rate", "gap")] == pytest.approx(
            [b[n] for n in ("fpr", "fnr", "risk", "bad_rate", "gap")]
        )
        assert a["fpr_high"] - a["fpr_low"] > b["fpr_high"] - b["fpr_low"]  # weights are no further cases


def test_three_groups_are_each_held_against_the_others():
    group, risk, label = people(6_000, unfair=0.1, seed=3)
    group = np.where((group == "north") & (np.arange(6_000) % 2 == 0), "east", group)
    rows = {r["group"]: r for r in group_errors(group, risk, label, 0.3).to_pylist()}
    assert any("false alarms" in w for w in rows["south"]["warnings"])
    assert rows["south"]["fpr_p"] <= rows["east"]["fpr_p"] < 0.05


def test_a_rate_that_rests_on_few_is_not_compared():
    group, risk, label = people(400)
    label[(group == "south") & (label == 1)] = np.nan
    told = group_errors(group, risk, label, 0.3).to_pylist()
    assert "south: missed among the bad rests on 0 cases, too few to compare it." in told[1]["warnings"]
    assert np.isnan(told[1]["fnr"])
    with pytest.raises(OptionError, match="one of each per case"):
        group_errors(group, risk[:-1], label, 0.3)
