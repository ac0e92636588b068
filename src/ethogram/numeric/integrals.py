"""Instants and weights by which an intensity is integrated over each gap between events.

    integral over (start, stop] of f  ~  sum_s weight_s f(instant_s)

``gauss``: Gauss-Legendre, exact for polynomials of degree 2 count - 1. ``trapezoid``: evenly spaced with both ends,
the ends of a gap count half, so no instant belongs to two gaps. ``random``: one uniform draw in each of `count` equal
parts, unbiased for any intensity.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric.streams import Gaps

How = Literal["gauss", "trapezoid", "random"]


def instants(
    gaps: Gaps, count: int, how: How = "gauss", rng: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(instants, weights), both float64[G, count].

    Raises
    ------
    OptionError
        Fewer points than the rule needs, or ``random`` without a generator.

    Examples
    --------
    >>> from ethogram.numeric.streams import Streams
    >>> gaps = Streams.of([([0.0, 2.0], [0, 0])], 1).gaps
    >>> when, weight = instants(gaps, 3)
    >>> round(float((weight * when**2).sum()), 6)
    2.666667
    """
    if count < (2 if how == "trapezoid" else 1):
        raise OptionError(f"integral by {count} points ({how}); give more.")
    if how == "gauss":
        x, w = np.polynomial.legendre.leggauss(count)
        share, weight = (x + 1) / 2, w / 2
    elif how == "trapezoid":
        share = np.linspace(0, 1, count)
        weight = np.full(count, 1 / (count - 1))
        weight[[0, -1]] /= 2
    else:
        if rng is None:
            raise OptionError("integral at random points: give a generator.")
        share = (np.arange(count) + rng.random((len(gaps), count))) / count
        weight = np.full(count, 1 / count)
    span = (gaps.stop - gaps.start)[:, None]
    return gaps.start[:, None] + share * span, weight * span
