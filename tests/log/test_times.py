"""Instants from every form that a source may give them, checked against Python's own datetime."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.log import times

UTC = dt.UTC
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def parse(values, kind=None):
    return times.parse(pa.chunked_array([pa.array(values, kind)]))


NEW_YEAR = micros(dt.datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-01-01", dt.datetime(2020, 1, 1, tzinfo=UTC)),
        ("2020/01/31", dt.datetime(2020, 1, 31, tzinfo=UTC)),
        ("2020-02-29 05:06", dt.datetime(2020, 2, 29, 5, 6, tzinfo=UTC)),
        ("2020-01-01T05:06:07", dt.datetime(2020, 1, 1, 5, 6, 7, tzinfo=UTC)),
        ("2020-01-01T05:06:07.25", dt.datetime(2020, 1, 1, 5, 6, 7, 250_000, tzinfo=UTC)),
        ("2020-01-01 05:06:07.123456789", dt.datetime(2020, 1, 1, 5, 6, 7, 123_456, tzinfo=UTC)),
        ("2020-01-01T05:06:07Z", dt.datetime(2020, 1, 1, 5, 6, 7, tzinfo=UTC)),
        ("2020-01-01 05:06:07+02:00", dt.datetime(2020, 1, 1, 3, 6, 7, tzinfo=UTC)),
        ("2020-01-01 05:06:07-0330", dt.datetime(2020, 1, 1, 8, 36, 7, tzinfo=UTC)),
        ("2020-01-01 05:06:07 UTC", dt.datetime(2020, 1, 1, 5, 6, 7, tzinfo=UTC)),
        ("1577836800", dt.datetime(2020, 1, 1, tzinfo=UTC)),
        ("1577836800.5", dt.datetime(2020, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("1577836800000", dt.datetime(2020, 1, 1, tzinfo=UTC)),
        ("1.5778368e9", dt.datetime(2020, 1, 1, tzinfo=UTC)),
        ("20200131", dt.datetime(2020, 1, 31, tzinfo=UTC)),
        ("1900-02-28", dt.datetime(1900, 2, 28, tzinfo=UTC)),
    ],
)
def test_text_alone_and_beside_other_forms(text, moment):
    alone = parse([text])
    assert alone.time.tolist() == [micros(moment)]
    assert alone.unparsable is None
    if not text[:4].isdigit() or "-" in text or "/" in text:
        mixed = parse([text, "1577836800", None, "2020-01-01T00:00:00Z", "2020-01-01"])
        assert mixed.time.tolist() == [micros(moment), NEW_YEAR, 0, NEW_YEAR, NEW_YEAR]
        assert mixed.unparsable is None
        assert mixed.missing.tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(
    "text",
    [
        *("yesterday", "2019-02-29", "1900-02-29", "2020-04-31", "2020-13-01", "2020-01-01 25:00", "01/02/2020"),
        *("nan", "inf", "2020-1-1", "--", "12:30", "9" * 30),
    ],
)
def test_what_is_no_instant_is_named_row_by_row(text):
    found = parse(["2020-01-01", text, "2020-01-02T03:04:05+01:00"])
    assert found.unparsable.tolist() == [False, True, False]
    assert found.time[0] == NEW_YEAR


@pytest.mark.parametrize(
    ("unit", "factor", "said"),
    [("s", 1, "seconds"), ("ms", 10**3, "milliseconds"), ("us", 10**6, "microseconds"), ("ns", 10**9, "nanoseconds")],
)
def test_the_unit_of_counts_is_told_by_their_size(unit, factor, said):
    seconds = np.array([1_577_836_800, 1_577_836_801, 915_148_800])
    found = parse(seconds * factor)
    assert found.time.tolist() == (seconds * 1_000_000).tolist()
    assert found.other_unit is None
    assert found.said == f"unix {said}"
    typed = parse(seconds * factor, pa.timestamp(unit))
    assert typed.time.tolist() == found.time.tolist()


def test_the_minority_of_another_magnitude_is_set_aside():
    found = parse([1_577_836_800_000, 1_577_836_800_001, 1_577_836_800, 1_577_836_800_002])
    assert found.other_unit.tolist() == [False, False, True, False]
    assert found.time[[0, 1, 3]].tolist() == [NEW_YEAR, NEW_YEAR + 1000, NEW_YEAR + 2000]


def test_small_counts_are_seconds_of_one_unit():
    assert parse([0, 5, 86_400]).time.tolist() == [0, 5_000_000, 86_400_000_000]
    assert parse([0.0, 0.5]).time.tolist() == [0, 500_000]
    assert parse([-1, 3]).time.tolist() == [-1_000_000, 3_000_000]


def test_days_written_as_numbers():
    found = parse([19_970_101, 19_961_231, 19_970_230] + [19_970_102] * 20)
    assert found.said == "days written as YYYYMMDD"
    assert found.unparsable.tolist() == [False, False, True] + [False] * 20
    assert found.time[1] == micros(dt.datetime(1996, 12, 31, tzinfo=UTC))


def test_numbers_that_are_none():
    found = parse([1e9, float("nan"), float("inf"), None])
    assert found.unparsable.tolist() == [False, True, True, False]
    assert found.missing.tolist() == [False, False, False, True]


def test_typed_dates_and_zones():
    day = dt.date(2020, 3, 1)
    want = micros(dt.datetime(2020, 3, 1, tzinfo=UTC))
    assert parse([day], pa.date32()).time.tolist() == [want]
    assert parse([day], pa.date64()).time.tolist() == [want]
    zoned = pa.array([want], pa.timestamp("us", "Europe/Berlin"))
    assert times.parse(pa.chunked_array([zoned])).time.tolist() == [want]


def test_what_cannot_be_a_time_at_all():
    assert parse([[1], [2]]).unparsable.all()
    assert parse([True, False]).unparsable.all()


moments = st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2200, 1, 1))
zones = st.integers(-14 * 60, 14 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(moments, st.one_of(st.none(), zones), st.sampled_from("T ")), min_size=1, max_size=8))
def test_iso_text_is_what_python_reads(drawn):
    """Naive is UTC; zones of half hours and years before 1970 included."""
    said, want = [], []
    for moment, zone, between in drawn:
        said.append(moment.replace(tzinfo=zone).isoformat(between))
        want.append(micros(moment.replace(tzinfo=zone or UTC)))
    found = parse(said)
    assert found.unparsable is None
    assert found.time.tolist() == want


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=8))
def test_any_text_is_read_or_named(texts):
    found = parse(texts)
    bad = np.zeros(len(texts), bool) if found.unparsable is None else found.unparsable
    assert len(found.time) == len(texts)
    for text, wrong in zip(texts, bad, strict=True):
        if not any(c.isdigit() for c in text):
            assert wrong
