"""Density clustering against scikit-learn's, against a full spanning tree, and on small trees worked by hand."""

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score
from tests.numeric.clouds import blobs

from ethogram.errors import OptionError
from ethogram.nn.near import search
from ethogram.numeric.density import assign, backends, density
from ethogram.numeric.density.exact import SMALL, nearest


def full_tree(x, samples):
    """Sorted weights of the minimum spanning tree of the whole mutual-reachability graph."""
    far = cdist(x, x)
    core = np.sort(far, 1)[:, samples - 1]
    return np.sort(minimum_spanning_tree(np.maximum(np.maximum(far, core[:, None]), core)).data)


@pytest.mark.parametrize(
    ("d", "clusters", "noise", "k", "samples"),
    [(1, 4, 0.1, None, 5), (2, 5, 0.2, None, 10), (8, 6, 0.2, 12, 5), (32, 8, 0.2, 5, 5), (32, 1, 1.0, 6, 6),
     (3, 5, 0.0, 4, 4), (4, 1, 1.0, 2, 2), (4, 6, 0.3, 1, 1)],
)  # fmt: skip
def test_tree_is_that_of_the_full_graph_however_short_the_lists(d, clusters, noise, k, samples):
    x = blobs(900, d, clusters, noise)
    found = density(x, k=k, min_samples=samples)
    np.testing.assert_allclose(found.linkage[:, 2], full_tree(x, samples), rtol=1e-12)
    assert found.recall == 1.0


@pytest.mark.parametrize("how", ["eom", "leaf"])
@pytest.mark.parametrize(("d", "clusters"), [(2, 5), (8, 8), (32, 8)])
def test_same_as_scikit_learn_where_no_ties_are(d, clusters, how):
    """With one sample mutual reachability is distance, which has no ties, so nothing is left to the order of rows."""
    x = blobs(1200, d, clusters, seed=d)
    found = density(x, min_samples=1, selection=how)
    theirs = HDBSCAN(min_cluster_size=15, min_samples=1, cluster_selection_method=how, copy=True).fit(x)
    assert adjusted_rand_score(found.labels, theirs.labels_) == 1.0
    assert ((found.labels < 0) == (theirs.labels_ < 0)).all()
    np.testing.assert_allclose(found.probabilities, theirs.probabilities_, atol=1e-6)


def test_permuting_rows_permutes_the_answer():
    x = blobs(1500, 6, 6)
    order = np.random.default_rng(1).permutation(len(x))
    one, other = density(x, min_samples=8), density(x[order], min_samples=8)
    assert adjusted_rand_score(one.labels[order], other.labels) == 1.0
    assert (one.probabilities[order] == other.probabilities).all()
    assert (one.outlier_scores[order] == other.outlier_scores).all()


def test_nan_rows_are_named():
    x = np.zeros((40, 2))
    x[[3, 7], 1] = np.nan
    with pytest.raises(OptionError, match="2 rows hold NaN or infinite numbers: 3, 7;"):
        density(x)


LINE = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [13.0], [40.0]])
"""Two groups of three and a point far away."""


def test_small_tree_by_hand():
    """Gaps 1, 1, 8, 1, 2, 27: the root loses 40 at 27 and parts at 8; then 13 leaves at 2, all others at 1."""
    found = density(LINE, min_cluster_size=2, min_samples=1)
    np.testing.assert_array_equal(found.linkage[:, 2], [1, 1, 1, 2, 8, 27])
    rows = {(int(r["parent"]), int(r["child"])): (r["lambda"], int(r["size"])) for r in found.tree}
    left, right = rows[7, 8], rows[7, 9]
    assert rows[7, 6] == (1 / 27, 1)
    assert {left, right} == {(1 / 8, 3)}
    first, second = (8, 9) if (8, 0) in rows else (9, 8)
    assert {rows[first, p] for p in (0, 1, 2)} == {(1.0, 1)}
    assert rows[second, 5] == (1 / 2, 1)
    assert {rows[second, p] for p in (3, 4)} == {(1.0, 1)}
    assert len(rows) == 9
    np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1, 1, -1])
    np.testing.assert_allclose(found.probabilities, [1, 1, 1, 1, 1, 0.5, 0])
    np.testing.assert_allclose(found.stability, [3 * 7 / 8, 2 * 7 / 8 + 3 / 8])
    np.testing.assert_allclose(found.outlier_scores, [0, 0, 0, 0, 0, 0.5, 26 / 27], rtol=1e-6)


