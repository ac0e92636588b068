"""k-means: Lloyd's iterations from well-spread beginnings, and a form whose clusters all have the same size.

Balanced: centres take turns (in an order drawn anew each iteration, so that nobody is always last); each takes its
share of the nearest points that are still free, and moves to their mean. Sizes differ by 1 at most.

Reference: D. Arthur, S. Vassilvitskii: k-means++: The Advantages of Careful Seeding. SODA 2007.
"""

from __future__ import annotations

import numpy as np

from ethogram.errors import OptionError


def kmeans(x: np.ndarray, k: int, *, iterations: int = 50, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(centres float32[k, d], cluster of each point int64[n]); an empty cluster keeps its centre.

    Parameters
    ----------
    x : [n, d]; n is k or more.

    Examples
    --------
    >>> centres, cluster = kmeans(np.array([[0.0], [1.0], [10.0], [11.0]]), 2)
    >>> sorted(centres[:, 0].tolist())
    [0.5, 10.5]
    """
    x = _points(x, k)
    centres = _begin(x, k, np.random.default_rng(seed))
    cluster = _distances(x, centres).argmin(1)
    for _ in range(iterations):
        centres = _means(x, cluster, centres)
        moved = _distances(x, centres).argmin(1)
        if (moved == cluster).all():
            break
        cluster = moved
    return centres, cluster


def balanced(x: np.ndarray, k: int, *, iterations: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The same with clusters of n // k or n // k + 1 points: of all iterations the one with least squared distance.

    Examples
    --------
    >>> np.bincount(balanced(np.random.default_rng(0).normal(size=(10, 2)), 3)[1]).tolist()
    [4, 3, 3]
    """
    x = _points(x, k)
    rng = np.random.default_rng(seed)
    centres = _begin(x, k, rng)
    sizes = np.full(k, len(x) // k)
    sizes[: len(x) % k] += 1
    best = np.inf, centres, np.zeros(len(x), np.int64)
    for _ in range(max(1, iterations)):
        far, cluster = _distances(x, centres), np.full(len(x), -1)
        for c in rng.permutation(k):
            free = np.flatnonzero(cluster < 0)
            taken = free[np.argpartition(far[free, c], sizes[c] - 1)[: sizes[c]]]
            cluster[taken] = c
        centres = _means(x, cluster, centres)
        cost = float(((x - centres[cluster]) ** 2).sum())
        if cost < best[0]:
            best = cost, centres, cluster
    return best[1], best[2]


def nearest(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Number of the nearest centre of each point, int64[n]."""
    return np.asarray(_distances(np.asarray(x, np.float32), centres).argmin(1))


def _points(x: np.ndarray, k: int) -> np.ndarray:
    x = np.asarray(x, np.float32)
    if x.ndim != 2 or not 1 <= k <= len(x):
        raise OptionError(f"k-means: {k} clusters of points of shape {x.shape}; give 1 to n clusters of [n, d].")
    return x


def _distances(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances less |x|^2, float32[n, k]."""
    return (centres**2).sum(1) - 2 * x @ centres.T


def _begin(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    found = np.empty((k, x.shape[1]), np.float32)
    found[0] = x[rng.integers(len(x))]
    near = ((x - found[0]) ** 2).sum(1)
    for c in range(1, k):
        total = near.sum()
        at = rng.integers(len(x)) if total <= 0 else int(np.searchsorted(np.cumsum(near), rng.random() * total))
        found[c] = x[min(at, len(x) - 1)]
        near = np.minimum(near, ((x - found[c]) ** 2).sum(1))
    return found


def _means(x: np.ndarray, cluster: np.ndarray, before: np.ndarray) -> np.ndarray:
    order = np.argsort(cluster, kind="stable")
    counts = np.bincount(cluster, minlength=len(before))
    full = np.flatnonzero(counts)
    first = (np.cumsum(counts) - counts)[full]
    after = before.copy()
    after[full] = np.add.reduceat(x[order], first) / counts[full, None]
    return after
