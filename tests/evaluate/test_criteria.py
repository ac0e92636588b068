"""Ratings, decisions, lists, corrections and tests against hand-computed values, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from ethogram.errors import OptionError
from ethogram.evaluate import decisions as dec
from ethogram.evaluate import ratings
from ethogram.evaluate.associations import associations, correlations, partial_correlations
from ethogram.evaluate.correction import benjamini_hochberg, holm
from ethogram.evaluate.signed_rank import signed_rank
from ethogram.evaluate.variety import membership, variety

RNG = np.random.default_rng(0)
Y, R = RNG.integers(1, 6, 60).astype(float), np.round(RNG.uniform(1, 5, 60), 1)


def test_ratings_by_hand_and_against_the_libraries():
    assert ratings.rmse([1, 5], [2, 3]) == pytest.approx(np.sqrt(5 / 2))
    assert ratings.mae([1, 5], [2, 3]) == 1.5
    assert ratings.pearson([1, 2, 3], [2, 4, 7]) == pytest.approx(5 / np.sqrt(2 * 12.6666666667))
    assert ratings.rmse(Y, R) == pytest.approx(sk.root_mean_squared_error(Y, R))
    assert ratings.pearson(Y, R) == pytest.approx(stats.pearsonr(Y, R)[0])
    assert ratings.spearman(Y, R) == pytest.approx(stats.spearmanr(Y, R)[0])
    assert np.isnan(ratings.pearson([1, 2, 3], [3, 3, 3]))


def test_draws_of_ratings_are_those_of_drawn_people():
    units = np.repeat(np.arange(12), 5)
    found = ratings.evaluated(Y, R, units, resamples=3, seed=4)
    for name in ratings.NAMES:
        assert found.metrics[name] == pytest.approx(getattr(ratings, name)(Y, R))
    drawn = np.random.default_rng(4).integers(0, 12, 12)
    rows = np.concatenate([np.flatnonzero(units == u) for u in drawn])
    assert found.draws["rmse"][0] == pytest.approx(ratings.rmse(Y[rows], R[rows]))
    assert found.draws["pearson"][0] == pytest.approx(ratings.pearson(Y[rows], R[rows]))


def test_ratings_refuse_what_is_no_number():
    with pytest.raises(OptionError, match="predicted rating at row 1 is nan"):
        ratings.rmse([1, 2], [1, np.nan])
    with pytest.raises(OptionError, match="2 true and 1 predicted"):
        ratings.mae([1, 2], [1])


def test_decisions_against_scikit_learn():
    label, score = RNG.integers(0, 2, 80), RNG.random(80)
    weight, yes = RNG.uniform(0.5, 2, 80), score >= 0.4
    found = dec.decisions(label, score, weight, threshold=0.4)
    how = {"sample_weight": weight}
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(label, yes, **how))
    assert found["precision"] == pytest.approx(sk.precision_score(label, yes, **how))
    assert found["recall"] == pytest.approx(sk.recall_score(label, yes, **how))
    assert found["f1"] == pytest.approx(sk.f1_score(label, yes, **how))
    assert found["balanced"] == pytest.approx(sk.balanced_accuracy_score(label, yes, **how))
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(label, yes, **how))
    assert np.isnan(dec.decisions([1, 1], [0.1, 0.2])["precision"])


def test_corrections_against_scipy_and_by_hand():
    p = RNG.random(30) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))
    table = np.array([[0.01, np.nan], [0.02, 0.9]])
    np.testing.assert_allclose(benjamini_hochberg(table), [[0.03, np.nan], [0.03, 0.9]])
    np.testing.assert_allclose(holm(table), [[0.03, np.nan], [0.04, 0.9]])
    with pytest.raises(OptionError, match=r"1\.2 is no p-value"):
        holm([0.1, 1.2])


def test_signed_rank_against_scipy():
    a, b = RNG.normal(0.3, 1, 14), RNG.normal(0, 1, 14)
    assert signed_rank(a, b).p == pytest.approx(stats.wilcoxon(a, b, method="exact").pvalue)
    a, b = RNG.normal(0.2, 1, 90), RNG.normal(0, 1, 90)
    assert signed_rank(a, b).p == pytest.approx(stats.wilcoxon(a, b, method="asymptotic").pvalue)
    # ties by hand: ranks 1.5, 1.5, 3 -- of 8 signs, those with |W| >= 6 are two
    assert signed_rank([1, 1, 2, 5], [0, 0, 0, 5]) == (6.0, 0.25, 1.0, 3)
    assert signed_rank([1, 2], [1, 2]).p == 1.0


def test_lists_by_hand():
    # two lists; items 0 1 2 3 of categories 0 0 1 1, training events 5 3 1 1
    scores, offsets = np.array([4.0, 3, 2, 1, 1, 2, 3, 4]), np.array([0, 4, 8])
    item, category = np.array([0, 1, 2, 3] * 2), np.array([0, 0, 1, 1] * 2)
    label = np.array([1, 0, 0, 0, 0, 0, 1, 1])
    found = variety(scores, offsets, item, category, label, np.array([5, 3, 1, 1]), k=2)
    assert found["diversity"].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(found["novelty"], [-np.log2(0.5 * 0.3) / 2, -np.log2(0.1)])
    assert found["serendipity"].tolist() == [0.0, 1.0], (
        "the first list holds what is most popular, the second what is not"
    )
    assert found["coverage"].tolist() == [1.0]
    mixed = variety(np.array([2.0, 1, 2, 1]), [0, 4], item[:4], category[:4], label[:4], np.ones(4), k=2)
    assert mixed["diversity"].tolist() == [1.0]
    assert membership(np.ones(4), np.array([0, 4]), 1).tolist() == [0.25] * 4
    with pytest.raises(OptionError, match="a list of 0 items"):
        membership(np.ones(2), np.array([0, 2]), 0)


def test_associations_against_scipy_and_regression():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(70, 3))
    x[:, 1] += 0.6 * x[:, 0]
    y = np.column_stack([x[:, 0] + rng.normal(size=70), rng.normal(size=70)])
    r, partial = correlations(x, y), partial_correlations(x, y)
    assert r[1, 0] == pytest.approx(stats.pearsonr(x[:, 1], y[:, 0])[0])
    design = np.column_stack([np.ones(70), x])
    for j in range(3):  # t of a coefficient and its partial correlation are two ways to say one thing
        beta, rest = np.linalg.lstsq(design, y[:, 0], rcond=None)[:2]
        error = np.sqrt(rest[0] / 66 * np.linalg.inv(design.T @ design)[j + 1, j + 1])
        t = beta[j + 1] / error
        assert partial[j, 0] == pytest.approx(t / np.sqrt(t**2 + 66))
    found = associations(x, y, ["a", "b", "c"], ["y", "z"], permutations=400)
    first = found.to_pylist()[0]
    assert (first["trait"], first["outcome"], first["found"]) == ("a", "y", True)
    assert first["low"] < first["partial"] < first["high"]
    assert sum(found["found"].to_pylist()) == 1, "what b has to do with y, a tells"
    p = {(row["trait"], row["outcome"]): row["p"] for row in found.to_pylist()}
    t, df = partial[2, 1] * np.sqrt(66 / (1 - partial[2, 1] ** 2)), 66
    assert p["c", "z"] == pytest.approx(2 * stats.t.sf(abs(t), df), abs=0.08)


def test_associations_refuse():
    with pytest.raises(OptionError, match="3 people with all numbers; 1 traits take 5"):
        associations(np.ones((4, 1)) * [[1], [2], [3], [np.nan]], np.ones((4, 1)), ["a"], ["y"])
    with pytest.raises(OptionError, match="2 traits, 1 outcomes"):
        associations(np.ones((9, 1)), np.ones((9, 1)), ["a", "b"], ["y"])
