"""The generator of payments keeps its truth."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest

from ethogram import data
from ethogram.data.payments import STATES, Payments
from ethogram.errors import OptionError


@pytest.fixture(scope="module")
def made():
    return Payments(users=3_000, seed=3)


def test_sizes_rates_and_times(made):
    read = made.read()
    count = np.bincount(read.events["user"].to_numpy(), minlength=made.users)
    assert count.min() >= 90
    assert count.max() <= 1_500
    assert 0.03 <= made.people["default"].mean() <= 0.055
    decided = made.people["decided"][read.events["user"].to_numpy()]
    back = (decided - read.events["time"].cast("int64").to_numpy()) / 86_400e6
    assert back.min() > 0
    assert back.max() < 181
    assert read.events["value"].to_numpy().min() > 0
    censored = read.users["default"].null_count
    assert censored == read.users["known"].null_count
    assert 0.02 <= censored / made.users <= 0.07


def test_the_outcome_hangs_on_the_state_alone_and_groups_differ(made):
    people, who = made.truth()["people"], made.people
    for i in range(len(STATES)):
        mine = who["state"] == i
        expected = who["probability"][mine].mean()
        assert who["default"][mine].mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / mine.sum()))
    trouble = who["state"] > 0
    assert trouble[who["group"] == 1].mean() > trouble[who["group"] == 0].mean()
    assert pc.sum(pc.is_null(people["cause"])).as_py() == (~trouble).sum()


def test_at_the_cause_amounts_grow_and_sums_do_not_tell(made):
    drawn, who = made.drawn, made.people
    sums = {}
    for state, category in ((2, "gambling"), (3, "cash loan")):
        users = np.flatnonzero(who["state"] == state)
        mine = np.isin(drawn.user, users) & (drawn.merchant == drawn.cause[drawn.user])
        early, late = (drawn.amount[mine & part].mean() for part in (drawn.day < -90, drawn.day > -30))
        assert late > 1.5 * early
        names = np.array([n.startswith(category) for n in drawn.names])[drawn.merchant]
        per = np.bincount(drawn.user[names], drawn.amount[names], made.users) / who["income"]
        sums[state] = np.median(per[users]), np.median(per[(who["state"] == 0) & (per > 0)])
    for mine, stable in sums.values():
        assert mine == pytest.approx(stable, rel=0.3)
    night = np.array([n.startswith("gambling") for n in drawn.names])[drawn.merchant]
    hour = (drawn.day % 1) * 24
    late = [np.mean(hour[night & (who["state"][drawn.user] == s)] < 5) for s in (2, 0)]
    assert late[0] > late[1] + 0.05


def test_without_effect_nothing_can_be_learned():
    calm = Payments(users=500, effect=0.0)
    assert len(np.unique(calm.people["probability"])) == 1
    people = calm.truth()["people"]
    assert people["cause"].null_count == people["onset"].null_count == 500


def test_wrong_options_and_the_log():
    for wrong, told in (
        ({"users": 0}, "1 or more"),
        ({"payments": (9, 3)}, "fewest"),
        ({"unknown": 999}, "unknown"),
        ({"lenders": 2.0}, "lenders"),
    ):
        with pytest.raises(OptionError, match=told):
            Payments(**wrong)
    log = data.load("payments", users=20, days=60)
    assert {"category", "description", "direction", "channel"} <= set(log.sequences().columns)
    assert log.users.column_names == ["user", "decided", "known", "default", "group", "age"]
