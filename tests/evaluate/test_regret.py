"""Regret against the oracle, by hand and by its bounds."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.evaluate.regret import regret

LOSSES = np.array([[0.0, 1.0], [1.0, 0.0], [0.2, 0.4], [0.3, 0.3]])


def test_by_hand():
    """Always the first loses 1.5 / 4, the oracle 0.5 / 4, the choice 0.7 / 4: 0.8 of the way."""
    found = regret(LOSSES, np.array([0, 1, 1, 1]), 0)
    assert found.loss.value == pytest.approx(0.175)
    assert found.top1.value == 0.75
    assert found.regret.value == pytest.approx(0.05)
    assert found.gain.value == pytest.approx(0.2)
    assert found.closed.value == pytest.approx(0.8)
    assert found.loss.low < found.loss.value < found.loss.high
    assert regret(LOSSES, np.array([0, 1, 1, 1]), 0, tolerance=0.2).top1.value == 1


def test_where_there_is_no_way_to_go():
    assert np.isnan(regret(np.zeros((3, 2)), np.zeros(3, int), 0).closed.value)


@pytest.mark.parametrize("chosen", [[0, 1, 2, 0], [0, 1], [-1, 0, 0, 0]])
def test_wrong_choices_are_told(chosen):
    with pytest.raises(OptionError, match="regret"):
        regret(LOSSES, np.array(chosen), 0)
