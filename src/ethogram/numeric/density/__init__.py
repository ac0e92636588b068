"""Clusters as dense regions of any shape, and noise: HDBSCAN on a graph of near neighbours, exact where they are.

Neighbours (`backends`) -> mutual reachability and its minimum spanning tree, completed where the lists end too early
(`boruvka`) -> single linkage and condensed tree (`linkage`) -> clusters by excess of mass (`selection`).

Convention: `min_samples` counts the point itself, as in Campello's paper and in scikit-learn; the package `hdbscan`
does not, so that its ``min_samples=m`` is ours of m + 1.

References: see `linkage` and `selection`; the graph form after Explainable Deep Behavioral Sequence Clustering for
Transaction Fraud Detection (FinDeepBehaviorCluster), 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric.density import backends, linkage, selection
from ethogram.numeric.density.boruvka import spanning
from ethogram.numeric.density.stream import assign

__all__ = ["Density", "assign", "density"]

K = 16
"""Neighbours listed per point, at least: fewer are found faster, and leave more edges to be repaired."""


@dataclass(frozen=True, eq=False)
class Density:
    """What was found in n points.

    Attributes
    ----------
    labels : int32[n], -1 for noise; clusters are numbered by their lowest row.
    probabilities : float32[n], 1 for the densest of a cluster, 0 for noise.
    outlier_scores : float32[n], GLOSH: near 0 inside a dense region, near 1 far outside it.
    stability : float64[clusters], excess of mass.
    tree : condensed tree, a table of `linkage.TREE`. linkage : float64[n - 1, 4], single linkage in SciPy's form.
    recall : share of the true neighbours that were found (on a sample; 1 for an exact search). Below 1 the tree
        is nearly the smallest: none of its edges is proven. backend : who searched.
    repaired : edges of the spanning tree that no list of neighbours held.
    points, core, births, deaths, min_samples : what `assign` needs: the points, their core distances, and the lambda
        at which each cluster begins and ends.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    outlier_scores: np.ndarray
    stability: np.ndarray
    tree: np.ndarray
    linkage: np.ndarray
    recall: float
    backend: str
    repaired: int
    points: np.ndarray = field(repr=False)
    core: np.ndarray = field(repr=False)
    births: np.ndarray = field(repr=False)
    deaths: np.ndarray = field(repr=False)
    min_samples: int = 1

    def __len__(self) -> int:
        """Number of clusters."""
        return len(self.stability)


def density(
    x: np.ndarray,
    *,
    min_cluster_size: int = 15,
    min_samples: int | None = None,
    k: int | None = None,
    backend: str | backends.Search = "auto",
    selection: str = "eom",
    cluster_selection_epsilon: float = 0.0,
    allow_single_cluster: bool = False,
    seed: int = 0,
) -> Density:
    """Cluster points by density.

    Parameters
    ----------
    x : float[n, d], Euclidean; scale mixed units first.
    min_cluster_size : a group of fewer points is noise, at least 2.
    min_samples : the core distance is that to so many nearest points, the point itself counted (1: single linkage);
        default `min_cluster_size`.
    k : neighbours listed per point, from `min_samples` - 1 to n - 1; default the larger of 16 and `min_samples` + 5.
        With exact neighbours it changes the time, not the result.
    backend : auto, exact, faiss, hnsw, descent, or a callable (see `backends`).
    selection : eom, or leaf for the finest clusters.
    cluster_selection_epsilon : clusters do not part below this distance.
    allow_single_cluster : all points may be one cluster.
    seed : of what is sampled (recall, cells); the result of an exact search does not depend on it.

    Raises
    ------
    OptionError
        A value is outside what is allowed, x is no matrix or holds NaN (the rows are named), or n is too small.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(9, 1, (60, 2)), [[4.5, 4.5], [30, 30]]])
    >>> found = density(x, min_cluster_size=10)
    >>> len(found), found.labels[[0, 60, 121]].tolist()
    (2, [0, 1, -1])
    """
    x = _points(x)
    n = len(x)
    samples = min_cluster_size if min_samples is None else min_samples
    _checked(n, min_cluster_size, samples, selection, cluster_selection_epsilon)
    kept = min(n - 1, max(K, samples + 5)) if k is None else k
    if not max(1, samples - 1) <= kept < n:
        raise OptionError(
            f"density: k = {kept}; give {max(1, samples - 1)} (min_samples - 1) to {n - 1} (points - 1), or none."
        )
    found = backends.neighbours(x, kept, backend, seed)
    core = found.distance[:, samples - 2].copy() if samples > 1 else np.zeros(n)
    tree = spanning(x, core, found.distance, found.code, seed)
    joined, merge = linkage.single_linkage(tree.ends, tree.weight)
    condensed = linkage.condensed(joined, merge, min_cluster_size)
    return _chosen(
        x, core, samples, joined, condensed, found, tree.repaired, selection, cluster_selection_epsilon,
        allow_single_cluster,
    )  # fmt: skip


def _chosen(
    x: np.ndarray, core: np.ndarray, samples: int, joined: np.ndarray, condensed: np.ndarray, found: backends.Found,
    repaired: int, how: str, epsilon: float, single: bool,
) -> Density:  # fmt: skip
    clusters = selection.Clusters.of(condensed, len(x))
    chosen = selection.select(clusters, how, epsilon, single)
    labels, probabilities, own = selection.labelled(clusters, chosen, epsilon)
    return Density(
        labels, probabilities, clusters.outlier_scores(), clusters.stability[own], condensed, joined, found.recall,
        found.backend, repaired, x, core, clusters.birth[own], clusters.death[own], samples,
    )  # fmt: skip


def _points(given: np.ndarray) -> np.ndarray:
    x = np.asarray(given)
    if x.ndim != 2 or x.dtype.kind not in "fiub" or not x.shape[1]:
        raise OptionError(f"density: points are {x.dtype}{list(x.shape)}; give numbers [n, d], a row per point.")
    x = np.ascontiguousarray(x, x.dtype if x.dtype in (np.float32, np.float64) else np.float64)
    wrong = np.flatnonzero(~np.isfinite(x).all(1))
    if len(wrong):
        rows = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
        raise OptionError(f"density: {len(wrong)} rows hold NaN or infinite numbers: {rows}; leave them out.")
    return x


def _checked(n: int, least: int, samples: int, how: str, epsilon: float) -> None:
    if least < 2:
        raise OptionError(f"density: min_cluster_size = {least}; a cluster has 2 points or more.")
    if samples < 1:
        raise OptionError(f"density: min_samples = {samples}; give 1 (the point itself) or more.")
    if n < max(2, samples):
        raise OptionError(
            f"density: {n} points for min_samples = {samples}; give {max(2, samples)} points or more, "
            f"or min_samples up to {max(n, 1)}."
        )
    if how not in ("eom", "leaf"):
        raise OptionError(f"density: selection = '{how}'; give 'eom' or 'leaf'.")
    if not epsilon >= 0:
        raise OptionError(f"density: cluster_selection_epsilon = {epsilon}; give a distance, 0 or more.")
