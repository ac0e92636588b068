import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap as b
from ethogram.evaluate.classification import auc


def drawn(units, resamples, seed):
    """All counts [units, resamples], by the library's own generator."""
    return np.concatenate([counts for _, counts in b.resample(units, resamples, seed)], 1).astype(np.float64)


def test_every_resample_draws_as_many_as_there_are():
    counts = drawn(50, 130, 3)
    assert counts.shape == (50, 130)
    assert (counts.sum(0) == 50).all()
    assert counts.mean() == 1
    # a multinomial count has variance 1 - 1 / units
    assert counts.var() == pytest.approx(0.98, abs=0.05)


def test_draws_depend_on_the_seed_alone(monkeypatch):
    first = drawn(40, 100, 1)
    assert np.array_equal(first, drawn(40, 100, 1))
    assert np.array_equal(first[:, :30], drawn(40, 30, 1))
    assert not np.array_equal(first, drawn(40, 100, 2))


def test_sums_and_ratios_are_those_of_the_counts():
    rng = np.random.default_rng(0)
    over, under = rng.random((30, 3)), rng.integers(0, 4, (30, 3)).astype(float)
    under[:, 2] = 0
    under[:, 1] = under[:, 0]
    counts = drawn(30, 70, 5)
    assert b.sums(over, 70, 5) == pytest.approx(counts.T @ over)
    found = b.ratio_draws(over, under, 70, 5)
    assert found[:, :2] == pytest.approx((counts.T @ over[:, :2]) / (counts.T @ under[:, :2]))
    assert np.isnan(found[:, 2]).all()


def test_curves_are_those_of_rows_weighted_by_the_counts():
    rng = np.random.default_rng(2)
    unit = rng.integers(0, 25, 300)
    unit[:25] = np.arange(25)
    label, score, weight = rng.integers(0, 2, 300), np.round(rng.random(300), 1), rng.random(300)
    area, precision = b.curve_draws(label, score, unit, weight, 40, 7)
    counts = drawn(25, 40, 7)
    for r in range(40):
        w = weight * counts[unit, r]
        assert area[r] == pytest.approx(roc_auc_score(label, score, sample_weight=w), abs=1e-12)
        kept = w > 0
        expected = average_precision_score(label[kept], score[kept], sample_weight=w[kept])
        assert precision[r] == pytest.approx(expected, abs=1e-12)


def test_by_unit_leaves_missing_values_out():
    over, under = b.by_unit(np.array([[1.0, 2], [np.nan, 4], [3, 6]]), np.array([0, 0, 1]), [1.0, 2, 1])
    assert over.tolist() == [[1, 10], [3, 6]]
    assert under.tolist() == [[1, 3], [1, 1]]


def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says():
    # 300 samples of 60 exponential values: a 95% percentile interval covers a little under 95%
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(300):
        found = b.mean(rng.exponential(1.0, 60), resamples=400)
        covered += found.low <= 1 <= found.high
    assert 0.89 <= covered / 300 <= 0.975


def test_the_interval_of_a_mean_has_the_width_of_the_theory():
    x = np.random.default_rng(5).normal(3, 2, 900)
    found = b.mean(x, resamples=2000)
    assert found.value == pytest.approx(x.mean())
    assert (found.high - found.low) == pytest.approx(2 * 1.96 * x.std() / 30, rel=0.06)


def test_the_interval_of_an_auc_has_the_width_of_the_theory():
    rng = np.random.default_rng(6)
    label = np.repeat([0, 1], 400)
    score = rng.normal(label * 1.0, 1)
    found = b.auc(label, score)
    q = found.value
    # Hanley and McNeil (1982), equal group sizes
    q1, q2 = q / (2 - q), 2 * q * q / (1 + q)
    error = np.sqrt((q * (1 - q) + 399 * (q1 - q * q) + 399 * (q2 - q * q)) / 400**2)
    assert q == auc(label, score)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.12)


def test_people_are_drawn_with_all_that_they_did():
    # each user's rows are copies: 20 independent observations, not 2,000
    x = np.random.default_rng(1).normal(size=20)
    rows, users = np.repeat(x, 100), np.repeat(np.arange(20), 100)
    alone, together = b.mean(rows), b.mean(rows, units=users)
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low == pytest.approx(b.mean(x).high - b.mean(x).low)
    assert together.high - together.low > 5 * (alone.high - alone.low)


def test_pairing_takes_what_users_share_out_of_a_difference():
    rng = np.random.default_rng(4)
    level = rng.normal(0, 5, 400)
    a, c = level + 0.3 + rng.normal(0, 0.5, 400), level + rng.normal(0, 0.5, 400)
    found = b.mean_difference(a, c)
    assert found.low > 0.2
    assert found.high < 0.42
    assert found.p == pytest.approx(2 / 1001)
    assert b.mean_difference(c, a).p == found.p
    assert b.mean(a).high - b.mean(a).low > 5 * (found.high - found.low)


def test_equal_systems_do_not_differ():
    x = np.random.default_rng(0).random(50)
    assert b.mean_difference(x, x) == (0, 0, 0, 1)


def test_under_no_difference_p_values_are_spread_evenly():
    rng = np.random.default_rng(8)
    p = [b.mean_difference(rng.normal(size=80), rng.normal(size=80), resamples=200).p for _ in range(300)]
    assert np.mean(np.array(p) < 0.05) < 0.1
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.1)


def test_difference_of_aucs_is_paired():
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, 2000)
    users = rng.integers(0, 100, 2000)
    good = label + rng.normal(0, 1.5, 2000)
    worse = good + rng.normal(0, 0.5, 2000)
    found = b.auc_difference(label, good, worse, units=users, resamples=300)
    assert found.value == pytest.approx(auc(label, good) - auc(label, worse))
    assert 0 < found.low < found.value < found.high
    alone = b.auc(label, good, units=users, resamples=300)
    assert found.high - found.low < 0.8 * (alone.high - alone.low)


def test_weighted_means():
    found = b.mean([1.0, 3.0], weight=[3.0, 1.0], resamples=200)
    assert found.value == 1.5
    assert (found.low, found.high) == (1.0, 3.0)


def test_nothing_to_draw_from():
    with pytest.raises(OptionError, match="0 units"):
        b.mean([])
    with pytest.raises(OptionError, match="0 resamples"):
        b.mean([1.0], resamples=0)
    assert np.isnan(b.mean([np.nan, np.nan], resamples=10)).all()
