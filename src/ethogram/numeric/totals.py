"""What people did before a decision in standard aggregates, by kind of event and window, as a scorecard has them.

For each kind (a category), and for all kinds together:

    count, sum, mean      in the last 30 days, the last 90, and the whole window
    month0 ... month5     sums of the last six months of 30 days, the latest first
    slope, trend          of the monthly sums and of the monthly counts, each over its mean
    last, largest, names  days since the last event, largest absolute value, distinct items
"""

from __future__ import annotations

import numpy as np

from ethogram.log import kernels
from ethogram.log.cases import Cases
from ethogram.log.vocabulary import Vocabulary

DAY = 86_400_000_000
WINDOWS = (30, 90)
MONTHS = 6
EVERYTHING = "all"
NAMES = (
    *(f"{what} {window}" for window in (*(f"{w} days" for w in WINDOWS), "whole") for what in ("count", "sum", "mean")),
    *(f"sum of month {m}" for m in range(MONTHS)),
    *("slope", "trend", "days since last", "largest", "items"),
)
"""Aggregates of one kind, in their order."""


def totals(cases: Cases, kind: np.ndarray, ids: Vocabulary, known: Vocabulary, days: float | None) -> np.ndarray:
    """Aggregates of each case, float64[n, (kinds + 1) * len(NAMES)], NaN where there is nothing to say.

    Parameters
    ----------
    kind : int64[N], code in `ids` of each row of the cases' sequences, -1 for none.
    known : the kinds that have columns, in this order; the last block is that of all events.
    days : of the window; None reads all.
    """
    columns = cases.sequences.columns
    rows, offsets = kernels.ragged_rows(cases.since(days), cases.stop)
    n, size = len(cases), len(known)
    case = np.repeat(np.arange(n), np.diff(offsets))
    back = (np.repeat(cases.decided, np.diff(offsets)) - np.asarray(columns["time"])[rows]) / DAY
    value = np.nan_to_num(np.asarray(columns["value"], np.float64)[rows]) if "value" in columns else np.zeros(len(rows))
    item = np.asarray(columns["item"])[rows] if "item" in columns else np.zeros(len(rows), np.int32)
    place = np.append(ids.codes_in(known), -1)[kind[rows]].astype(np.int64)
    made = np.full((n, size + 1, len(NAMES)), np.nan)
    mine = place >= 0
    made[:, :size] = _block(case[mine] * size + place[mine], n * size, back[mine], value[mine], item[mine]).reshape(
        n, size, -1
    )
    made[:, size] = _block(case, n, back, value, item)
    return made.reshape(n, -1)


def names(known: Vocabulary) -> list[tuple[str, str]]:
    """(kind, aggregate) of each column."""
    return [(str(kind), name) for kind in (*known.ids.to_pylist(), EVERYTHING) for name in NAMES]


def _block(cell: np.ndarray, cells: int, back: np.ndarray, value: np.ndarray, item: np.ndarray) -> np.ndarray:
    parts: list[np.ndarray] = []
    for window in (*WINDOWS, np.inf):
        inside = back < window
        count = np.bincount(cell[inside], minlength=cells).astype(np.float64)
        total = np.bincount(cell[inside], value[inside], cells)
        with np.errstate(invalid="ignore", divide="ignore"):
            parts += [count, total, total / count]
    month = np.minimum(back // 30, MONTHS).astype(np.int64)
    near = month < MONTHS
    key = cell[near] * MONTHS + month[near]
    sums = np.bincount(key, value[near], cells * MONTHS).reshape(cells, MONTHS)
    often = np.bincount(key, minlength=cells * MONTHS).reshape(cells, MONTHS).astype(np.float64)
    last, largest = np.full(cells, np.nan), np.full(cells, np.nan)
    np.fmin.at(last, cell, back)
    np.fmax.at(largest, cell, np.abs(value))
    pair = np.unique(cell * (int(item.max(initial=0)) + 2) + item + 1)
    different = np.bincount(pair // (int(item.max(initial=0)) + 2), minlength=cells).astype(np.float64)
    return np.stack([*parts, *sums.T, _slope(sums), _slope(often), last, largest, different], 1)


def _slope(months: np.ndarray) -> np.ndarray:
    """Least-squares slope per month towards the decision, over the mean; NaN where all is 0."""
    x = (MONTHS - 1) / 2 - np.arange(MONTHS)
    mean = np.abs(months).mean(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mean > 0, months @ x / (x @ x) / mean, np.nan)
