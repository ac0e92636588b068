"""Is one system better than another for the typical person? Wilcoxon's signed-rank test on paired differences.

    W = sum over i of sign(d_i) rank(|d_i|)      z = W / sqrt(sum of rank^2)

over the differences that are not 0, equal sizes sharing their mid-rank. Up to 25 differences the p-value is exact: the
distribution of W over all signs, counted on half-ranks so that ties stay exact. Above, normal. Wilcoxon (1945).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate.ratings import ranks

EXACT = 25


class SignedRank(NamedTuple):
    """The statistic, the two-sided p-value, the rank-biserial effect in [-1, 1], and the pairs that differ."""

    statistic: float
    p: float
    effect: float
    pairs: int


def signed_rank(a: Any, b: Any) -> SignedRank:
    """Test that differences a - b lie as often and as far above 0 as below; pairs with a NaN are left out.

    Raises
    ------
    OptionError
        Lengths differ.

    Examples
    --------
    >>> signed_rank([2, 3, 4, 6, 9], [1, 1, 1, 2, 4])
    SignedRank(statistic=15.0, p=0.0625, effect=1.0, pairs=5)
    """
    x, y = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    if len(x) != len(y):
        raise OptionError(f"signed_rank: {len(x)} values against {len(y)}; give both for each pair.")
    gap = x - y
    gap = gap[~np.isnan(gap) & (gap != 0)]
    if not len(gap):
        return SignedRank(0.0, 1.0, 0.0, 0)
    rank = ranks(np.abs(gap))
    w, total = float((np.sign(gap) * rank).sum()), float(rank.sum())
    if len(gap) <= EXACT:
        p = _exact(np.rint(2 * rank).astype(np.int64), abs(w))
    else:
        p = math.erfc(abs(w) / math.sqrt(2 * float((rank**2).sum())))
    return SignedRank(w, min(p, 1.0), w / total, len(gap))


def _exact(doubled: np.ndarray, size: float) -> float:
    """P(|W| >= size) when every sign is a coin; `doubled` are twice the ranks, whole numbers."""
    total = int(doubled.sum())
    ways = np.zeros(total + 1)
    ways[0] = 1.0
    for d in doubled:  # sum of the positive doubled ranks
        ways[d:] = ways[d:] + ways[: total + 1 - d]
    w = np.abs(2 * np.arange(total + 1) - total) / 2  # |W| when the positive ranks sum to that
    return float(ways[w >= size - 1e-9].sum() / ways.sum())
