"""Typed columns from raw ones: the cast of a whole column at once; only where it fails, which rows are to blame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$"
_NOT_FINITE = r"^[+-]?(?i:nan|inf|infinity)$"
_TRUE, _FALSE = r"^(?i:true)$", r"^(?i:false)$"
_WHOLE = r"^-?\d{1,18}$"


class Typed(NamedTuple):
    """A column and, as bool[N] or None for no row, what is wrong with it."""

    values: pa.Array | pa.ChunkedArray
    missing: np.ndarray | None
    wrong: np.ndarray | None
    infinite: np.ndarray | None = None
    "Not a number, or infinite."


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without dictionaries, views and null types, so that there is one type of text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_binary_view(kind):
        return column.cast(pa.binary())
    if pa.types.is_large_string(kind):
        try:
            return column.cast(pa.string())
        except pa.ArrowInvalid:  # a chunk of more than 2 GB
            return column
    return column


def is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def mask(column: pa.ChunkedArray) -> np.ndarray | None:
    """bool[N]: where a column is null; None if nowhere."""
    return column.is_null().to_numpy() if column.null_count else None


def matches(column: pa.ChunkedArray, form: str) -> np.ndarray:
    """bool[N]: where text has the form of a regular expression."""
    return pc.fill_null(pc.match_substring_regex(column, form), False).to_numpy().astype(bool)


def some(rows: np.ndarray) -> np.ndarray | None:
    return rows if rows.any() else None


def numbers(column: pa.ChunkedArray) -> Typed:
    """As float64; text that is no number is wrong, NaN in anything but a pandas frame is infinite."""
    column = plain(column)
    missing = mask(column)
    kind = column.type
    odd: np.ndarray | None = None
    if is_text(kind):
        try:
            column = column.cast(pa.float64())
        except pa.ArrowInvalid:
            text = pc.utf8_trim_whitespace(column)
            for word, digit in ((_TRUE, "1"), (_FALSE, "0")):
                text = pc.replace_substring_regex(text, word, digit)
            odd = matches(text, _NOT_FINITE)
            wrong = ~(matches(text, _NUMBER) | odd)
            wrong = wrong if missing is None else wrong & ~missing
            clean = pc.if_else(pa.array(wrong | odd), None, text)
            return Typed(clean.cast(pa.float64()), missing, some(wrong), some(odd))
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.int8()).cast(pa.float64())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64(), safe=False)
    else:
        return Typed(pa.nulls(len(column), pa.float64()), missing, np.ones(len(column), bool))
    finite = pc.is_finite(column)
    if pc.min(finite).as_py() is False:
        odd = pc.fill_null(pc.invert(finite), False).to_numpy().astype(bool)
    return Typed(column, missing, None, odd)


def wholes(column: pa.ChunkedArray) -> Typed:
    """As int64; fractions, text and what does not fit are wrong."""
    column = plain(column)
    missing = mask(column)
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    try:
        if is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return Typed(column.cast(pa.int64()), missing, None)
    except pa.ArrowInvalid:
        pass
    if is_text(kind):
        text = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"\.0*$", "")
        wrong = ~matches(text, _WHOLE)
    elif pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        real = pc.fill_null(column.cast(pa.float64(), safe=False), 0.0).to_numpy()
        wrong = ~(np.isfinite(real) & (np.floor(real) == real) & (np.abs(real) < 2.0**63))
        text = column
    else:
        wrong, text = np.ones(len(column), bool), pa.chunked_array([pa.nulls(len(column), pa.int64())])
    if missing is not None:
        wrong = wrong & ~missing
    return Typed(pc.if_else(pa.array(wrong), None, text).cast(pa.int64()), missing, some(wrong))


def sound(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, np.ndarray | None]:
    """(text with what is no UTF-8 made null, rows where that was): files may claim to hold text that is none."""
    large = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    raw, text = (pa.large_binary(), pa.large_string()) if large else (pa.binary(), pa.string())
    try:
        return column.cast(raw).cast(text), None
    except pa.ArrowInvalid:
        unsound = np.zeros(len(column), bool)
        values = column.cast(raw).to_pylist()
        for i, value in enumerate(values):
            try:
                _ = value is None or value.decode()
            except UnicodeDecodeError:
                unsound[i], values[i] = True, None
        return pa.chunked_array([pa.array(values, raw).cast(text)]), unsound


def split(column: pa.ChunkedArray, numeric: bool) -> pa.ChunkedArray:
    """Space-separated text as lists of text or of float64."""
    lists = pc.split_pattern(column, " ")
    return lists.cast(pa.list_(pa.float64())) if numeric else lists


def ids(column: pa.ChunkedArray, to: pa.DataType | None = None) -> Typed:
    """Ids as int64 where all are whole numbers, else as text; empty text is missing.

    Parameters
    ----------
    to : the type that an existing vocabulary asks for; ids that have no such form are wrong.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_integer(kind) and to in (None, pa.int64()):
        try:
            return Typed(column.cast(pa.int64()), mask(column), None)
        except pa.ArrowInvalid:
            column = column.cast(pa.string())
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
    if pa.types.is_floating(kind) or (to == pa.int64() and not pa.types.is_integer(kind)):
        found = wholes(column)
        if to == pa.int64() or (to is None and found.wrong is None):
            return found
        if found.wrong is None:
            return found._replace(values=found.values.cast(pa.string()))
        column = column.cast(pa.string())
    if is_text(column.type):
        return _text_ids(column, to)
    try:
        return Typed(column.cast(pa.string()), mask(column), None)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return Typed(pa.nulls(len(column), to or pa.string()), mask(column), np.ones(len(column), bool))


def _text_ids(column: pa.ChunkedArray, to: pa.DataType | None) -> Typed:
    if pc.any(pc.equal(column, "")).as_py():
        column = pc.if_else(pc.equal(column, ""), None, column)
    return Typed(column, mask(column), None)


def whole_text(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Text as int64 if each value is the usual spelling of a whole number (05 and +5 are names), else None."""
    try:
        found = column.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    padded = pc.or_(
        pc.and_(pc.starts_with(column, "0"), pc.greater(pc.binary_length(column), 1)), pc.starts_with(column, "-0")
    )
    return None if pc.any(padded).as_py() else found


def form(column: pa.ChunkedArray) -> int:
    """What `inferred` makes of a text column: 0 nothing (all null), 1 whole numbers, 2 numbers, 3 text.

    The form of a column is the greatest of the forms of its blocks.
    """
    if column.null_count == len(column):
        return 0
    found = inferred(column).type
    return 1 if pa.types.is_integer(found) else 2 if pa.types.is_floating(found) else 3


def inferred(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A text column as whole numbers or numbers if all its values are such, else as it is."""
    if column.null_count == len(column):
        return column
    found = whole_text(column)
    if found is not None:
        return found
    if pc.any(pc.match_substring_regex(column, r"^[+-]?0\d")).as_py():
        return column
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        return column
