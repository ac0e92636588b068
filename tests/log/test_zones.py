"""Local times: summer time, its gaps and folds, against the zone database of Python."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.log.importer import read
from ethogram.log.zones import instants


def micros(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[us]").astype(np.int64)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
def test_every_half_hour_of_a_year_as_python_says(zone):
    clock = np.arange(micros("2024-01-01")[0], micros("2025-01-01")[0], 1_800_000_000)
    found, gap = instants(clock, zone)
    info = ZoneInfo(zone)
    for local, instant, missing in zip(clock[::7].tolist(), found[::7].tolist(), gap[::7].tolist(), strict=True):
        naive = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=local)
        utc = naive.replace(tzinfo=info, fold=0).astimezone(dt.UTC)
        there = utc.astimezone(info).replace(tzinfo=None) == naive
        assert missing == (not there), naive
        if there:
            assert instant == (utc - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def test_gap_fold_and_midnight():
    texts = ["2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-10-27 02:30:00+01:00", "2024-07-01", "1719828000"]
    events = read({"user": [1] * 5, "item": list(range(5)), "time": texts}, tz="Europe/Berlin")
    assert events.quarantined == {"local time that does not exist": 1}
    when = dict(zip(events.table()["item"].to_pylist(), events.table()["time"].to_pylist(), strict=True))
    assert [when[i].strftime("%d %H:%M") for i in (1, 2, 3, 4)] == ["27 00:30", "27 01:30", "30 22:00", "01 10:00"]
    # midnight of 2018-11-04 does not exist in Sao Paulo: the day begins at one
    day = read({"user": [1], "time": ["2018-11-04"]}, tz="America/Sao_Paulo").table()["time"][0].as_py()
    assert day.strftime("%d %H:%M") == "04 03:00"


def test_typed_columns_and_days():
    naive = pa.array(micros("2024-07-01T12:00"), pa.timestamp("us"))
    zoned = pa.array(micros("2024-07-01T12:00"), pa.timestamp("us", "UTC"))
    hours = [read({"user": [1], "time": t}, tz="Asia/Kolkata").table()["time"][0].as_py().hour for t in (naive, zoned)]
    assert hours == [6, 12]
    days = read({"user": [1, 2], "time": [20240701, 20240702]}, tz="Europe/Berlin").table()["time"].to_pylist()
    assert [d.isoformat()[:16] for d in days] == ["2024-06-30T22:00", "2024-07-01T22:00"]


def test_a_column_names_the_zone_of_each_row():
    rows = {
        "user": [1, 2, 3, 4],
        "time": ["2024-07-01 12:00:00"] * 4,
        "zone": ["Europe/Berlin", "Asia/Tokyo", "Mars/Olympus", None],
    }
    events = read(rows, tz="zone")
    assert [t.hour for t in events.table()["time"].to_pylist()] == [10, 3]
    assert events.quarantined == {"unknown time zone": 2}
    assert events.said["time"].endswith("each in its zone")


def test_a_zone_that_does_not_exist():
    with pytest.raises(OptionError, match=r"no time zone 'Europe/Berln'; write an IANA name"):
        read({"user": [1], "time": [5]}, tz="Europe/Berln")
