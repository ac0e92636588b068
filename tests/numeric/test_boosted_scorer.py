"""Parts add up to the score, credit the columns that decide, and come back from plain arrays."""

import numpy as np
import pytest

from ethogram.errors import OptionError, StateError
from ethogram.evaluate.classification import auc
from ethogram.numeric.boosted_scorer import BoostedScorer

NAMES = ("step", "kink", "noise", "holes")


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(1_500, 4))
    z = 2.0 * (columns[:, 0] > 0) - 1 + 1.5 * (np.abs(columns[:, 1]) > 1)
    columns[rng.random(1_500) < 0.5, 3] = np.nan
    return columns, rng.random(1_500) < 1 / (1 + np.exp(-z))


@pytest.fixture(scope="module")
def scorer(drawn):
    return BoostedScorer.learn(*drawn, NAMES, steps=40)


def test_parts_and_the_constant_add_up_to_the_score(drawn, scorer):
    columns, label = drawn
    parts = scorer.parts(columns)
    np.testing.assert_allclose(parts.sum(1) + scorer.constant, scorer.logit(columns), atol=1e-9)
    # over the rows that were learned from, steps away from a mean cancel out
    np.testing.assert_allclose(parts.sum(), 0, atol=1e-6)
    size = np.abs(parts).mean(0)
    assert size[0] > 3 * max(size[2], size[3])
    assert size[1] > 3 * max(size[2], size[3])
    assert auc(label, scorer.probability(columns)) > 0.75


def test_it_is_what_scikit_learn_says(drawn, scorer):
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=40, learning_rate=0.06, max_leaf_nodes=8, min_samples_leaf=40, early_stopping=False, random_state=0
    ).fit(*drawn)
    np.testing.assert_allclose(scorer.logit(drawn[0]), model.decision_function(drawn[0]), atol=1e-9)


def test_one_split_by_hand():
    columns = np.repeat([[0.0], [1.0]], [30, 10], axis=0)
    label = np.repeat([False, True], [30, 10])
    made = BoostedScorer.learn(columns, label, ("x",), steps=1)
    low, high = made.logit(np.array([[0.0], [1.0]]))
    mean = (30 * low + 10 * high) / 40
    assert made.constant == pytest.approx(mean)
    np.testing.assert_allclose(made.parts(np.array([[0.0], [1.0]]))[:, 0], [low - mean, high - mean])
    assert low < mean < high


def test_it_comes_back_from_arrays(drawn, scorer):
    back = BoostedScorer.restored(scorer.arrays(), NAMES)
    assert (back.logit(drawn[0]) == scorer.logit(drawn[0])).all()
    assert (back.parts(drawn[0]) == scorer.parts(drawn[0])).all()
    with pytest.raises(StateError, match="names"):
        BoostedScorer.restored(scorer.arrays(), NAMES[:1])
    with pytest.raises(StateError, match="means"):
        BoostedScorer.restored(scorer.arrays() | {"mean": np.zeros(3)}, NAMES)


def test_bad_input_is_refused(drawn):
    columns, label = drawn
    with pytest.raises(OptionError, match="names"):
        BoostedScorer.learn(columns, label, NAMES[:2])
    with pytest.raises(OptionError, match="both kinds"):
        BoostedScorer.learn(columns, np.ones(len(label), bool), NAMES)
