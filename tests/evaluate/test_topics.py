"""Coherence, diversity and overlap of topics by hand."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.evaluate.topics import coherence, diversity, overlap


def test_coherence_by_hand():
    bags = [[0, 1], [0, 1, 2], [2], [3]]
    words, offsets = np.concatenate(bags), np.cumsum([0, *map(len, bags)])
    # 0 and 1 are always together; 0 and 2 in one of four bags, each in two; 0 and 3 never
    got = coherence(np.array([[0, 1], [0, 2], [0, 3], [0, 7]]), words, offsets)
    np.testing.assert_allclose(got, [1.0, np.log(0.25 / 0.25) / -np.log(0.25), -1.0, -1.0], atol=1e-12)
    three = coherence(np.array([[0, 1, 2]]), words, offsets)
    np.testing.assert_allclose(three, [(1 + 0 + 0) / 3], atol=1e-12)
    with pytest.raises(OptionError, match="two or more"):
        coherence(np.array([[1], [2]]), words, offsets)


def test_diversity_and_overlap_by_hand():
    top = [[1, 2, 3, 4], [1, 2, 5, 6], [7, 8, 9, 10]]
    assert diversity(top) == pytest.approx(10 / 12)
    assert overlap(top) == pytest.approx((2 / 6 + 0 + 0) / 3)
    assert np.isnan(overlap(top[:1]))
