"""Many tests at once: p-values corrected, so that a table of a hundred cells does not find five by chance.

    Benjamini and Hochberg   q_(i) = min over j >= i of  m p_(j) / j      share of false discoveries
    Holm                     p'_(i) = max over j <= i of  (m - j + 1) p_(j)      any false discovery at all

with p_(1) <= ... <= p_(m). Benjamini and Hochberg (1995) hold for independent or positively dependent tests, Holm
(1979) always. NaN stands for a test that could not be made, takes no part and stays NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.errors import OptionError


def benjamini_hochberg(p: Any) -> np.ndarray:
    """q-values in the shape of `p`: reject where q <= 0.05 and at most 5% of what is rejected is expected to be false.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    flat, order, there = _sorted(p)
    m = len(order)
    steps = flat[order] * m / np.arange(1, m + 1)
    return _back(p, flat, order, there, np.minimum.accumulate(steps[::-1])[::-1])


def holm(p: Any) -> np.ndarray:
    """p-values in the shape of `p`, corrected for the chance of a single false rejection.

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    flat, order, there = _sorted(p)
    m = len(order)
    return _back(p, flat, order, there, np.maximum.accumulate(flat[order] * (m - np.arange(m))))


def _sorted(p: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    flat = np.asarray(p, np.float64).ravel()
    there = np.flatnonzero(~np.isnan(flat))
    if ((flat[there] < 0) | (flat[there] > 1)).any():
        wrong = flat[there][(flat[there] < 0) | (flat[there] > 1)][0]
        raise OptionError(f"{wrong} is no p-value: it lies outside [0, 1].")
    return flat, there[np.argsort(flat[there], kind="stable")], there


def _back(p: Any, flat: np.ndarray, order: np.ndarray, there: np.ndarray, made: np.ndarray) -> np.ndarray:
    out = np.full(len(flat), np.nan)
    out[order] = np.minimum(made, 1.0)
    return out.reshape(np.asarray(p).shape)
