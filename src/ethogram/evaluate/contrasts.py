"""In which attributes do two groups differ? Effect sizes, tests and a correction for there being many attributes.

Per attribute, for groups A and B (or pairs and matched pairs):

    d       (mean A - mean B) / sqrt((var A + var B) / 2)          Cohen's, of the means
    delta   P(a > b) - P(a < b)                                    Cliff's, of the order; robust to long tails
    p       Welch's t-test of the means; of paired groups (row k of both belongs together) Student's of the differences
    q       p after Holm (any false discovery) or Benjamini and Hochberg (their share)

Means are tested, not ranks: a rate that is counted over few events in one group and over many in the other has another
distribution in each, and the same mean. NaN counts for nothing, and how many rows were left is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate.correction import benjamini_hochberg, holm

FEWEST = 3
"""Rows that a group must have for a test."""


def contrasts(
    a: Any, b: Any, names: Sequence[str], *, paired: bool = False, correction: Literal["holm", "bh"] = "holm",
    level: float = 0.05,
) -> pa.Table:  # fmt: skip
    """A row per attribute in the order of `names`: `attribute`, `a_mean`, `b_mean`, `a_rows`, `b_rows`, `d`, `delta`,
    `p`, `q`, `differs` (q <= level); null where a group has too few rows or nothing varies.

    Parameters
    ----------
    a : float[n, k], b : float[m, k]. paired : n = m, and rows belong together.

    Raises
    ------
    OptionError
        Shapes and names do not fit.
    """
    from scipy.stats import ttest_ind, ttest_rel

    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.ndim != 2 or y.ndim != 2 or not x.shape[1] == y.shape[1] == len(names) or (paired and len(x) != len(y)):
        raise OptionError(f"contrasts: groups of shapes {x.shape} and {y.shape} for {len(names)} attributes.")
    rows: dict[str, list[Any]] = {c: [] for c in ("a_mean", "b_mean", "a_rows", "b_rows", "d", "delta", "p")}
    for k in range(len(names)):
        if paired:
            there = np.isfinite(x[:, k]) & np.isfinite(y[:, k])
            one, other = x[there, k], y[there, k]
        else:
            one, other = x[np.isfinite(x[:, k]), k], y[np.isfinite(y[:, k]), k]
        enough = min(len(one), len(other)) >= FEWEST
        spread = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2) if enough else 0.0
        p = np.nan
        if enough and spread > 0:
            p = float((ttest_rel(one, other) if paired else ttest_ind(one, other, equal_var=False)).pvalue)
        rows["a_mean"].append(one.mean() if len(one) else np.nan)
        rows["b_mean"].append(other.mean() if len(other) else np.nan)
        rows["a_rows"].append(len(one))
        rows["b_rows"].append(len(other))
        rows["d"].append((one.mean() - other.mean()) / spread if spread > 0 else np.nan)
        rows["delta"].append(cliffs_delta(one, other))
        rows["p"].append(p)
    p_values = np.array(rows["p"])
    q = (holm if correction == "holm" else benjamini_hochberg)(p_values)
    made: dict[str, Any] = {"attribute": list(names)}
    for name, held in {**rows, "q": q}.items():
        column = np.asarray(held)
        made[name] = pa.array(column, mask=np.isnan(column)) if column.dtype.kind == "f" else pa.array(column)
    made["differs"] = np.nan_to_num(q, nan=1.0) <= level
    return pa.table(made)


def cliffs_delta(a: np.ndarray, b: np.ndarray) -> float:
    """P(a > b) - P(a < b) over all pairs of two samples; NaN where one is empty.

    >>> cliffs_delta(np.array([1.0, 2.0]), np.array([0.0, 1.0]))
    0.75
    """
    if not len(a) or not len(b):
        return float("nan")
    ordered = np.sort(b)
    below, upto = np.searchsorted(ordered, a, "left"), np.searchsorted(ordered, a, "right")
    return float((below.sum() - (len(b) - upto).sum()) / (len(a) * len(b)))
