"""Cases joined to what is known of them, and the judgement of a window against its parts."""

import numpy as np
import pyarrow as pa
import pytest
from tests.risky import LenderShare, payments

from ethogram.errors import OptionError
from ethogram.evaluate import classification
from ethogram.evaluate.risk import cases_of, judge, threshold_at
from ethogram.evaluate.risk.cases import NEVER
from ethogram.evaluate.risk.timeline import timeline, timelines
from ethogram.log import Log


@pytest.fixture(scope="module")
def log():
    return payments(500, seed=4)


@pytest.fixture(scope="module")
def cases(log):
    return cases_of(log, LenderShare().fit(payments(300, seed=5)).assess(log))


def windows(cases):
    early = cases.time < np.median(cases.time)
    return cases.take(early), cases.take(~early)


def test_cases_know_what_the_log_knows(log, cases):
    told = {r["user"]: r for r in log.users.to_pylist()}
    for n in (0, 17, 250):
        row = told[cases.users[n].as_py()]
        assert cases.money[n] == row["loan"]
        assert cases.group[n].as_py() == row["group"]
        assert cases.time[n] == row["decided"].timestamp() * 1e6
        assert np.isnan(cases.label[n]) if row["default"] is None else cases.label[n] == row["default"]
        assert (cases.known[n] == NEVER) == (row["default"] is None)
    assert (cases.outcome, cases.money_is) == ("default", "column loan of the users")
    assert set(cases.features) == {"loan", "age", "group"}  # never the outcome, nor when it was known


def test_numbers_with_many_values_are_grouped_by_quarters(log, cases):
    found = cases_of(log, cases.table, group="age").group.to_pylist()
    ages = np.array(log.users["age"].to_pylist(), float)
    told = dict(zip(log.users["user"].to_pylist(), ages, strict=True))
    first, second, third = np.quantile(ages, (0.25, 0.5, 0.75), method="lower")
    for user, group in zip(cases.users.to_pylist(), found, strict=True):
        age = told[user]
        expected = (
            f"age to {first:g}" if age <= first else f"age above {first:g} to {second:g}" if age <= second
            else f"age above {second:g} to {third:g}" if age <= third else f"age above {third:g}"
        )  # fmt: skip
        assert group == expected
    few = log.users.append_column("children", pa.array(np.arange(len(log.users)) % 3))
    other = Log.open(log.table().select(["user", "item", "time", "value"]), users=few)
    assert set(cases_of(other, cases.table, group="children").group.to_pylist()) == {"0", "1", "2"}


def test_money_from_events_where_no_column_tells(log):
    bare = Log.open(log.table().select(["user", "item", "time", "value"]))
    found = cases_of(bare, pa.table({"user": ["u0001", "stranger", "u0003"], "risk": [0.1, 0.2, 0.3]}))
    value = bare.table().to_pandas().groupby("user")["value"].sum()
    assert found.money == pytest.approx([value["u0001"], 0.0, value["u0003"]], rel=1e-5)
    assert found.money_is == "values of the user's events"
    assert (found.outcome, found.time, found.group, found.labelled) == (None, None, None, False)


def test_sessions_are_cases_with_their_own_label_and_money():
    table = pa.table(
        {
            "user": ["a", "a", "a", "b", "b"],
            "session": ["s1", "s1", "s2", "s1", "s1"],
            "item": ["x", "pay", "pay", "x", "pay"],
            "time": [1, 2, 5, 1, 2],
            "value": [None, 30.0, 70.0, None, 5.0],
            "label": [None, 1.0, 0.0, None, None],
            "device": [None, "ios", "web", None, "ios"],
            "speed": [1.0, None, 3.0, None, None],
        }
    )
    judged = pa.table({"user": ["b", "a", "a"], "session": ["s1", "s2", "s1"], "risk": [0.5, 0.1, 0.9]})
    found = cases_of(Log.open(table), judged)
    assert found.money.tolist() == [5, 70, 30]
    assert found.label[1:].tolist() == [0, 1]
    assert np.isnan(found.label[0])
    assert found.outcome == "label of the session's events"
    assert found.time.tolist() == [2_000_000, 5_000_000, 2_000_000]
    assert found.features["device"].to_pylist() == ["ios", "web", "ios"]
    assert found.features["speed"].to_pylist() == [None, 3.0, 1.0]


