"""The scorer is scikit-learn's penalised logistic regression on standard columns, and its parts add up."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ethogram.errors import OptionError
from ethogram.numeric.scorer import Scorer


def test_it_is_the_penalised_logistic_regression():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (300, 4))
    y = rng.random(300) < 1 / (1 + np.exp(-(x[:, 0] - 3)))
    made = Scorer.learn(x, y, list("abcd"), l2=5.0)
    z = (x - x.mean(0)) / x.std(0)
    peer = LogisticRegression(C=1 / 5.0, tol=1e-10, max_iter=1_000).fit(z, y)
    np.testing.assert_allclose(made.weights[1:], peer.coef_[0], atol=1e-5)
    np.testing.assert_allclose(made.probability(x), peer.predict_proba(z)[:, 1], atol=1e-5)
    np.testing.assert_allclose(made.weights[0] + made.parts(x).sum(1), made.logit(x))
    back = Scorer.restored(made.table())
    assert back.logit(x).tobytes() == made.logit(x).tobytes()


def test_what_is_missing_or_flat_says_nothing():
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.normal(size=200), np.full(200, 0.1), rng.normal(size=200)])
    y = x[:, 0] > 0
    x[:50, 2] = np.nan
    made = Scorer.learn(x, y, list("abc"))
    assert made.weights[2] == 0
    assert (made.parts(x)[:50, 2] == 0).all()
    with pytest.raises(OptionError, match="labels are the same"):
        Scorer.learn(x, np.ones(200, bool), list("abc"))
