"""Instants from whatever a source calls time: ISO text, dates, counts of seconds to nanoseconds since 1970."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.log import kernels

FORMS = "Times are ISO text (2020-01-31 or 2020-01-31 12:30:00+01:00), counts since 1970, or days like 20200131."
UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
DAYS = -1
_FROM = (1e11, 1e14, 1e17)
"""Counts from here on are of the next unit: 1e11 seconds is the year 5138, 1e11 milliseconds is March 1973."""

_DAY = (
    r"(?:\d{4}[-/](?:(?:0[13578]|1[02])[-/](?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)[-/](?:0[1-9]|[12]\d|30)"
    r"|02[-/](?:0[1-9]|1\d|2[0-8]))|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)[-/]02[-/]29)"
)
_CLOCK = r"(?:[T ](?:[01]\d|2[0-3])(?::[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?)?)"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-](?:0\d|1\d|2[0-3])(?::?[0-5]\d)?))"
_NAIVE = f"^{_DAY}{_CLOCK}?$"
_ZONED = f"^{_DAY}{_CLOCK}{_ZONE}$"
_COUNT = r"^[+-]?\d{1,18}(?:\.\d*)?(?:[eE]\+?\d{1,2})?$"


class Times(NamedTuple):
    """time int64[N] microseconds since 1970 UTC (0 where there is none) and, as bool[N] or None, what is wrong."""

    time: np.ndarray
    missing: np.ndarray | None
    unparsable: np.ndarray | None
    other_unit: np.ndarray | None
    said: str
    "What the column was taken for, for example `unix seconds`."
    factor: int = 1
    "Microseconds in one of `time`; more than 1 only where `counts` leaves a column as it is."
    local: np.ndarray | None = None
    "bool[N]: rows without a zone, whose clock reads as told."
    unit: int | None = None
    "What counts were taken for: place in `UNITS`, or `DAYS`."


def parse(column: pa.ChunkedArray, unit: int | None = None) -> Times:
    """Read a column as instants, in microseconds; see `counts`."""
    found = counts(column, unit)
    return found if found.factor == 1 else found._replace(time=found.time * found.factor, factor=1)


def counts(column: pa.ChunkedArray, unit: int | None = None) -> Times:
    """Read a column as instants, in units of `factor` microseconds: long columns are multiplied when they are moved.

    Timestamps without a zone are read as UTC and marked `local` (see `zones`). Counts are seconds, milliseconds,
    microseconds or nanoseconds since 1970: one unit for the column, told by the magnitude of its median; counts of
    another magnitude are reported in `other_unit`. Whole numbers that are all calendar days (19970131) are days. Text
    may mix ISO and counts.

    Parameters
    ----------
    unit : what counts are known to be from rows that were read before; place in `UNITS`, or `DAYS`.
    """
    column = _decoded(column)
    missing = column.is_null().to_numpy() if column.null_count else None
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        local = None if zoned else np.ones(len(column), bool)
        return Times(_microseconds(column), missing, None, None, str(kind), local=local)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _text(column, missing, unit)
    if pa.types.is_integer(kind):
        if kind == pa.uint64():
            column = column.cast(pa.int64(), safe=False)
        return _counts(_filled(column.cast(pa.int64())), missing, unit)._replace(missing=missing)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = _filled(column.cast(pa.float64()))
        huge = ~np.isfinite(values) | (np.abs(values) > 9e18)
        found = _counts(np.where(huge, 0.0, values), huge if missing is None else missing | huge, unit)
        bad = huge if found.unparsable is None else found.unparsable | huge
        return found._replace(missing=missing, unparsable=bad if bad.any() else None)
    everything = np.ones(len(column), bool)
    return Times(np.zeros(len(column), np.int64), missing, everything, None, str(kind))


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    return column


def _filled(column: pa.ChunkedArray) -> np.ndarray:
    return (pc.fill_null(column, 0) if column.null_count else column).to_numpy()


def _microseconds(column: pa.ChunkedArray) -> np.ndarray:
    """A typed column as microseconds; finer fractions are cut."""
    if pa.types.is_date32(column.type):
        return _filled(column.cast(pa.int32())).astype(np.int64) * 86_400_000_000
    unit = "ms" if pa.types.is_date64(column.type) else column.type.unit
    counts = _filled(column.cast(pa.int64()))
    if unit == "ns":
        return counts // 1000
    return counts * {"s": 1_000_000, "ms": 1000, "us": 1}[unit]


def _counts(values: np.ndarray, skip: np.ndarray | None, unit: int | None = None) -> Times:
    """Counts as instants; `skip` are rows that hold none.

    Whole numbers come back as they are, with a factor, where they are not finer than microseconds.
    """
    asked = values if skip is None else values[~skip]
    if not len(asked):
        return Times(np.zeros(len(values), np.int64), None, None, None, f"unix {UNITS[unit or 0]}", unit=unit)
    if unit is None:
        median = float(np.median(np.abs(asked[:: max(1, len(asked) // 100_001)].astype(np.float64))))
        calendar = 18_000_101 <= median <= 22_001_231
        unit = DAYS if calendar and _days(values, skip) is not None else int(_unit(np.array([median]))[0])
    if unit == DAYS:
        time, bad = _days(values, skip, most=1.0) or (np.zeros(len(values), np.int64), np.ones(len(values), bool))
        local = np.ones(len(values), bool)
        return Times(time, None, bad, None, "days written as YYYYMMDD", local=local, unit=DAYS)
    other = None
    ends = kernels.span(asked) if asked.dtype.kind == "i" else (asked.min(), asked.max())
    least, most = _unit(np.abs(np.array(ends, np.float64)))
    if least != unit or most != unit:
        other = _unit(np.abs(values.astype(np.float64))) != unit
        if skip is not None:
            other &= ~skip
        values = np.where(other, 0, values)
    factor = 1
    if values.dtype.kind == "f":
        values = np.rint(values * (1e6, 1e3, 1.0, 1e-3)[unit]).astype(np.int64)
    elif unit == 3:
        values = values // 1000
    else:
        factor = (1_000_000, 1000, 1)[unit]
    wrong = other if other is not None and other.any() else None
    return Times(values, None, None, wrong, f"unix {UNITS[unit]}", factor, unit=unit)


def _unit(magnitudes: np.ndarray) -> np.ndarray:
    """Place in UNITS of what counts of these magnitudes count."""
    return np.searchsorted(_FROM, magnitudes, side="right")


def _days(
    values: np.ndarray, skip: np.ndarray | None, most: float = 0.1
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """(midnights UTC of whole numbers like 19970131, rows that are no calendar day); None if more than `most` are."""
    whole = values.astype(np.int64)
    year, month, day = whole // 10_000, whole // 100 % 100, whole % 100
    fine = (whole == values) & (year >= 1800) & (year <= 2200) & (month >= 1) & (month <= 12) & (day >= 1)
    first = np.where(fine, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    start = first.astype("datetime64[D]")
    length = ((first + 1).astype("datetime64[D]") - start).astype(np.int64)
    fine &= day <= length
    bad = ~fine if skip is None else ~fine & ~skip
    if bad.sum() > most * (len(values) - (0 if skip is None else skip.sum())):
        return None
    days = start.astype(np.int64) + np.where(fine, day, 1) - 1
    return days * 86_400_000_000, bad if bad.any() else None


def _text(column: pa.ChunkedArray, missing: np.ndarray | None, unit: int | None) -> Times:
    """Text: the whole column at once where it is uniform, else by form of each value."""
    for to in (pa.int64(), pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.float64()):
        try:
            parsed = column.cast(to)
        except pa.ArrowInvalid:
            continue
        if pa.types.is_floating(to):
            values = _filled(parsed)
            if not np.isfinite(values).all():
                break
        return parse(parsed, unit)._replace(missing=missing)
    n = len(column)
    trimmed = pc.utf8_trim_whitespace(column)
    time = np.zeros(n, np.int64)
    known = np.zeros(n, bool) if missing is None else missing.copy()
    local = np.zeros(n, bool)
    said = []
    for form, zone in ((_NAIVE, None), (_ZONED, "UTC")):
        rows = _matches(trimmed, form)
        if rows.any():
            values = pc.replace_substring(trimmed.filter(pa.array(rows)), "/", "-")
            values = pc.replace_substring_regex(values, r"(\.\d{6})\d+", r"\1")
            if zone:
                values = pc.replace_substring_regex(values, r" ?(UTC|GMT)$", "Z")
                values = pc.replace_substring_regex(values, r" ([+-])", r"\1")
            time[rows] = _microseconds(values.cast(pa.timestamp("us", zone)))
            known |= rows
            if not zone:
                local |= rows
            said.append("ISO text with zone" if zone else "ISO text")
    rows = _matches(trimmed, _COUNT)
    other = None
    if rows.any():
        numbers = pc.replace_substring_regex(trimmed.filter(pa.array(rows)), r"^\+|\.0*$", "")
        try:
            values = numbers.cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            values = numbers.cast(pa.float64()).to_numpy()
        huge = np.abs(values) > 9e18
        found = _counts(np.where(huge, 0, values), huge if huge.any() else None, unit)
        time[rows] = found.time * found.factor
        unit = found.unit
        if found.other_unit is not None:
            other = np.zeros(n, bool)
            other[rows] = found.other_unit
        if found.local is not None:
            local[rows] = True
        rows[rows] = ~huge if found.unparsable is None else ~(huge | found.unparsable)
        known |= rows
        said.append(found.said)
    told = " and ".join(said) or "text"
    return Times(time, missing, None if known.all() else ~known, other, told, local=local, unit=unit)


def _matches(column: pa.ChunkedArray, form: str) -> np.ndarray:
    return pc.fill_null(pc.match_substring_regex(column, form), False).to_numpy().astype(bool)
