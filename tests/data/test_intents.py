"""The generator of purposes: goals give them away, shelves mostly."""

import numpy as np
import pytest

from ethogram import data
from ethogram.data.intents import Intents
from ethogram.errors import OptionError

SMALL = {"users": 200, "items": 80, "intents": 4, "goals": 3}


def test_goals_belong_to_one_intent_and_steps_mostly():
    events = data.truth("intents", **SMALL)["events"].to_pydict()
    intent, item, goal = (np.array(events[n]) for n in ("intent", "item", "goal"))
    assert ((item[goal] - 80) // 3 == intent[goal]).all()
    assert (item[~goal] < 80).all()
    own = (item[~goal] // 20 == intent[~goal]).mean()
    assert own == pytest.approx(0.8 + 0.2 / 4, abs=0.02)
    assert goal.sum() == 200 * 3
    log = data.load("intents", **SMALL)
    assert log.histories().lengths.sum() == len(item)


@pytest.mark.parametrize("how", [{"steps": (3, 2)}, {"noise": 2.0}, {"users": 0}, {"intents": 900}])
def test_refusals(how):
    with pytest.raises(OptionError, match="intents"):
        Intents(**how)
