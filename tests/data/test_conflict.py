"""The generator of conflicting goals keeps its truth."""

from __future__ import annotations

import numpy as np
import pytest

from ethogram import data
from ethogram.data.conflict import Conflict
from ethogram.errors import OptionError

SMALL = {"users": 200, "items": 300, "values": 10, "slates": 10, "seed": 5}


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.9])
def test_log_odds_correlate_as_asked_and_answers_follow_them(rho):
    shown = Conflict(**SMALL, rho=rho).shown
    assert np.corrcoef(shown["odds_click"], shown["odds_buy"])[0, 1] == pytest.approx(rho, abs=0.04)
    for goal in ("click", "buy"):
        p, y = shown[f"probability_{goal}"], shown[goal]
        for part in np.array_split(np.argsort(p), 5):
            assert y[part].mean() == pytest.approx(p[part].mean(), abs=0.03)
        assert shown[f"odds_{goal}"].std() == pytest.approx(1.5, abs=0.06)


def test_each_goal_has_a_field_of_its_own_and_one_in_common():
    """At 0 the odds are those of the own field alone; at -1 they are opposite."""
    made = Conflict(**SMALL, rho=0.0)
    shown = made.shown
    for goal, field, other in (("click", "category", "brand"), ("buy", "brand", "category")):
        likes = {n: made.liking[n][shown["user"], made.field[n][shown["item"]]] for n in ("category", "brand", "style")}
        odds = shown[f"odds_{goal}"]
        assert np.corrcoef(odds, likes[field])[0, 1] == pytest.approx(1)
        assert abs(np.corrcoef(odds, likes[other])[0, 1]) < 0.05
        assert abs(np.corrcoef(odds, likes["style"])[0, 1]) < 0.05
    turned = Conflict(**SMALL, rho=-1.0).shown
    np.testing.assert_allclose(turned["odds_click"] + turned["odds_buy"], -2.0, atol=1e-9)


def test_each_kind_of_behaviour_tells_its_own_field():
    made = Conflict(**SMALL)
    past = made.past
    share = {
        (kind, name): (made.liking[name][past["user"], made.field[name][past["item"]]] > 0)[past["kind"] == kind].mean()
        for kind in (0, 1)
        for name in ("category", "brand", "style")
    }
    by_chance = np.mean([(v > 0).mean() for v in made.liking.values()])
    for kind, own, foreign in ((0, "category", "brand"), (1, "brand", "category")):
        assert share[kind, own] > 0.8
        assert share[kind, "style"] > 0.8
        assert share[kind, foreign] == pytest.approx(by_chance, abs=0.04)


def test_missing_answers_are_missing_and_never_both():
    asked = data.load("conflict", **SMALL, missing=0.1).questions("goals")
    gone = {goal: np.isnan(asked.labels[goal]) for goal in ("label", "label_buy")}
    for one in gone.values():
        assert one.mean() == pytest.approx(0.1, abs=0.01)
    assert not (gone["label"] & gone["label_buy"]).any()
    made = Conflict(**SMALL, missing=0.1)
    full = Conflict(**SMALL)
    np.testing.assert_array_equal(made.shown["click"], full.shown["click"])
    assert len(asked.label) == len(full.shown["click"])


def test_options_that_make_no_sense():
    for wrong, told in (
        ({"rho": -1.5}, "rho = -1.5"),
        ({"likes": (0, 2)}, "likes"),
        ({"length": (9, 3)}, "length"),
        ({"missing": 0.6}, "missing = 0.6"),
        ({"users": 0}, "1 or more"),
    ):
        with pytest.raises(OptionError, match=told):
            Conflict(**wrong)


def test_by_name():
    told = data.truth("conflict", users=5, slates=2)
    assert told["exposures"].num_rows > 80
    assert set(told["likes"]["field"].to_pylist()) == {"category", "brand", "style"}
