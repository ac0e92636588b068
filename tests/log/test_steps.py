"""Every step gives the same events as a kernel, on DuckDB and on Polars, and as plain Python says."""

import datetime as dt
import pickle
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from tests.log.random_events import events

from ethogram.errors import OptionError, StepError
from ethogram.log import Log

STEPS = {
    "where number": lambda log: log.where("value >= 3.1"),
    "where text and time": lambda log: log.where("kind in ('view', 'buy') and not time < '2017-07-14T08:00:00'"),
    "where missing": lambda log: log.where("merchant is not None or value > 4"),
    "core": lambda log: log.core(18, 22),
    "until": lambda log: log.until("2017-07-14T12:00:00"),
    "sessions": lambda log: log.sessions("30m"),
    "fold": lambda log: log.fold("merchant"),
    "fold item": lambda log: log.fold("item"),
    "stored order": lambda log: log.ties("order"),
    "temporal": lambda log: log.split("temporal").valid,
    "last train": lambda log: log.split("leave-last-out").train,
    "last valid": lambda log: log.split("leave-last-out").valid,
    "last test": lambda log: log.split("leave-last-out").test,
    "last test in stored order": lambda log: log.ties("order").split("leave-last-out").test,
    "by user": lambda log: log.split("by-user", valid=0.2, test=0.3, seed=3).test,
    "chain": lambda log: log.where("value > 2").core(5, 5).sessions("1h").until("2017-07-14T15:00:00").fold("kind"),
    "where on a step's column": lambda log: log.sessions("20m").where("session >= 1"),
}


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
@pytest.mark.parametrize("name", STEPS)
def test_engine_and_kernel_agree(name, engine):
    log = STEPS[name](Log.open(events(), engine=engine))
    table, rows = log.table(), log.rows()
    assert table.num_rows == len(rows) > 0
    order = np.argsort(np.asarray(rows.columns["event"]))
    by_event = table.sort_by("event")
    np.testing.assert_array_equal(by_event.column("event").to_numpy(), np.asarray(rows.columns["event"])[order])
    np.testing.assert_array_equal(by_event.column("user_code").to_numpy(), rows.user[order])
    for added in ("session", "fold", "order"):
        if added in rows.columns:
            expected = by_event.column(added).fill_null(-1).to_numpy()
            np.testing.assert_array_equal(np.asarray(rows.columns[added])[order], expected)


def rows_of(log):
    names = ["user", "item", "time", "value", "kind", "merchant", "event"]
    return list(zip(*(log.table().column(n).to_pylist() for n in names), strict=True))


def test_core_reaches_the_fixed_point():
    kept = rows_of(Log.open(events()).core(18, 22))
    assert min(Counter(r[0] for r in kept).values()) >= 18
    assert min(Counter(r[1] for r in kept).values()) >= 22
    left = rows_of(Log.open(events()))
    while True:  # plain Python
        users, items = Counter(r[0] for r in left), Counter(r[1] for r in left)
        again = [r for r in left if users[r[0]] >= 18 and items[r[1]] >= 22]
        if len(again) == len(left):
            break
        left = again
    assert sorted(r[-1] for r in kept) == sorted(r[-1] for r in left)


def test_sessions_by_hand():
    table = pa.table({"user": ["a"] * 5 + ["b"], "item": range(6), "time": [0, 1799, 3599, 5400, 5400, 9]})
    assert Log.open(table).sessions("30m").rows().columns["session"].tolist() == [0, 0, 0, 1, 1, 0]


def test_fold_by_hand():
    table = pa.table(
        {"user": ["a"] * 6, "item": range(6), "time": [1, 1, 2, 3, 3, 4], "shop": ["z", "b", "z", "c", "b", None]}
    )
    assert Log.open(table).fold("shop").rows().columns["fold"].tolist() == [1, 0, 1, 2, 0, -1]


def test_a_log_is_a_value():
    log = Log.open(events()).where("value > 2").sessions("1h")
    twin = pickle.loads(pickle.dumps(log))
    assert twin == log
    assert hash(twin) == hash(log)
    assert twin.fingerprint() == log.fingerprint()
    assert twin.table().equals(log.table())
    assert log.fingerprint() != Log.open(events()).where("value > 3").sessions("1h").fingerprint()
    assert Log.open(events()).fingerprint() != Log.open(events(seed=1)).fingerprint()


def test_until_is_strict_and_reads_datetimes():
    log = Log.open(pa.table({"user": [1, 1, 1], "item": [1, 2, 3], "time": [10, 20, 30]}))
    cut = dt.datetime(1970, 1, 1, 0, 0, 20, tzinfo=dt.UTC)
    assert log.until(cut).table().column("item").to_pylist() == [1]


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        (lambda log: log.where("valeu > 3").table(), StepError, "Did you mean 'value'"),
        (lambda log: log.where("value >"), StepError, "not a condition"),
        (lambda log: log.where("__import__('os')").table(), StepError, "cannot read"),
        (lambda log: log.fold("shop").rows(), StepError, "no column 'shop'"),
        (lambda log: log.sessions("soon"), StepError, "not a length of time"),
        (lambda log: log.split("temporl"), OptionError, "Did you mean 'temporal'"),
        (lambda log: log.split("temporal", test=1.5), OptionError, "must lie in"),
        (lambda log: log.ties("rows"), OptionError, "neither"),
        (lambda log: log.until("yesterday"), StepError, "not an instant"),
        (lambda log: log.questions("slates"), StepError, "no event carries a label"),
    ],
)
def test_bad_input_is_told(bad, error, says):
    with pytest.raises(error, match=says):
        bad(Log.open(events()))


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
@pytest.mark.parametrize("protocol", ["temporal", "leave-last-out", "by-user"])
def test_parts_of_a_stored_log_as_tables(tmp_path, engine, protocol):
    """Blocks on the disk, scanned by the engine, and the arrays beside them say the same of every part."""
    table = events()
    stored = Log.open(table.slice(0, 400)).write(tmp_path / "log").append(table.slice(400))
    stored = Log.open(stored.source.path, engine)
    held = Log.open(table)
    for name in ("train", "valid", "test"):
        part, other = (getattr(log.split(protocol), name) for log in (stored, held))
        found = part.table()
        assert found.num_rows == len(part.rows()) > 0
        np.testing.assert_array_equal(found["event"].to_numpy(), part.rows().columns["event"])
        if protocol != "by-user":  # codes decide there, and these come in the order of the appends
            assert sorted(found["event"].to_pylist()) == sorted(other.table()["event"].to_pylist())
        assert found.column_names == held.table().column_names


def test_conditions_take_the_names_of_the_source():
    rows = pa.table({"who": [1, 1, 2], "film": [5, 6, 5], "when": [1, 2, 3], "stars": [2.0, 4.0, 5.0]})
    log = Log.open(rows, user="who", item="film", time="when", value="stars")
    assert log.where("stars >= 4").table().column("value").to_pylist() == [4.0, 5.0]
    assert log.where("stars >= 4").fingerprint() == log.where("value >= 4").fingerprint()


def test_a_role_wins_over_a_column_of_its_name():
    rows = pa.table(
        {"user": [1, 1, 2], "item": [5, 6, 5], "t": [1, 2, 3], "value": [0.0, 1.0, 1.0], "w": [9.0, 8.0, 7.0]}
    )
    log = Log.open(rows, time="t", label="value", value="w")
    assert log.where("value >= 8").table().column("label").to_pylist() == [0.0, 1.0]
