"""Agreement of groupings against all pairs in a loop, and against scikit-learn where it is installed."""

from itertools import combinations

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.evaluate.partition import adjusted_rand, normalised_information


def test_rand_counts_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, 30), rng.integers(0, 4, 30)
    pairs = [(a[i] == a[j], b[i] == b[j]) for i, j in combinations(range(30), 2)]
    both, first, second = (sum(x) for x in zip(*[(p and q, p, q) for p, q in pairs], strict=True))
    expected = first * second / len(pairs)
    assert adjusted_rand(a, b) == pytest.approx((both - expected) / ((first + second) / 2 - expected))


def test_against_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 5, 200), rng.integers(0, 3, 200)
    b[:120] = a[:120] % 3
    assert adjusted_rand(a, b) == pytest.approx(metrics.adjusted_rand_score(a, b))
    assert normalised_information(a, b) == pytest.approx(metrics.normalized_mutual_info_score(a, b))


def test_ends():
    assert adjusted_rand([1, 1, 1], [2, 2, 2]) == 1.0
    assert adjusted_rand([1], [2]) == 1.0
    assert normalised_information([1, 1, 1], [2, 2, 2]) == 0.0
    assert normalised_information(["x", "y"], [5, 4]) == pytest.approx(1.0)
    with pytest.raises(OptionError, match="shapes"):
        adjusted_rand([1, 2], [1])
    with pytest.raises(OptionError, match="shapes"):
        normalised_information([], [])