def test_parts_of_equal_distance_are_one_merge():
    """Three pairs in a row, 10 apart: no order of two merges is in the data, so the root parts into three."""
    x = np.array([[0.0], [1.0], [11.0], [12.0], [22.0], [23.0]])
    tree = density(x, min_cluster_size=2, min_samples=1).tree
    inner = tree[tree["child"] >= 6]
    assert inner["parent"].tolist() == [6, 6, 6]
    np.testing.assert_allclose(inner["lambda"], 0.1)


def test_core_distance_counts_the_point_itself():
    """The third nearest of 0, itself counted, is 2: that is how far it is from anybody."""
    found = density(LINE, min_cluster_size=2, min_samples=3)
    np.testing.assert_allclose(found.core, [2, 1, 2, 3, 2, 3, 29])


def test_epsilon_keeps_what_parts_below_it_together():
    x = np.array([0, 1, 2, 6, 7, 8, 100, 101, 102, 106, 107, 108.0])[:, None]

    def of(**more):
        return density(x, min_cluster_size=3, min_samples=1, selection="leaf", **more).labels.tolist()

    assert of() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert of(cluster_selection_epsilon=5.0) == [0] * 6 + [1] * 6
    assert of(cluster_selection_epsilon=3.0) == of()


def test_one_cluster_only_where_asked_for():
    x = np.random.default_rng(0).normal(size=(300, 2))
    none = density(x, min_cluster_size=100, min_samples=10)
    assert len(none) == 0
    assert (none.labels == -1).all()
    one = density(x, min_cluster_size=100, min_samples=10, allow_single_cluster=True)
    theirs = HDBSCAN(min_cluster_size=100, min_samples=10, allow_single_cluster=True, copy=True).fit(x).labels_
    assert len(one) == 1
    assert adjusted_rand_score(one.labels, theirs) >= 0.99
    near = density(x, min_cluster_size=100, min_samples=10, allow_single_cluster=True, cluster_selection_epsilon=0.5)
    np.testing.assert_array_equal(near.labels == 0, near.probabilities > 0)
    assert (near.labels == 0).sum() > (one.labels == 0).sum()


def test_all_points_equal_are_one_cluster_or_none():
    x = np.ones((50, 3))
    found = density(x, min_cluster_size=5)
    assert (found.labels == -1).all()
    assert (found.outlier_scores == 0).all()
    single = density(x, min_cluster_size=5, allow_single_cluster=True)
    assert (single.labels == 0).all()
    assert (single.probabilities == 1).all()


def test_copies_of_points_cost_no_finite_number():
    x = np.repeat(np.array([[0.0, 0], [5, 5], [9, 0]]), 20, axis=0)
    found = density(np.concatenate([x, [[50.0, 50]]]), min_cluster_size=10, min_samples=5)
    np.testing.assert_array_equal(found.labels, [0] * 20 + [1] * 20 + [2] * 20 + [-1])
    assert (found.probabilities[:-1] == 1).all()
    assert np.isfinite(found.outlier_scores).all()
    assert found.outlier_scores[-1] == 1


