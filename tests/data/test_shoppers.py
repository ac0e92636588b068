"""The generator of shoppers keeps its truth."""

from __future__ import annotations

import numpy as np
import pytest

from ethogram import data
from ethogram.data.shoppers import TYPES, Shoppers
from ethogram.errors import OptionError

SMALL = {"users": 400, "items": 200, "categories": 5, "seed": 2}


def test_each_type_clicks_by_its_own_rule_and_no_column_tells_alone():
    made = Shoppers(**SMALL)
    shown = made.shown
    odds = np.log(shown["probability"] / (1 - shown["probability"]))
    for i, (sign, one, other) in enumerate(TYPES.values()):
        mine = made.type[shown["user"]] == i
        item = shown["item"][mine]
        expected = -1 + 1.5 * sign * made.number[one][item] * made.number[other][item]
        np.testing.assert_allclose(odds[mine], expected)
        for part in np.array_split(np.argsort(odds[mine]), 4):
            assert shown["label"][mine][part].mean() == pytest.approx(shown["probability"][mine][part].mean(), abs=0.05)
    for name in made.number:
        assert abs(np.corrcoef(made.number[name][shown["item"]], odds)[0, 1]) < 0.1


def test_behaviour_tells_the_type_and_newcomers_have_little():
    made = Shoppers(**SMALL)
    past = made.past
    for i in range(len(TYPES)):
        item = past["item"][made.type[past["user"]] == i]
        assert made.rule[i, item].mean() > 0.4 + max(made.rule[j, item].mean() for j in range(len(TYPES)) if j != i)
    length = np.bincount(past["user"], minlength=400)
    assert made.established == 280
    assert length[280:].max() <= 3 < 10 <= length[:280].min()
    assert (np.bincount(made.type[280:]) == 30).all()


def test_what_is_shown_is_of_the_category_that_was_searched():
    shown, made = Shoppers(**SMALL).shown, Shoppers(**SMALL)
    assert (made.category[shown["item"]] == shown["query"]).all()
    log = data.load("shoppers", **SMALL)
    asked = log.questions("slates")
    assert set(asked.context) == {"query"}
    assert "query" in [c.name for c in log.features().of("context")]
    assert (asked.histories.lengths > 0).all()


def test_options_that_make_no_sense():
    for wrong, told in (
        ({"newcomers": 1.2}, "newcomers = 1.2"),
        ({"few": (3, 1)}, "few"),
        ({"many": (-1, 1)}, "many"),
        ({"items": 3}, "empty"),
        ({"among": 0}, "1 or more"),
    ):
        with pytest.raises(OptionError, match=told):
            Shoppers(**wrong)


def test_by_name():
    told = data.truth("shoppers", users=8)
    assert told["types"]["type"].to_pylist() == [*TYPES] * 2
    assert told["types"]["newcomer"].to_pylist() == [False] * 6 + [True] * 2
