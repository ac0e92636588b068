"""Cases as of a decision: what is a leak, what is censored, how they are split."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import LeakError, OptionError, RolesError, StepError
from ethogram.log import Log
from ethogram.log.cases import cases
from ethogram.log.decisions import Decided

DAY = 86_400_000_000


def stamps(days):
    return pa.array([None if d is None else d * DAY for d in days], pa.timestamp("us", "UTC"))


def made(decided=(10, 20, 30), default=(0.0, 1.0, None), **more):
    events = {"user": [1, 1, 2, 2, 3, 4], "item": list("abacab"), "time": stamps([1, 9, 5, 20, 2, 40])}
    users = {"user": [1, 2, 3], "decided": stamps(decided), "default": pa.array(default, pa.float64()), **more}
    return Log.open(pa.table(events), users=pa.table(users))


def test_events_at_or_behind_the_decision_are_refused_with_whose_and_how_to_cut():
    with pytest.raises(LeakError, match=r"1 events .* of 2 \(1\)\. .*leak='cut'"):
        cases(made())
    found = cases(made(), leak="cut")
    assert found.ids.to_pylist() == [1, 2, 3, 4]
    assert (found.stop - found.start).tolist() == [2, 1, 1, 1]
    assert found.cut == 1
    # who is not in the side table is judged behind the last event of the log, and has no outcome
    assert found.decided[3] == 40 * DAY + 1
    np.testing.assert_array_equal(found.label, [0, 1, np.nan, np.nan])
    assert found.known.tolist() == [True, True, False, False]


def test_windows_begin_so_many_days_before_each_decision():
    found = cases(made(decided=(10, 21, 30)))
    assert (found.stop - found.since(5)).tolist() == [1, 1, 0, 1]
    assert (found.stop - found.since(None)).tolist() == [2, 2, 1, 1]


def test_wrong_columns_are_told():
    plain = Log.open(pa.table({"user": [1], "item": ["a"], "time": stamps([1])}))
    with pytest.raises(RolesError, match="no side table of users"):
        cases(plain, needed=True)
    with pytest.raises(RolesError, match="Did you mean 'default'"):
        cases(made(decided=(10, 21, 30)), label="defaulted", needed=True)
    with pytest.raises(OptionError, match=r"label 'default' of 2 is 3; it lies in \[0, 1\]"):
        cases(made(decided=(10, 21, 30), default=(0.0, 3.0, None)))
    with pytest.raises(RolesError, match="'default' is double"):
        cases(made(), decided="default")
    with pytest.raises(RolesError, match="no time"):
        cases(Log.open(pa.table({"user": [1], "item": ["a"], "order": [1]})))


def crowd(n=100):
    day = np.arange(n)
    events = pa.table({"user": day, "item": ["a"] * n, "time": stamps((day - 1).tolist())})
    users = {"user": day, "decided": stamps(day.tolist()), "known": stamps((day + 10).tolist()), "default": day % 2.0}
    return Log.open(events, users=pa.table(users))


def test_the_latest_decided_judge_and_what_was_known_too_late_does_not_train():
    cut = crowd().split("by-decision", valid=0.1, test=0.2)
    train, valid, test = (set(part.table()["user"].to_pylist()) for part in (cut.train, cut.valid, cut.test))
    assert train == set(range(61))
    assert valid == set(range(61, 80))
    assert test == set(range(80, 100))
    assert cases(cut.train).late == 0
    # decided on days 70 to 79: known on days 80 to 89, when the test has begun
    found = cases(cut.valid)
    assert found.late == 10
    assert np.isnan(found.label[-10:]).all()
    assert found.known[:-10].all()
    assert cases(cut.test).known.all()


def test_the_step_is_a_step_like_others():
    cut = crowd().split("by-decision", valid=0.1, test=0.2)
    step = cut.test.steps[-1]
    assert isinstance(step, Decided)
    assert pickle.loads(pickle.dumps(step)) == step
    assert hash(step) == hash(crowd().split("by-decision", valid=0.1, test=0.2).test.steps[-1])
    assert cut.test.before() is not None
    assert cut.test.before().fingerprint() == cut.log.fingerprint()
    by_engine, by_kernel = cut.test.table(), cut.test.sequences()
    assert by_engine["event"].to_pylist() == np.asarray(by_kernel.columns["event"]).tolist()
    with pytest.raises(StepError, match="needs 3"):
        made().where("user == 1").split("by-decision")
    with pytest.raises(RolesError, match="no column 'decided'"):
        Log.open(pa.table({"user": [1], "item": ["a"], "time": stamps([1])})).split("by-decision")
