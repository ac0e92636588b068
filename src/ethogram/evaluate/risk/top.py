"""How much of the badness lies in the riskiest x percent? What a desk that can look at so many cases will catch.

With cases of weight w from the highest risk down, and k the weight of the top share x of all,

    recall(x) = bad weight within k / all bad weight      precision(x) = bad weight within k / k

Cases of equal risk at the edge enter in proportion, the mean over every order in which they could come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate.calibration import checked

SHARES = (0.01, 0.05, 0.1, 0.2)


def recall_at_top(label: Any, risk: Any, share: float, weight: Any = None) -> float:
    """Share of the bad ones within the riskiest `share` of the cases; NaN where none is bad.

    >>> recall_at_top([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], 0.5)
    0.5
    """
    return float(at_top(label, risk, (share,), weight)["recall"][0].as_py())


def recall_at_approval(label: Any, risk: Any, rate: float, weight: Any = None) -> float:
    """Share of the bad ones that is declined where `rate` of these very cases is approved."""
    return recall_at_top(label, risk, 1 - rate, weight)


def at_top(label: Any, risk: Any, shares: Sequence[float] = SHARES, weight: Any = None) -> pa.Table:
    """A row per share: `share`, `cases` (their weight), `recall`, `precision`, `lift` (precision over the bad rate).

    Raises
    ------
    OptionError
        As `classification.auc`; a share outside [0, 1].
    """
    y, s, w = checked(label, risk, weight)
    wanted = np.asarray(shares, np.float64)
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise OptionError(f"top shares {', '.join(f'{v:g}' for v in wanted)}: each must lie within 0 and 1.")
    values, at = np.unique(-s, return_inverse=True)
    weights = np.r_[0.0, np.cumsum(np.bincount(at, w, len(values)))]
    bad = np.r_[0.0, np.cumsum(np.bincount(at, w * y, len(values)))]
    k = wanted * weights[-1]
    caught = np.interp(k, weights, bad)  # straight between two risks: in proportion
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = caught / bad[-1], caught / k
        lift = precision / (bad[-1] / weights[-1])
    return pa.table({"share": wanted, "cases": k, "recall": recall, "precision": precision, "lift": lift})
