"""Which points are not beaten in every respect, and how much they cover: Pareto front and hypervolume of two costs."""

from __future__ import annotations

import numpy as np

from ethogram.errors import OptionError


def front(points: np.ndarray) -> np.ndarray:
    """Which points no other point beats, bool[n], for points float[n, m] whose coordinates are all costs.

    A point is beaten where another is nowhere worse and somewhere better; equal points stand together.

    >>> front(np.array([[1, 3], [2, 2], [3, 3], [3, 1]])).tolist()
    [True, True, False, True]
    """
    p = np.asarray(points, np.float64)
    no_worse = (p[:, None] <= p[None]).all(-1)
    better = (p[:, None] < p[None]).any(-1)
    return np.asarray(~(no_worse & better).any(0))


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """Area that two costs [n, 2] leave behind them below `reference` [2]: larger is better.

    Raises
    ------
    OptionError
        The points have not two coordinates.

    >>> hypervolume(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([2.0, 2.0]))
    3.0
    """
    p = np.asarray(points, np.float64)
    if p.ndim != 2 or p.shape[1] != 2:
        raise OptionError(f"hypervolume: points of shape {p.shape}; give [n, 2].")
    p = p[(p < reference).all(1)]
    p = p[front(p)]
    p = np.unique(p, axis=0)  # by the first cost, so that the second falls
    if not len(p):
        return 0.0
    right = np.append(p[1:, 0], reference[0])
    return float(((right - p[:, 0]) * (reference[1] - p[:, 1])).sum())
