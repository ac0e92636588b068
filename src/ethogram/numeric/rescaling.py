"""Does a point process fit? Integrals of its intensity between events are Exp(1) if it is the true one.

    z_i = integral of the intensity over (t_{i-1}, t_i],   u_i = 1 - exp(-z_i) uniform on (0, 1)

`kolmogorov` is the largest distance of the empirical distribution of u from the diagonal, and its p-value. What is
tested are the z of gaps that end with an event, and the silence behind the last event belongs to none: sequences that
are cut at a fixed time leave their longest gaps out, so test long sequences, or chain several (`chained`).

Reference: E. Brown, R. Barbieri, V. Ventura, R. Kass, L. Frank: The time-rescaling theorem and its application to
neural spike train data analysis. Neural Computation 14, 2002.
"""

from __future__ import annotations

import numpy as np

from ethogram.numeric.streams import Streams


def chained(spent: np.ndarray, streams: Streams) -> np.ndarray:
    """z of all events, sequences laid end to end: the silence at a sequence's end is the start of the next one's gap.

    The rescaled process of independent sequences is one Poisson process of rate 1, so no gap is left out but the last.

    Parameters
    ----------
    spent : compensator of each gap of `streams.gaps`.
    """
    ends = streams.gaps.event >= 0
    total = np.cumsum(spent)[ends]
    return np.diff(total, prepend=0.0)


def kolmogorov(z: np.ndarray) -> tuple[float, float]:
    """(distance, p-value) of z from Exp(1); (0, 1) where there is nothing to test.

    >>> distance, p = kolmogorov(-np.log1p(-(np.arange(100) + 0.5) / 100))
    >>> round(distance, 3), p > 0.99
    (0.005, True)
    """
    from scipy.stats import kstwo

    n = len(z)
    if not n:
        return 0.0, 1.0
    u = np.sort(-np.expm1(-np.asarray(z, np.float64)))
    rank = np.arange(n)
    distance = float(max((u - rank / n).max(), ((rank + 1) / n - u).max()))
    return distance, float(kstwo.sf(distance, n))
