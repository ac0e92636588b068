import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mutual_info_score

from ethogram.numeric.information import mutual_information, rank_correlation


def test_information_is_that_of_others():
    rng = np.random.default_rng(0)
    for a, b in ((2, 2), (5, 2), (3, 7)):
        x, y = rng.integers(0, a, 300), rng.integers(0, b, 300)
        counts = np.bincount(x * b + y, minlength=a * b).reshape(a, b)
        assert mutual_information(counts) == pytest.approx(mutual_info_score(x, y), abs=1e-12)
    assert mutual_information(np.zeros((3, 2, 2))).tolist() == [0, 0, 0]


def test_rank_correlation_is_that_of_others_with_ties():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 9, 200), rng.integers(0, 5, 200)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(rank_correlation(a, np.ones(200)))
    assert np.isnan(rank_correlation(a[:0], b[:0]))
