"""Bounds between groups of points, the spanning tree that rests on them, and the approximate search for many points."""

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score
from tests.numeric.clouds import blobs

from ethogram.numeric.density import backends, density, descent, exact
from ethogram.numeric.density.apart import Groups


@pytest.mark.parametrize("d", [1, 3, 24])
def test_groups_are_never_nearer_than_said(d):
    x = blobs(1500, d, 6).astype(np.float32)
    found = Groups.of(x, 0)
    assert sorted(found.order) == list(range(len(x)))
    far = cdist(x[found.order], x[found.order])
    nearest = np.minimum.reduceat(np.minimum.reduceat(far, found.offsets[:-1], 0), found.offsets[:-1], 1)
    other = ~np.eye(len(nearest), dtype=bool)
    assert (found.apart <= nearest)[other].all()
    if d == 24:  # most groups are told apart, and nearly as far as they are
        assert (found.apart > 0)[other].mean() > 0.5
        known = other & (found.apart > 0)
        assert np.median(found.apart[known] / nearest[known]) > 0.5


def test_slabs_part_what_balls_cannot():
    """Two flat sheets, far wider than they are apart."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-10, 10, (2000, 3))
    x[:, 0] = np.repeat([0.0, 3.0], 1000) + 0.01 * rng.standard_normal(2000)
    found = Groups.of(x, 0)
    radius = np.maximum.reduceat(found.reach, found.offsets[:-1])
    side = x[found.order[found.offsets[:-1]], 0] > 1.5
    centre = found.centre.astype(np.float64)
    across = side[:, None] != side
    balls = cdist(centre, centre) - radius[:, None] - radius
    assert (found.apart[across] > 0).sum() > (balls[across] > 0).sum()


def test_tree_of_tight_groups_far_from_the_origin():
    """Single precision cannot tell these distances: no bound may rule out what it cannot see."""
    rng = np.random.default_rng(4)
    x = np.concatenate([c + 1e-4 * rng.standard_normal((90, 8)) for c in (1e3, -1e3, 1e3 + 1e-2)])
    found = density(x, k=5, min_samples=4, min_cluster_size=10)
    far = cdist(x, x)
    core = np.sort(far, 1)[:, 3]
    tree = minimum_spanning_tree(np.maximum(np.maximum(far, core[:, None]), core)).data
    np.testing.assert_allclose(found.linkage[:, 2], np.sort(tree), rtol=1e-9)
    assert len(found) == 3


@pytest.mark.parametrize("scale", [1e-12, 1e-5, 1e9])
def test_units_do_not_matter(scale):
    x = blobs(1200, 8, 5)
    one, other = density(x, k=6, min_samples=5), density(x * scale, k=6, min_samples=5)
    assert one.repaired > 0
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_allclose(one.linkage[:, 2] * scale, other.linkage[:, 2], rtol=1e-9)


@pytest.fixture
def small_leaves(monkeypatch):
    """The path of many points on few: a dozen leaves per tree."""
    monkeypatch.setattr(descent, "LEAF", 400)
    monkeypatch.setattr(descent, "TREES", 6)


@pytest.mark.parametrize("d", [4, 24])
def test_descent_finds_nearly_all_neighbours_and_the_same_clusters(small_leaves, d):
    x = blobs(5000, d, 8).astype(np.float32)
    true, near = density(x, min_samples=8), density(x, min_samples=8, backend="descent")
    assert near.backend.startswith("descent")
    assert near.recall >= backends.RECALL
    assert adjusted_rand_score(near.labels, true.labels) >= 0.99


def test_rounds_find_what_trees_missed(small_leaves, monkeypatch):
    x = blobs(5000, 24, 8).astype(np.float32)
    monkeypatch.setattr(descent, "TREES", 2)  # one alone keeps every list inside its leaf
    true, _ = exact.nearest(x, 10)
    found = []

    def enough(order, code):
        x_ordered = x[order].astype(np.float64)
        far = np.sqrt(((x_ordered[code] - x_ordered[:, None]) ** 2).sum(2))
        found.append(((far <= true[order, -1:] * (1 + 1e-6)) & (code >= 0)).mean())
        return len(found) == 3

    code = descent.neighbours(x, 10, 0, enough)
    assert len(found) == 3
    assert found[0] < 0.8
    assert found[1] > found[0] + 0.05
    assert found[2] > found[1]
    assert (code != np.arange(len(x))[:, None]).all()
    assert all(len(set(row)) == 10 for row in code[::97].tolist())


def test_descent_of_few_points_and_of_copies():
    x = np.repeat(np.array([[0.0, 0], [5, 5], [9, 0]]), 700, axis=0)
    found = density(x, min_cluster_size=10, min_samples=5, backend="descent")
    np.testing.assert_array_equal(found.labels, np.repeat([0, 1, 2], 700))
    few = blobs(40, 3, 2)
    one, other = density(few, min_samples=3, backend="descent"), density(few, min_samples=3)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.recall == 1.0


def test_auto_takes_the_approximate_search_for_many_points(monkeypatch):
    x = blobs(1200, 3, 3)
    assert density(x).backend == "exact"
    monkeypatch.setattr(backends, "EXACT_UP_TO", 1000)
    assert density(x).backend.startswith("descent")
