import itertools

import numpy as np
import pytest
from sklearn import metrics as sk

from ethogram.errors import OptionError
from ethogram.evaluate import calibration
from ethogram.evaluate.classification import brier, ece, logloss


@pytest.fixture
def rows():
    rng = np.random.default_rng(2)
    p = rng.random(500)
    return (rng.random(500) < p).astype(int), p, rng.random(500) * 3


def test_losses_as_scikit_learn(rows):
    label, p, weight = rows
    assert logloss(label, p, weight) == pytest.approx(sk.log_loss(label, p, sample_weight=weight), abs=1e-12)
    assert brier(label, p, weight) == pytest.approx(sk.brier_score_loss(label, p, sample_weight=weight), abs=1e-12)


def test_certain_and_wrong_costs_what_the_type_can_say():
    for kind in (np.float32, np.float64):
        p = np.array([0.0, 1.0], kind)
        assert logloss([1, 0], p) == pytest.approx(-np.log(np.finfo(kind).eps), rel=1e-6)
        assert logloss([1, 0], p) == pytest.approx(sk.log_loss([1, 0], p), rel=1e-6)


def brute_ece(label, p, weight, edges):
    total, gap = weight.sum(), 0.0
    for low, high in itertools.pairwise(edges):
        inside = (p >= low) & ((p < high) | (high == edges[-1]))
        if inside.any():
            w = weight[inside]
            gap += w.sum() / total * abs(np.average(p[inside], weights=w) - np.average(label[inside], weights=w))
    return gap


def test_equal_width_bins(rows):
    label, p, weight = rows
    p = p.copy()
    p[:2] = 0, 1
    expected = brute_ece(label, p, weight, np.linspace(0, 1, 11))
    assert ece(label, p, weight, bins=10, equal="width") == pytest.approx(expected, abs=1e-12)


def test_equal_mass_bins_hold_equal_mass(rows):
    label, p, _ = rows
    place = calibration.bins_of(p, bins=10)
    assert np.bincount(place).tolist() == [50] * 10
    edges = [*(p[place == b].min() for b in range(10)), 1.0]
    assert ece(label, p, bins=10) == pytest.approx(brute_ece(label, p, np.ones(500), np.array(edges)), abs=1e-12)


def test_equal_scores_share_a_bin_whatever_their_order():
    rng = np.random.default_rng(0)
    p, label = np.round(rng.random(300), 1), rng.integers(0, 2, 300)
    place = calibration.bins_of(p, bins=15)
    assert all(len(np.unique(place[p == v])) == 1 for v in np.unique(p))
    shuffled = rng.permutation(300)
    assert ece(label[shuffled], p[shuffled]) == pytest.approx(ece(label, p), abs=1e-12)


def test_a_constant_is_as_wrong_as_it_is_far_from_the_rate():
    label = np.array([1, 0, 0, 0])
    assert ece(label, np.full(4, 0.25)) == 0
    assert ece(label, np.full(4, 0.75)) == pytest.approx(0.5)


def test_reliability_adds_up_to_the_error(rows):
    label, p, weight = rows
    table = calibration.reliability(label, p, weight, bins=8).to_pydict()
    w = np.array(table["weight"])
    assert w.sum() == pytest.approx(weight.sum())
    gap = (w * np.abs(np.array(table["score"]) - table["label"])).sum() / w.sum()
    assert gap == pytest.approx(ece(label, p, weight, bins=8), abs=1e-12)


def test_what_is_no_probability_is_refused():
    for metric in (logloss, brier, ece):
        with pytest.raises(OptionError, match=r"1\.5 at row 1 is no probability"):
            metric([1, 0], [0.5, 1.5])
    with pytest.raises(OptionError, match="bins = 0"):
        ece([1], [0.5], bins=0)
    with pytest.raises(OptionError, match="mass or width"):
        ece([1], [0.5], equal="size")


def test_without_weight_nothing_is_known():
    assert np.isnan(logloss([1], [0.5], [0]))
    assert np.isnan(ece([1], [0.5], [0]))
    assert np.isnan(ece([], []))