def test_what_is_no_risk_or_no_column_is_told(log):
    one = pa.table({"user": ["u0001"], "risk": [0.5]})
    for table, said in (
        (one.drop_columns(["risk"]), "no column 'risk'"),
        (pa.table({"user": ["u0001"], "risk": [1.2]}), "risk 1.2 of user 'u0001'"),
        (pa.table({"user": ["u0001"], "risk": [float("nan")]}), "risk nan"),
    ):
        with pytest.raises(OptionError, match=said):
            cases_of(log, table)
    with pytest.raises(OptionError, match=r"outcome 'defalt': no such column.*Did you mean 'default'"):
        cases_of(log, one, outcome="defalt")
    with pytest.raises(OptionError, match="column 'age' holds more than 0"):
        cases_of(log, one, outcome="age")
    with pytest.raises(OptionError, match="money 'group': the column holds no numbers"):
        cases_of(log, one, money="group")


def test_a_judgement_is_made_of_its_parts(cases):
    valid, test = windows(cases)
    told = judge(valid, test, approve=0.8, resamples=100)
    assert told.threshold == threshold_at(valid.risk, 0.8)
    assert told.test.rate.value == pytest.approx(np.mean(test.risk <= told.threshold))
    known = ~np.isnan(test.label)
    weights = test.weights()
    assert 0 < weights.unknown == (~known).sum()
    assert told.metrics["auc"].value == classification.auc(test.label[known], test.risk[known], weights.weight[known])
    assert told.plain["auc"] == classification.auc(test.label[known], test.risk[known])
    for name in ("auc", "pr_auc", "ks", "brier", "recall"):
        value = told.metrics[name]
        assert value.low <= value.value <= value.high or name == "ks", name  # the largest gap is biased upwards
    assert told.chosen_cost >= told.cheapest.cost
    assert told.drift["feature"].to_pylist()[0] == "risk"
    assert set(told.drift["feature"].to_pylist()) == {"risk", "loan", "age", "group"}
    assert "no outcome yet" in told.notes[0]
    assert "weighted" in told.notes[0]
    again = judge(valid, test, approve=0.8, resamples=100)
    assert repr(again.metrics) == repr(told.metrics)


def test_weights_bring_the_bad_rate_back_to_the_truth():
    hidden, whole = payments(6_000, seed=6), payments(6_000, seed=6, censored=False)
    system = LenderShare().fit(payments(300, seed=5))
    found = cases_of(hidden, system.assess(hidden))
    truth = cases_of(whole, system.assess(whole)).label
    early, late = windows(found)
    told = judge(early, late, approve=1.0, resamples=2)
    complete = truth[found.time >= np.median(found.time)].mean()
    plain = np.nanmean(late.label)
    assert plain - complete > 0.04
    assert abs(told.test.bad_rate.value - complete) < 0.015
    assert told.test.bad_rate.low < complete < told.test.bad_rate.high


def test_windows_without_outcomes_tell_rates_and_drift_only(cases):
    valid, test = windows(cases)
    from dataclasses import replace

    for label, said in ((np.nan, "No outcome is known yet"), (1.0, "known outcomes of the 250 cases are bad")):
        blank = replace(test, label=np.full(len(test), label))
        told = judge(valid, blank, resamples=2)
        assert said in told.notes[0]
        assert told.metrics == {}
        assert told.costs is None
        assert 0.8 < told.test.rate.value <= 1
    nothing = replace(test, label=np.full(len(test), np.nan), outcome=None)
    assert judge(valid, nothing).notes == ("No outcome is known of any case: only rates and drift can be told.",)
    with pytest.raises(OptionError, match="the test window holds no case"):
        judge(valid, test.take(np.zeros(len(test), bool)))


def test_weights_need_to_know_how_long_cases_were_observed(cases):
    from dataclasses import replace

    blind = replace(windows(cases)[1], known=None)
    assert blind.weights() is None
    told = judge(windows(cases)[0], blind, resamples=2)
    assert "nothing tells how long they were observed" in told.notes[0]


def test_a_timeline_is_the_users_events_in_order(log):
    rows = timeline(log, "u0007")
    expected = log.table().filter(pa.array([u == "u0007" for u in log.table()["user"].to_pylist()]))
    assert [r["item"] for r in rows] == expected["item"].to_pylist()
    assert [r["value"] for r in rows] == pytest.approx(expected["value"].to_pylist())
    assert [r["time"] for r in rows] == sorted(r["time"] for r in rows)
    assert timelines(log, ["nobody", "u0007"]) == [[], rows]


def test_ids_of_another_type_find_their_rows():
    log = Log.open(
        pa.table({"user": [1, 2], "item": ["a", "b"], "time": [1, 2]}),
        users=pa.table({"user": [1, 2], "default": [1.0, 0.0]}),
    )
    found = cases_of(log, pa.table({"user": ["2", "new", "1"], "risk": [0.1, 0.2, 0.3]}))
    assert found.label.tolist()[::2] == [0, 1]
    assert np.isnan(found.label[1])
