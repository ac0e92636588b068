"""Weights against a simulation whose complete outcomes are known, and against Kaplan and Meier by hand."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.evaluate import classification
from ethogram.evaluate.risk import approval
from ethogram.evaluate.risk.censoring import inverse_probability


def loans(seed, n=20_000, horizon=90.0, end=180.0):
    """Cases decided over half a year; a bad one shows within 90 days, a good one at 90, all observed to day 180."""
    rng = np.random.default_rng(seed)
    decided = rng.random(n) * 170
    quality = rng.normal(size=n)
    label = (rng.random(n) < 1 / (1 + np.exp(2 - quality))).astype(float)
    due = np.where(label == 1, rng.random(n) * horizon, horizon)
    risk = np.clip(1 / (1 + np.exp(2 - quality + 0.3 * rng.normal(size=n))), 0, 1)
    known = decided + due <= end
    follow = np.where(known, due, end - decided)
    return risk, label, known, follow


def test_weighted_figures_are_those_of_complete_observation():
    bias = {"plain": [], "weighted": []}
    for seed in range(8):
        risk, label, known, follow = loans(seed)
        w = inverse_probability(follow, known).weight
        seen = np.where(known, label, np.nan)
        truth = label.mean()
        bias["plain"].append(label[known].mean() - truth)
        bias["weighted"].append((w * np.where(known, label, 0)).sum() / w.sum() - truth)
        t = approval.threshold_at(risk, 0.8)
        complete = approval.applied(risk, label, t).bad_rate.value
        weighted = approval.applied(risk, seen, t, w).bad_rate
        assert abs(weighted.value - complete) < abs(approval.applied(risk, seen, t).bad_rate.value - complete)
        assert weighted.low < complete < weighted.high
        auc = classification.auc(label, risk)
        assert classification.auc(label[known], risk[known], w[known]) == pytest.approx(auc, abs=0.01)
    assert np.mean(bias["plain"]) > 0.03  # young cases are seen only where they are bad
    assert abs(np.mean(bias["weighted"])) < 0.004
    assert np.std(bias["weighted"]) < 0.012


def test_weights_add_up_to_all_cases_where_the_last_are_known():
    _, _, known, follow = loans(0, n=5_000)
    told = inverse_probability(follow, known)
    assert told.weight.sum() == pytest.approx(5_000, rel=1e-9)
    assert told.known + told.unknown == 5_000
    assert 0 < told.effective <= told.known


def test_by_hand_with_ties():
    # day 2: one outcome, then one observation ends of the two left beside it; at risk for ending: 3 - 1 known = 3
    told = inverse_probability([1, 2, 2, 3, 3], [True, True, False, True, False])
    # G(2-) = 1; at day 2 four are observed, one outcome comes first: 1 of 3 ends, G = 2/3
    assert told.weight == pytest.approx([1, 1, 0, 1.5, 0])
    assert inverse_probability([5, 6], [True, True]).weight.tolist() == [1, 1]
    assert inverse_probability([], []).effective == 0
    with pytest.raises(OptionError, match="at least 0"):
        inverse_probability([-1.0], [True])
    with pytest.raises(OptionError, match="one of each"):
        inverse_probability([1.0], [True, False])
