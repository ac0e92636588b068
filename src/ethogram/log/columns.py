"""One column as a model reads it: its type, its embedding table, and how values become rows or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from ethogram.log.batch import PADDING, UNSEEN
from ethogram.log.vocabulary import Vocabulary

Type = Literal["categorical", "numeric", "multi", "text"]
Of = Literal["item", "user", "event", "context"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """Declaration of one column.

    Attributes
    ----------
    name, of : the log's column, and whose it is: item and user (side tables), event (of the history), context
        (of the asking event).
    type : categorical, numeric, multi (a list of categories, or text split at `split`), text (hashed words).
    table : embedding table; columns with the same table share it.
    buckets : rows of a hashed table, 0 for a vocabulary of the values seen in training.
    scale : how numbers are made comparable: ``standard`` or ``log`` (signed log1p, then standard), both by the
        mean and deviation of training; missing becomes 0, the mean.
    split : separator of a multi column that is stored as text.
    """

    name: str
    of: Of
    type: Type
    table: str = ""
    buckets: int = 0
    scale: Literal["standard", "log"] = "standard"
    mean: float = 0.0
    deviation: float = 1.0
    split: str = " "

    def numbers(self, values: pa.Array | np.ndarray) -> np.ndarray:
        """Numeric values scaled, float32; missing and infinite become 0."""
        raw = np.asarray(as_floats(values), np.float64)
        scaled = np.sign(raw) * np.log1p(np.abs(raw)) if self.scale == "log" else raw
        return np.nan_to_num((scaled - self.mean) / self.deviation, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)

    def rows(self, values: pa.Array, vocabulary: Vocabulary | None) -> np.ndarray:
        """Embedding rows of values, int32: 0 missing, 1 unseen, then one per known value (or hash bucket)."""
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        missing = pc.is_null(values).to_numpy(zero_copy_only=False)
        if self.buckets:
            found = (hashes(values) % np.uint64(self.buckets)).astype(np.int32) + 2
        else:
            assert vocabulary is not None
            codes = vocabulary.encode(values)
            found = np.where(codes < 0, UNSEEN, codes + 2).astype(np.int32)
        return np.where(missing, PADDING, found).astype(np.int32)


def as_floats(values: pa.Array | pa.ChunkedArray | np.ndarray) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values.astype(np.float64)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        distinct = pc.unique(values)  # numbers stored as text: what does not parse is missing
        parsed = np.array([_float(v) for v in distinct.to_pylist()])
        return parsed[pc.index_in(values, distinct).to_numpy(zero_copy_only=False).astype(np.int64)]
    return pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _float(text: str | None) -> float:
    try:
        return float(text) if text is not None else float("nan")
    except ValueError:
        return float("nan")


def split_lists(values: pa.Array, column: Column) -> tuple[np.ndarray, pa.Array]:
    """(offsets int64[n + 1], flat values) of a multi or text column; text is lower-cased and split into words."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if not pa.types.is_list(values.type) and not pa.types.is_large_list(values.type):
        text = values.cast(pa.string())
        if column.type == "text":
            text = pc.utf8_trim(pc.replace_substring_regex(pc.utf8_lower(text), r"[^\p{L}\p{N}]+", " "), " ")
            values = pc.split_pattern(text, " ")
        else:
            values = pc.split_pattern(text, column.split)
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.concatenate([[0], np.cumsum(lengths)]), pc.list_flatten(values)


@njit(cache=True, nogil=True)
def _fnv(data: np.ndarray, offsets: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(out)):
        h = np.uint64(14695981039346656037)
        for j in range(offsets[i], offsets[i + 1]):
            h = (h ^ np.uint64(data[j])) * np.uint64(1099511628211)
        out[i] = h


def hashes(values: pa.Array) -> np.ndarray:
    """FNV-1a of each value's UTF-8 text, mixed, uint64: the same on every machine and in every process."""
    text = pa.concat_arrays([values.cast(pa.string())])  # offsets from 0
    buffers = text.buffers()
    offsets = np.frombuffer(buffers[1], np.int32)[text.offset : text.offset + len(text) + 1].astype(np.int64)
    data = np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.zeros(0, np.uint8)
    out = np.empty(len(text), np.uint64)
    _fnv(data, offsets, out)
    # FNV's low bits are weak for short text; one multiply-shift round spreads them before the modulo
    out ^= out >> np.uint64(33)
    out *= np.uint64(0xFF51AFD7ED558CCD)
    out ^= out >> np.uint64(33)
    return out
