"""The generator of travellers: purposes as planted, trips as described."""

import numpy as np
import pytest

from ethogram import data
from ethogram.data.travellers import Travellers
from ethogram.errors import OptionError


def test_trips_follow_purposes_and_purposes_the_life_at_home():
    made = Travellers(users=800, towns=2, seed=3)
    truth = made.truth()
    purpose = truth["people"]["purpose"].to_numpy()
    of_place = truth["places"]["purpose"].to_numpy()
    v = made._visited
    trip = v["away"]
    place = of_place[v["item"]]
    own = purpose[v["user"]]
    assert ((place == own) | (place == 3))[trip].all(), "places of the purpose, or sights"
    assert (place[trip] == 3).mean() == pytest.approx(0.2, abs=0.02)
    home = np.zeros((800, 3))
    np.add.at(home, (v["user"][~trip], place[~trip]), 1)
    assert (home.argmax(1) == purpose).mean() > 0.75
    town = made.items["town"][v["item"]]
    assert (town[~trip] == 0).all()
    assert (town[trip] == made.people["destination"][v["user"][trip]]).all()
    pairs = v["user"][trip] * 10_000 + v["item"][trip]
    assert len(np.unique(pairs)) == len(pairs), "no place twice in a trip"


def test_a_trip_is_the_last_group():
    log = data.load("travellers", users=30, seed=1)
    asked = log.split("by-user", valid=0.3, test=0.3).test.questions("next")
    kinds = asked.histories.columns["kind"]
    rows, _ = asked.histories.flat()
    assert set(log.vocabulary("kind").decode(kinds[rows]).to_pylist()) == {"home"}


@pytest.mark.parametrize(
    "how", [{"users": 0}, {"purposes": 7}, {"stays": (3, 2)}, {"places": 3}, {"sights": 2.0}, {"mix": 0.0}]
)
def test_refusals(how):
    with pytest.raises(OptionError, match="travellers"):
        Travellers(**how)
