"""Vectors as short words: each letter is the cluster of what the letters before it left over.

    r_1 = x,    letter_l = cluster of r_l among the centres of level l,    r_(l + 1) = r_l - its centre

Reference: D. Lee et al.: Autoregressive Image Generation using Residual Quantization. CVPR 2022 (there learned; by
residual k-means as in X. Luo et al.: QARM. 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethogram.numeric.kmeans import balanced as balanced_kmeans
from ethogram.numeric.kmeans import kmeans, nearest


@dataclass(frozen=True)
class Usage:
    """How well words tell things apart.

    Attributes
    ----------
    entropy : of the letters of each level, as a share of log K. used : letters of each level that occur, of K.
    collisions : share of the things whose word another has, too. largest : things of the commonest word.
    """

    entropy: tuple[float, ...]
    used: tuple[float, ...]
    collisions: float
    largest: int


@dataclass(frozen=True, eq=False)
class ResidualTokenizer:
    """`centres` float32[levels, K, d] and `codes` int32[n, levels], the words of what it was fitted on."""

    centres: np.ndarray
    codes: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, levels: int = 3, k: int = 32, *, balanced: bool = True, seed: int = 0
            ) -> ResidualTokenizer:  # fmt: skip
        """Words of `levels` letters out of `k` (or as many as there are vectors); x is [n, d]."""
        rest = np.array(x, np.float32)
        k = min(k, len(rest))
        centres, codes = np.empty((levels, k, rest.shape[1]), np.float32), np.empty((len(rest), levels), np.int32)
        for level in range(levels):
            cluster = balanced_kmeans if balanced else kmeans
            centres[level], codes[:, level] = cluster(rest, k, seed=seed + level)
            rest -= centres[level][codes[:, level]]
        return cls(centres, codes)

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Words of other vectors, by the nearest centres, int32[n, levels]."""
        rest, out = np.array(x, np.float32), np.empty((len(x), len(self.centres)), np.int32)
        for level, centres in enumerate(self.centres):
            out[:, level] = nearest(rest, centres)
            rest -= centres[out[:, level]]
        return out

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The vectors that words stand for, float32[n, d]."""
        return np.asarray(sum(c[codes[:, level]] for level, c in enumerate(self.centres)))

    def usage(self) -> Usage:
        """See `Usage`."""
        k, n = self.centres.shape[1], len(self.codes)
        entropy, used = [], []
        for letters in self.codes.T:
            p = np.bincount(letters, minlength=k) / n
            entropy.append(float(-(p[p > 0] * np.log(p[p > 0])).sum() / np.log(max(k, 2))))
            used.append(float((p > 0).mean()))
        counts = np.unique(self.codes, axis=0, return_counts=True)[1]
        return Usage(tuple(entropy), tuple(used), float(counts[counts > 1].sum() / n), int(counts.max()))
