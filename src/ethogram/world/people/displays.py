"""How much more an item is taken where it is shown: what a log with displays says of the response to being shown.

Each item is compared with itself: trips to places that showed it that week, and trips to places that did not
(Mantel and Haenszel, over items):

    response = sum_i a_i n0_i / n_i  /  sum_i b_i n1_i / n_i

a, b: trips with the item where it was shown and where it was not; n1, n0: all such trips; n = n1 + n0. An item that is
popular does not weigh against one that is not; but displays go with lower prices, and stores show what sells, so the
number is an upper end of what being shown does by itself. Intervals draw items with replacement.

N. Mantel, W. Haenszel: Statistical Aspects of the Analysis of Data from Retrospective Studies. JNCI 1959 (here of
rates).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap as boot


def display_response(
    taken_shown: Any,
    taken_not: Any,
    trips_shown: Any,
    trips_not: Any,
    *,
    resamples: int = boot.RESAMPLES,
    seed: int = 0,
) -> boot.Interval:
    """The response with its interval, from counts of each item, [items].

    Raises
    ------
    OptionError
        Counts of different lengths, more trips with an item than trips, or no item that was shown and not shown.

    Examples
    --------
    >>> round(display_response([20, 9], [10, 3], [100, 30], [100, 30]).value, 2)
    2.23
    """
    a, b, n1, n0 = (np.asarray(c, np.float64) for c in (taken_shown, taken_not, trips_shown, trips_not))
    if not len(a) == len(b) == len(n1) == len(n0):
        raise OptionError(f"display_response: counts of {len(a)}, {len(b)}, {len(n1)} and {len(n0)} items.")
    if (wrong := np.flatnonzero((a > n1) | (b > n0) | (a < 0) | (b < 0))).size:
        raise OptionError(
            f"display_response: item {wrong[0]} was taken on more trips than there were, or on fewer than 0."
        )
    both = (n1 > 0) & (n0 > 0)
    n = np.maximum(n1 + n0, 1)
    over, under = (a * n0 / n)[both], (b * n1 / n)[both]
    if not under.sum() > 0:
        raise OptionError(
            "display_response: no item was taken where it was not shown; there is nothing to compare with."
        )
    draws = boot.ratio_draws(over[:, None], under[:, None], resamples, seed)[:, 0]
    return boot.interval(float(over.sum() / under.sum()), draws)
