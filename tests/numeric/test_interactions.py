"""Counts of pairs against a dense matrix filled by a loop."""

from itertools import pairwise

import numpy as np
import pytest

from ethogram.log import Histories
from ethogram.numeric.interactions import Interactions


def dense(pairs):
    out = np.zeros((len(pairs), pairs.width))
    np.add.at(out, (pairs.owner, pairs.items), pairs.counts)
    return out


def test_counts_against_a_loop():
    rng = np.random.default_rng(0)
    lists = [rng.integers(0, 9, n).tolist() for n in (0, 5, 1, 30, 0, 12)]
    histories = Histories.of(lists)
    known = histories.vocabularies["item"].ids.to_pylist()
    rows = np.append([-1 if i == 4 else known.index(i) for i in known], -1)
    pairs = Interactions.of(histories, rows, len(known))
    expected = np.zeros((6, len(known)))
    for u, items in enumerate(lists):
        for i in items:
            if i != 4:
                expected[u, known.index(i)] += 1
    np.testing.assert_array_equal(dense(pairs), expected)
    np.testing.assert_array_equal(dense(pairs.transposed()), expected.T)
    np.testing.assert_array_equal(dense(pairs[1:4]), expected[1:4])
    assert all((np.diff(pairs.items[a:b]) > 0).all() for a, b in pairwise(pairs.offsets))


@pytest.mark.parametrize("n", [0, 3])
def test_nobody_did_anything(n):
    pairs = Interactions.of(Histories.of([[]] * n), np.array([-1]), 7)
    assert (len(pairs), len(pairs.items), len(pairs.transposed())) == (n, 0, 7)
