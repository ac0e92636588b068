"""Thresholds, recall at the top and costs against values by hand and brute force."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.evaluate import shares
from ethogram.evaluate.risk import approval, costs, top


def test_shares_against_scipy():
    from scipy.stats import binomtest, chi2_contingency

    for hits, n in ((0, 7), (3, 10), (10, 10), (41, 300)):
        told = binomtest(hits, n).proportion_ci(method="wilson")
        assert [float(v) for v in shares.wilson(hits, n)[1:]] == pytest.approx([told.low, told.high], abs=1e-12)
    exact = chi2_contingency([[45, 55], [30, 70]], correction=False).pvalue
    assert float(shares.differ(45, 100, 30, 100)) == pytest.approx(exact, abs=1e-12)
    assert np.isnan(shares.differ(0, 0, 3, 5))
    assert float(shares.differ(0, 9, 0, 5)) == 1


def test_a_weighted_share_has_the_trials_of_its_information():
    weighted = shares.share([1, 0, 1, 0], [1, 1, 3, 3])
    assert weighted.value == pytest.approx(0.5)
    n = 8**2 / 20  # by hand: (sum w)^2 / sum w^2
    assert weighted[1:] == pytest.approx([float(v) for v in shares.wilson(n / 2, n)[1:]])
    assert np.isnan(shares.share([]).value)


def test_the_threshold_approves_at_most_the_wanted_share():
    risk = [0.1, 0.2, 0.2, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert approval.threshold_at(risk, 0.5) == 0.5
    assert approval.threshold_at(risk, 0.4) == 0.2
    assert approval.threshold_at(risk, 0.35) == 0.1  # three of equal risk pass together or not at all
    assert approval.threshold_at(risk, 0.05) == -np.inf
    assert approval.threshold_at(risk, 1) == 1.0
    assert approval.threshold_at([0.3] * 10, 0.9) == -np.inf
    assert approval.threshold_at([0.1, 0.2], 0.5, weight=[1, 3]) == 0.1
    rng = np.random.default_rng(0)
    for rate in (0.1, 0.29, 0.9):
        s = np.round(rng.random(1_000), 2)
        t = approval.threshold_at(s, rate)
        assert np.mean(s <= t) <= rate
        assert np.mean(s <= s[s > t].min()) > rate


def test_a_threshold_applied_elsewhere():
    risk, label = [0.1, 0.2, 0.3, 0.6, 0.8, 0.9, 0.7], [0, 1, np.nan, 0, 1, 1, np.nan]
    told = approval.applied(risk, label, 0.5)
    assert (told.cases, told.approved, told.unknown) == (7, 3, 2)
    assert told.rate.value == pytest.approx(3 / 7)
    assert told.bad_rate.value == pytest.approx(1 / 2)
    assert told.declined_bad_rate.value == pytest.approx(2 / 3)
    assert told.recall.value == pytest.approx(2 / 3)
    assert told.rate.low < told.rate.value < told.rate.high
    weighted = approval.applied(risk, label, 0.5, weight=[3, 1, 0, 1, 1, 1, 0])
    assert weighted.bad_rate.value == pytest.approx(1 / 4)
    assert np.isnan(approval.applied(risk, [np.nan] * 7, 0.5).bad_rate.value)


@pytest.mark.parametrize("rate", [0, 1.2, float("nan")])
def test_a_rate_that_is_none(rate):
    with pytest.raises(OptionError, match="approval rate"):
        approval.threshold_at([0.1], rate)
    with pytest.raises(OptionError, match="no case"):
        approval.threshold_at([], 0.5)


def test_recall_at_the_top_is_the_mean_over_orders_of_equal_risk():
    label, risk = np.array([1, 0, 1, 1, 0, 0, 0, 0]), np.array([0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.1, 0.0])
    # the top quarter is the two of 0.9; the top half adds two of four with 0.5, of which half are bad
    assert top.recall_at_top(label, risk, 0.25) == pytest.approx(1 / 3)
    assert top.recall_at_top(label, risk, 0.5) == pytest.approx(2 / 3)
    assert top.recall_at_approval(label, risk, 0.5) == pytest.approx(2 / 3)
    rng, mean = np.random.default_rng(1), []
    for _ in range(4_000):
        order = np.lexsort((rng.random(8), -risk))
        mean.append(label[order][:3].sum() / 3)
    assert top.recall_at_top(label, risk, 3 / 8) == pytest.approx(np.mean(mean), abs=0.01)
    table = top.at_top(label, risk, (0.25, 1.0)).to_pylist()
    assert table[0]["precision"] == pytest.approx(0.5)
    assert table[0]["lift"] == pytest.approx(0.5 / (3 / 8))
    assert table[1]["recall"] == table[1]["lift"] == 1
    assert np.isnan(top.recall_at_top([0, 0], [0.1, 0.2], 0.5))
    with pytest.raises(OptionError, match="within 0 and 1"):
        top.at_top(label, risk, (1.5,))


def test_recall_with_weights_is_recall_of_rows_written_out():
    rng = np.random.default_rng(2)
    label, risk, weight = rng.integers(0, 2, 60), np.round(rng.random(60), 1), rng.integers(1, 5, 60)
    out = [np.repeat(v, weight) for v in (label, risk)]
    for share in (0.05, 0.3, 0.77):
        assert top.recall_at_top(label, risk, share, weight) == pytest.approx(top.recall_at_top(*out, share))


def test_expected_cost_by_hand():
    table = costs.expected_cost([1, 0, 1, 0], [0.2, 0.2, 0.6, 0.8], 10, 3)
    assert table["threshold"].to_pylist() == [-np.inf, 0.2, 0.6, 0.8]
    assert table["from_approvals"].to_pylist() == [0, 2.5, 5, 5]
    assert table["from_declines"].to_pylist() == [1.5, 0.75, 0.75, 0]
    assert table["approved"].to_pylist() == [0, 0.5, 0.75, 1]
    best = costs.cheapest(table)
    assert best == (-np.inf, 1.5, 5.0, 1.5)
    assert costs.cost_at(table, 0.7) == 5.75
    assert costs.cost_at(table, 0.2) == 3.25
    assert costs.cost_at(table, 0.1) == 1.5


def test_expected_cost_of_each_case_against_a_loop():
    rng = np.random.default_rng(3)
    y, s, w = rng.integers(0, 2, 200), np.round(rng.random(200), 2), rng.random(200)
    a, d = rng.random(200) * 100, rng.random(200) * 7
    table = costs.expected_cost(y, s, a, d, w)
    for t in (-np.inf, 0.0, 0.31, 0.5, 1.0):
        expected = (w * np.where(s <= t, y * a, (1 - y) * d)).sum() / w.sum()
        assert costs.cost_at(table, t) == pytest.approx(expected)
    with pytest.raises(OptionError, match="false decline: -1"):
        costs.expected_cost(y, s, 1, -1)
    with pytest.raises(OptionError, match="3 numbers for 200"):
        costs.expected_cost(y, s, [1, 2, 3], 1)


def test_the_cost_curve_is_the_lower_envelope_of_all_thresholds():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 300)
    s = np.round(rng.random(300) * 0.6 + y * 0.3, 2)
    curve = costs.cost_curve(y, s, points=21)
    thresholds = [-np.inf, *np.unique(s)]
    for row in curve.to_pylist():
        all_ = [np.mean(s[y == 1] <= t) * row["x"] + np.mean(s[y == 0] > t) * (1 - row["x"]) for t in thresholds]
        assert row["cost"] == pytest.approx(min(all_))
        assert row["cost"] <= row["trivial"] + 1e-12
    perfect = costs.cost_curve([0, 0, 1], [0.1, 0.2, 0.9])
    assert max(perfect["cost"].to_pylist()) == 0
    assert np.isnan(costs.cost_curve([0, 0], [0.1, 0.2])["cost"].to_pylist()).all()
