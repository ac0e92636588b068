"""Balanced weights, logistic regression, hashed online regression and trees against independent computations."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from ethogram.errors import StateError, StepError
from ethogram.numeric import ftrl
from ethogram.numeric.balance import balanced, sigmoid
from ethogram.numeric.hashing import NOTHING, mix, places, salt
from ethogram.numeric.logistic import newton
from ethogram.numeric.trees import Trees


def task(n=6_000, seed=0):
    """Rows whose log-odds are known, with negatives sampled at 1 in 10 and weighted by 10."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    logit = x @ [1.0, -0.5, 0.0] - 3
    label = rng.random(n) < sigmoid(logit)
    kept = label | (rng.random(n) < 0.1)
    return x[kept], label[kept], np.where(label, 1.0, 10.0)[kept]


def test_balanced_weights_with_the_shift_find_the_full_task():
    x, label, weight = task(60_000)
    rows = np.column_stack([np.ones(len(x)), x])
    scaled, shift = balanced(label, weight)
    assert scaled[label].mean() == pytest.approx(1) == scaled[~label].mean()
    w = newton(rows, label, scaled, ridge=0.0)
    np.testing.assert_allclose(w - [shift, 0, 0, 0], [-3, 1, -0.5, 0], atol=0.08)
    with pytest.raises(StepError, match="no weight"):
        balanced(np.array([True, False]), np.array([1.0, 0.0]))


def test_newton_agrees_with_scikit_learn():
    x, label, weight = task()
    rows = np.column_stack([np.ones(len(x)), x])
    theirs = LogisticRegression(C=1 / 3.0, tol=1e-10, max_iter=500).fit(x, label, sample_weight=weight)
    ours = newton(rows, label, weight, ridge=3.0)
    np.testing.assert_allclose(ours, [theirs.intercept_[0], *theirs.coef_[0]], rtol=1e-4, atol=1e-5)


def test_newton_survives_separable_classes():
    x = np.column_stack([np.ones(40), np.r_[-np.ones(20), np.ones(20)] * 1e3])
    w = newton(x, x[:, 1] > 0, np.ones(40), ridge=1e-3)
    assert np.isfinite(w).all()
    assert ((sigmoid(x @ w) > 0.5) == (x[:, 1] > 0)).all()


def test_online_regression_step_by_step():
    """The formulas of the paper, one coordinate at a time, against the compiled loop."""
    rng = np.random.default_rng(4)
    rows = rng.integers(0, 6, (30, 3)).astype(np.int32)
    rows = np.array([[NOTHING if c in r[:j] else c for j, c in enumerate(r)] for r in rows], np.int32)
    label, weight, order = rng.random(30) < 0.5, rng.random(30) + 0.5, rng.permutation(30)
    rates = ftrl.Rates(alpha=0.3, beta=0.5, l1=0.05, l2=0.2)
    z, n, w = dict.fromkeys(range(6), 0.0), dict.fromkeys(range(6), 0.0), dict.fromkeys(range(6), 0.0)
    for r in order:
        active = [i for i in rows[r] if i != NOTHING]
        g = weight[r] * (1 / (1 + np.exp(-sum(w[i] for i in active))) - label[r])
        for i in active:
            s = (np.sqrt(n[i] + g * g) - np.sqrt(n[i])) / rates.alpha
            z[i] += g - s * w[i]
            n[i] += g * g
            shrunk = max(abs(z[i]) - rates.l1, 0.0) * np.sign(z[i])
            w[i] = -shrunk / ((rates.beta + np.sqrt(n[i])) / rates.alpha + rates.l2)
    learner = ftrl.Learner.fresh(6)
    learner.learn(rows, order, label, weight, rates)
    np.testing.assert_allclose(learner.w, [w[i] for i in range(6)], rtol=1e-12, atol=1e-15)
    assert learner.w[NOTHING] == 0
    expected = [sum(learner.w[i] for i in row if i != NOTHING) for row in rows]
    np.testing.assert_allclose(ftrl.logits(rows, learner.w), expected)


def test_hashed_places_are_spread_and_stable():
    state = mix(salt("brand"), np.arange(20_000))
    found = places(state, 2**12)
    assert found.min() >= 1
    assert found.max() < 2**12
    counts = np.bincount(found, minlength=2**12)[1:]
    # of a Poisson distribution, up to sampling noise
    assert counts.var() == pytest.approx(counts.mean(), rel=0.1)
    assert places(mix(salt("brand"), np.arange(3)), 1_000).tolist() == [782, 899, 711], "as in every saved model"
    assert (places(state, 50, state == state[0])[1:] == NOTHING).all()
    assert (mix(salt("a"), np.arange(9)) != mix(salt("b"), np.arange(9))).all()


@pytest.fixture(scope="module")
def forest():
    x, label, weight = task()
    x = np.where(np.random.default_rng(1).random(x.shape) < 0.2, np.nan, x).astype(np.float32)
    model = HistGradientBoostingClassifier(max_iter=25, early_stopping=False, random_state=0, max_features=0.5)
    return model.fit(x, label, sample_weight=weight), x, label, weight


def test_trees_are_walked_as_scikit_learn_walks_them(forest):
    model, x, _, _ = forest
    rows = np.concatenate([x, np.full((1, 3), np.nan, np.float32), np.float32([[np.inf, -np.inf, 0]])])
    trees = Trees.of(model)
    np.testing.assert_allclose(sigmoid(trees.raw(rows)), model.predict_proba(rows)[:, 1], atol=1e-12)
    staged = list(model.staged_decision_function(x))
    np.testing.assert_allclose(trees.first(7).raw(x), staged[6].ravel(), atol=1e-12)
    np.testing.assert_allclose(trees.first(0).raw(x), trees.base[0])
    again = Trees.restored(trees.arrays())
    np.testing.assert_array_equal(again.raw(rows), trees.raw(rows))


def test_losses_after_each_tree(forest):
    model, x, label, weight = forest
    losses = Trees.of(model).stages(x, label, weight)
    for t, p in enumerate(model.staged_predict_proba(x), 1):
        expected = np.average(-np.log(np.where(label, p[:, 1], p[:, 0])), weights=weight)
        assert losses[t] == pytest.approx(expected, abs=1e-9)
    assert len(losses) == 26


def test_trees_that_point_outside_are_refused(forest):
    arrays = Trees.of(forest[0]).arrays()
    with pytest.raises(StateError, match="points outside"):
        Trees.restored({**arrays, "trees.left": arrays["trees.left"] + 10**6})
