"""Do two groupings of the same examples agree? Both measures ignore what groups are called.

    adjusted Rand = (index - expected) / (largest - expected)       index: pairs together in both; 0 by chance, 1 equal
    normalised mutual information = I(a; b) / mean(H(a), H(b))       0 independent, 1 equal; by chance above 0

References: L. Hubert, P. Arabie: Comparing partitions. J. Classification 1985. A. Strehl, J. Ghosh: Cluster Ensembles.
JMLR 2002 (there with the geometric mean).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.errors import OptionError


def adjusted_rand(one: Any, other: Any) -> float:
    """Adjusted Rand index of two groupings [n]; 1 where both put all together or all apart.

    Examples
    --------
    >>> adjusted_rand([0, 0, 1, 1], ["b", "b", "a", "a"])
    1.0
    """
    counts = _table(one, other)
    together, rows, columns = (_pairs(x).sum() for x in (counts, counts.sum(1), counts.sum(0)))
    every = _pairs(counts.sum())
    if not every:
        return 1.0
    expected = rows * columns / every
    largest = (rows + columns) / 2
    return 1.0 if largest == expected else float((together - expected) / (largest - expected))


def normalised_information(one: Any, other: Any) -> float:
    """Normalised mutual information of two groupings [n]; 0 where either tells nothing.

    Examples
    --------
    >>> normalised_information([0, 0, 1, 1], [0, 1, 0, 1])
    0.0
    """
    share = _table(one, other)
    share = share / share.sum()
    first, second = _entropy(share.sum(1)), _entropy(share.sum(0))
    if first + second <= 0:
        return 0.0
    return float(max(0.0, 2 * (first + second - _entropy(share.ravel())) / (first + second)))


def _table(one: Any, other: Any) -> np.ndarray:
    a, b = np.asarray(one), np.asarray(other)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise OptionError(f"groupings of shapes {a.shape} and {b.shape}; give a group for each example to both.")
    _, x = np.unique(a, return_inverse=True)
    _, y = np.unique(b, return_inverse=True)
    found = np.zeros((x.max() + 1, y.max() + 1))
    np.add.at(found, (x, y), 1.0)
    return found


def _pairs(n: Any) -> Any:
    return n * (n - 1) / 2


def _entropy(share: np.ndarray) -> float:
    held = share[share > 0]
    return float(-(held * np.log(held)).sum())
