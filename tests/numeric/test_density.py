"""Density clustering against scikit-learn's, against a full spanning tree, and on small trees worked by hand."""

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from ethogram.errors import OptionError
from ethogram.numeric.density import density


def blobs(n, d, clusters, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    few = int(n * noise)
    centres = rng.uniform(-10, 10, (clusters, d))
    x = centres[rng.integers(0, clusters, n - few)] + rng.standard_normal((n - few, d))
    return np.concatenate([x, rng.uniform(-12, 12, (few, d))])[rng.permutation(n)]


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
