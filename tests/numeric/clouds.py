"""Points to cluster."""

import numpy as np


def blobs(n, d, clusters, noise=0.2, seed=0):
    """Normal clusters of equal spread, and a share of uniform noise."""
    rng = np.random.default_rng(seed)
    few = int(n * noise)
    centres = rng.uniform(-10, 10, (clusters, d))
    x = centres[rng.integers(0, clusters, n - few)] + rng.standard_normal((n - few, d))
    return np.concatenate([x, rng.uniform(-12, 12, (few, d))])[rng.permutation(n)]
