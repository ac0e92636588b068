"""Pareto fronts against the definition, hypervolume against a count of points."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.numeric.pareto import front, hypervolume


def test_the_front_is_what_nothing_beats():
    points = np.random.default_rng(0).integers(0, 6, (60, 3)).astype(float)
    slow = [not any((q <= p).all() and (q < p).any() for q in points) for p in points]
    assert front(points).tolist() == slow


def test_the_hypervolume_is_the_area_behind_the_points():
    rng = np.random.default_rng(1)
    points, grid = rng.integers(0, 20, (12, 2)), np.stack(np.meshgrid(np.arange(20), np.arange(20)), -1).reshape(-1, 2)
    covered = (points[:, None] <= grid[None]).all(-1).any(0).sum()
    assert hypervolume(points, np.array([20, 20])) == covered
    assert hypervolume(points[:0], np.array([1, 1])) == 0
    with pytest.raises(OptionError, match=r"\[n, 2\]"):
        hypervolume(np.zeros((3, 3)), np.zeros(3))