def test_graph_of_lists_that_falls_apart_is_joined_exactly():
    """Islands far apart, lists far shorter than an island: no list leads from one to another."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(c, 0.1, (60, 2)) for c in ([0, 0], [50, 0], [0, 70], [500, 500])])
    found = density(x, k=4, min_samples=3)
    assert found.repaired >= 3
    np.testing.assert_allclose(found.linkage[:, 2], full_tree(x, 3), rtol=1e-12)
    assert len(found) == 4


def test_tight_groups_far_from_the_origin_keep_their_neighbours():
    """Single precision cannot tell these distances: the rows are searched again in double."""
    rng = np.random.default_rng(4)
    x = np.concatenate([1e3 + 1e-4 * rng.standard_normal((40, 16)), -1e3 + 1e-4 * rng.standard_normal((40, 16))])
    distance, code = nearest(x, 6)
    far = cdist(x, x)
    np.fill_diagonal(far, np.inf)
    np.testing.assert_allclose(distance, np.sort(far, 1)[:, :6], rtol=1e-9)
    np.testing.assert_array_equal(code, np.argsort(far, 1)[:, :6])


@pytest.mark.parametrize("d", [3, 24])
def test_neighbours_by_cells_are_those_of_all_pairs(d):
    x = blobs(SMALL + 900, d, 12).astype(np.float32)
    some = np.arange(0, len(x), 37)
    distance, code = nearest(x, 9)
    far = cdist(x[some].astype(np.float64), x.astype(np.float64))
    far[np.arange(len(some)), some] = np.inf
    np.testing.assert_allclose(distance[some], np.sort(far, 1)[:, :9], rtol=1e-12)
    np.testing.assert_array_equal(code[some], np.argsort(far, 1)[:, :9])


def test_back_ends_give_equal_labels():
    pytest.importorskip("faiss")
    x = blobs(1500, 16, 6).astype(np.float32)
    exact = density(x, min_samples=6)

    def by_hand(points, k):
        return np.argsort(cdist(points, points), 1)[:, :k]

    for backend in ("faiss", by_hand, search):
        found = density(x, min_samples=6, backend=backend)
        np.testing.assert_array_equal(found.labels, exact.labels)
        np.testing.assert_array_equal(found.outlier_scores, exact.outlier_scores)
        assert found.recall == 1.0
    near = density(x, min_samples=6, backend="hnsw")
    assert near.recall >= backends.RECALL
    assert adjusted_rand_score(near.labels, exact.labels) >= 0.97


def test_recall_tells_of_a_search_that_misses():
    x = blobs(400, 8, 4)

    def half(points, k):
        return np.argsort(cdist(points, points), 1)[:, : 2 * k : 2]

    assert 0.4 < density(x, k=10, min_samples=3, backend=half).recall < 0.6


def test_new_points_join_the_cluster_they_lie_in():
    x = blobs(1200, 4, 5, noise=0.1)
    found = density(x, min_samples=8)
    again, share = assign(found, x)
    assert adjusted_rand_score(again, found.labels) >= 0.95
    assert share.min() >= 0
    assert share.max() <= 1
    labels, share = assign(found, np.array([[90.0, 90, 90, 90], x[found.labels == 2].mean(0)]))
    assert labels.tolist() == [-1, 2]
    assert share[0] == 0
    assert share[1] > 0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min_cluster_size": 1}, "2 points or more"),
        ({"min_samples": 0}, "1 .the point itself. or more"),
        ({"min_samples": 31}, "30 points for min_samples = 31; give 31 points or more, or min_samples up to 30"),
        ({"min_samples": 9, "k": 5}, "k = 5; give 8 .min_samples - 1. to 29"),
        ({"k": 30}, "to 29 .points - 1., or none"),
        ({"selection": "best"}, "'eom' or 'leaf'"),
        ({"cluster_selection_epsilon": -1.0}, "0 or more"),
        ({"backend": "torch"}, "ethogram.nn.near.search"),
        ({"backend": lambda x, k: np.zeros((3, k), int)}, r"give codes int\[30, 20 or more\]"),
        ({"backend": lambda x, k: np.full((30, k), 99)}, "give 0 to 29"),
    ],
)
def test_wrong_options_are_told(options, said):
    with pytest.raises(OptionError, match=said):
        density(blobs(30, 2, 2), **options)


@pytest.mark.parametrize("x", [np.zeros(5), np.zeros((5, 0)), np.array([["a"]] * 5)])
def test_what_is_no_matrix_of_numbers_is_told(x):
    with pytest.raises(OptionError, match="a row per point"):
        density(x)


def test_new_points_of_another_width_or_with_nan_are_told():
    found = density(blobs(100, 2, 2))
    with pytest.raises(OptionError, match="2 numbers a row"):
        assign(found, np.zeros((4, 3)))
    with pytest.raises(OptionError, match="the first is row 1"):
        assign(found, np.array([[0.0, 0], [np.nan, 0]]))
