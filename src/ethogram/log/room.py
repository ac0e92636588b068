"""Room for long arrays: from a size on they lie in temporary files, and memory does not grow with the log.

An array that a step derives from the events (a part's columns, the groups, a permutation) is as long as the log. Such
arrays are mapped from files without a name, which vanish with the last reference; the system keeps in memory what is
in use. Files lie in the folder for temporary files (``TMPDIR``).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

FROM = int(os.environ.get("ETHOGRAM_FILES_FROM", 128 << 20))
"""Bytes from which an array lies in a file; the variable ``ETHOGRAM_FILES_FROM`` sets another number."""
BLOCK = 1 << 20
"""Rows that `mapped` works on at once."""


def empty(shape: int, kind: Any) -> np.ndarray:
    """An array of one dimension whose content does not matter yet."""
    size = int(shape) * np.dtype(kind).itemsize
    return np.empty(shape, kind) if size < max(FROM, 1) else _file(int(shape), kind)


def zeros(shape: int, kind: Any) -> np.ndarray:
    """An array of one dimension of zeros."""
    size = int(shape) * np.dtype(kind).itemsize
    return np.zeros(shape, kind) if size < max(FROM, 1) else _file(int(shape), kind)


def mapped(values: np.ndarray, kind: Any, make: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """``make(values)`` in room of its own, for a `make` that looks at each value alone."""
    if len(values) <= BLOCK:
        return np.asarray(make(values)).astype(kind, copy=False)
    out = empty(len(values), kind)
    for rows in blocks(len(values)):
        out[rows] = make(values[rows])
    return out


def taken(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """``values[rows]`` for row numbers, or for a mask."""
    if rows.dtype == bool:
        return np.compress(rows, values, out=empty(int(np.count_nonzero(rows)), values.dtype))
    return np.take(values, rows, out=empty(len(rows), values.dtype), mode="clip")


def blocks(n: int, size: int = 0) -> Iterator[slice]:
    """Consecutive slices of at most `size` rows (`BLOCK` if not given)."""
    size = size or BLOCK
    for at in range(0, n, size):
        yield slice(at, min(at + size, n))


def _file(n: int, kind: Any) -> np.ndarray:
    with tempfile.TemporaryFile(prefix="ethogram-") as file:
        file.truncate(n * np.dtype(kind).itemsize)
        return np.memmap(file, kind, "r+", shape=(n,)).view(np.ndarray)
