"""Distances, in double precision to be believed and in single precision to be compared fast.

``|x - y|^2 = |x|^2 - 2 (x.y - |y|^2 / 2)``, so that the nearest points are those of largest inner product of
``[x, 1]`` with ``[y, -|y|^2 / 2]`` (the score), which a matrix product computes for all pairs.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SLACK = 1 + 1e-9
"""Far more than what sums in another order differ by."""
ROUNDING = 2.0**-24


def share(width: int) -> float:
    """Of ``|x| |y| + |y|^2``: what rounding can move twice the score of `width` numbers in single precision by."""
    return 2.0 * (width + 4) * ROUNDING


def squares(x: np.ndarray) -> np.ndarray:
    """float64[n], squared length of each row."""
    return np.einsum("ij,ij->i", x, x, dtype=np.float64)


def asking(x: np.ndarray) -> np.ndarray:
    """float32[n, d + 1], what is multiplied with `answering`."""
    return _beside(x, 1.0)


def answering(y: np.ndarray) -> np.ndarray:
    """float32[n, d + 1], whose product with `asking` is the score."""
    return _beside(y, -0.5 * squares(y))


def _beside(x: np.ndarray, last: np.ndarray | float) -> np.ndarray:
    out = np.empty((len(x), x.shape[1] + 1), np.float32)
    out[:, :-1], out[:, -1] = x, last
    return out


@njit(cache=True, nogil=True)
def squared(x, i, y, j):  # type: ignore[no-untyped-def]
    """Squared distance in double precision; the same bits for (x, y) and (y, x), wherever it is compiled into."""
    total = 0.0
    for c in range(x.shape[1]):
        gap = np.float64(x[i, c]) - np.float64(y[j, c])
        total += gap * gap
    return total


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def roughly(x, i, y, j):  # type: ignore[no-untyped-def]
    """The same up to rounding (`SLACK`), some times faster: to rule out most."""
    total = 0.0
    for c in range(x.shape[1]):
        gap = np.float64(x[i, c]) - np.float64(y[j, c])
        total += gap * gap
    return total
