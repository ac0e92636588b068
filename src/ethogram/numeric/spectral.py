"""Items as vectors by what they go with: the leading directions of a sparse item-item kernel.

    K ~ Q S Q',   e_i = sqrt(|S|) Q_i, scaled to length 1 on average

by subspace iteration from seeded random directions: two passes over the kernel a round, nothing dense but [V, d].
"""

from __future__ import annotations

import numpy as np

from ethogram.numeric.neighbours import Neighbours

ROUNDS = 6


def spectral(kernel: Neighbours, dim: int, *, seed: int = 0) -> np.ndarray:
    """float32[V, dim] of a kernel [V, V]; of less than `dim` items, the further columns are 0."""
    from scipy.sparse import csr_array

    size = len(kernel.offsets) - 1
    k = csr_array((kernel.weights.astype(np.float64), kernel.codes, kernel.offsets), shape=(size, size))
    k = k + k.T
    width = min(dim, size)
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, width)))[0]
    for _ in range(ROUNDS):
        q = np.linalg.qr(k @ q)[0]
    values, turned = np.linalg.eigh(q.T @ (k @ q))
    found = (q @ turned) * np.sqrt(np.abs(values))
    out = np.zeros((size, dim), np.float32)
    out[:, :width] = found / max(float(np.linalg.norm(found, axis=1).mean()), 1e-12)
    return out
