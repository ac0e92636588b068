"""Events that share an id: the same event told again, or another one that must not take its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa


def within(
    event: np.ndarray, content: Mapping[str, Any], skip: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Rows whose event id stood in an earlier row: (with equal content, with other content), bool[N] or None.

    Parameters
    ----------
    event : int64[N] ids.
    content : columns that make the event.
    skip : bool[N], rows that are set aside already and do not count.
    """
    rows = np.flatnonzero(~skip)
    ids = event[rows]
    if len(ids) < 2 or (np.diff(ids) > 0).all():
        return None, None
    by_id = np.argsort(ids, kind="stable")
    ids, rows = ids[by_id], rows[by_id]
    new = np.concatenate([[True], ids[1:] != ids[:-1]])
    if new.all():
        return None, None
    first = rows[np.flatnonzero(new)[np.cumsum(new) - 1]][~new]
    later = rows[~new]
    same = equal(content, first, content, later)
    again, other = np.zeros(len(event), bool), np.zeros(len(event), bool)
    again[later[same]] = True
    other[later[~same]] = True
    return again, other


def equal(a: Mapping[str, Any], rows_a: np.ndarray, b: Mapping[str, Any], rows_b: np.ndarray) -> np.ndarray:
    """bool[n]: row rows_a[i] of `a` says the same as row rows_b[i] of `b`, missing values being equal."""
    same = np.ones(len(rows_a), bool)
    for name in a:
        left, right = _take(a[name], rows_a), _take(b[name], rows_b)
        same &= _equal(left, right)
    return same


def _take(column: Any, rows: np.ndarray) -> pa.Array:
    column = pa.array(column) if isinstance(column, np.ndarray) else column
    taken = column.take(pa.array(rows))
    return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken


def _equal(left: pa.Array, right: pa.Array) -> np.ndarray:
    import pyarrow.compute as pc

    if pa.types.is_nested(left.type):
        return np.array([x == y for x, y in zip(left.to_pylist(), right.to_pylist(), strict=True)], bool)
    found = pc.fill_null(pc.equal(left, right), False)
    both = pc.and_(left.is_null(), right.is_null())
    if pa.types.is_floating(left.type):
        both = pc.or_(both, pc.fill_null(pc.and_(pc.is_nan(left), pc.is_nan(right)), False))
    return pc.or_(found, both).to_numpy(zero_copy_only=False).astype(bool)
