"""Distances on the globe, and the kernel of near places."""

import numpy as np
import pytest

from ethogram.numeric.geography import EARTH, distances, kernel


def test_distances():
    paris, london = (48.8566, 2.3522), (51.5074, -0.1278)
    got = distances(np.array([paris, (0, 0), (0, 179.5)]), np.array([london, (0, 180), (0, -179.5)]))
    assert got[0, 0] == pytest.approx(343.6, abs=0.5)
    assert got[1, 1] == pytest.approx(np.pi * EARTH, rel=1e-6)  # the other side
    assert got[2, 2] == pytest.approx(np.pi * EARTH / 180, rel=1e-6)  # across the date line


def test_the_kernel_is_exp_of_minus_distance_in_rows_that_add_up_to_1():
    places = np.random.default_rng(0).normal((30, -90), 0.01, (7, 2))
    near = kernel(places, scale=0.7, nearest=7)
    dense = np.exp(-distances(places, places) / 0.7)
    dense /= dense.sum(1, keepdims=True)
    got = near.weights.reshape(7, 7)
    np.testing.assert_array_equal(near.codes.reshape(7, 7), np.tile(np.arange(7), (7, 1)))
    np.testing.assert_allclose(got, dense, rtol=1e-5)
    assert got[0, 1] > 0, "kilometres, not metres"


def test_few_neighbours_and_unknown_places():
    places = np.array([[0, 0], [0, 0.01], [np.nan, 1], [0, 0.03], [5, 5]])
    near = kernel(places, nearest=2)
    rows = [near.codes[a:b].tolist() for a, b in zip(near.offsets[:-1], near.offsets[1:], strict=True)]
    assert rows == [[0, 1], [0, 1], [2], [1, 3], [3, 4]]
    sums = np.add.reduceat(near.weights, near.offsets[:-1])
    np.testing.assert_allclose(sums, 1, rtol=1e-6)
    nowhere = kernel(np.full((3, 2), np.nan))
    assert nowhere.codes.tolist() == [0, 1, 2]
    assert len(kernel(np.zeros((0, 2))).codes) == 0
