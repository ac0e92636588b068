"""How much one thing tells about another, from counts."""

from __future__ import annotations

import numpy as np


def mutual_information(counts: np.ndarray) -> np.ndarray:
    """Mutual information in nats of two discrete variables, float64[...], from joint counts [..., a, b].

    I = sum_ab p_ab log(p_ab / (p_a p_b)); 0 where nothing was counted.

    >>> mutual_information(np.array([[[5, 0], [0, 5]], [[3, 3], [2, 2]]])).round(4).tolist()
    [0.6931, 0.0]
    """
    n = np.asarray(counts, np.float64)
    total = n.sum((-2, -1), keepdims=True)
    p = n / np.maximum(total, 1e-300)
    apart = p.sum(-1, keepdims=True) * p.sum(-2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / apart), 0.0)
    return np.asarray(np.maximum(terms.sum((-2, -1)), 0.0))


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each value from 0, equal values their middle rank, float64."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return ((ends - count) + (ends - 1))[place.reshape(-1)] / 2


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two lists; NaN where one of them is constant or empty.

    >>> rank_correlation(np.array([1, 2, 3, 9]), np.array([2, 4, 4, 5]))
    0.9486832980505138
    """
    if len(a) < 2:
        return float("nan")
    x, y = ranks(np.asarray(a)), ranks(np.asarray(b))
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0 else float("nan")
