"""The generator of companions: how often interests go together, and what decides the target."""

import numpy as np
import pytest

from ethogram import data
from ethogram.data.companions import Companions
from ethogram.errors import OptionError


@pytest.mark.parametrize("together", [0.1, 0.9])
def test_the_cause_decides_and_the_companion_goes_along(together):
    made = Companions(users=2_000, together=together, seed=1)
    truth = made.truth()["users"].to_pydict()
    cause, companion, target = (np.array(truth[n]) for n in ("cause", "companion", "target"))
    assert (cause == companion).mean() == pytest.approx(together, abs=0.03)
    assert (target // 60 == cause).all()
    taken = made._made["taken"]
    assert (taken[:, :2] // 60 == cause[:, None]).mean() == pytest.approx(0.5 + 0.5 / 3, abs=0.02)
    assert not (taken == target[:, None]).any()
    assert (taken[:, 2:] // 60 == 3 + companion[:, None]).all()
    assert all(len(set(row)) == 8 for row in taken.tolist())


def test_a_basket_is_one_group():
    log = data.load("companions", users=20)
    asked = log.split("leave-last-out").test.questions("next")
    assert (asked.histories.lengths == 8).all()
    assert np.asarray(asked.histories.starts).sum() == 40


@pytest.mark.parametrize("how", [{"pairs": 1}, {"items": 8}, {"basket": (0, 3)}, {"together": 1.5}])
def test_refusals(how):
    with pytest.raises(OptionError, match="companions"):
        Companions(**how)
