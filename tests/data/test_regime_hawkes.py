"""Streams whose law changes and returns: what was drawn follows what the truth says."""

from __future__ import annotations

import numpy as np
import pytest

from ethogram import data
from ethogram.data.regime_hawkes import RegimeHawkes
from ethogram.errors import OptionError
from ethogram.numeric.rescaling import chained, kolmogorov
from ethogram.numeric.streams import Streams


def test_each_window_follows_its_own_law_and_no_other():
    made = RegimeHawkes(users=60, windows=4, hours=30.0, seed=3)
    drawn = made.drawn
    for w in (1, 3):
        own = drawn["window"] == w
        pairs = [
            (drawn["hour"][own & (drawn["user"] == u)], drawn["kind"][own & (drawn["user"] == u)]) for u in range(60)
        ]
        streams = Streams.of(pairs, 5, begin=0.0, end=30.0)
        assert kolmogorov(chained(made.law(w).residuals(streams), streams))[1] > 0.01
        for other in {0, 1, 2} - {w % 3}:
            gap = made.law(w).loglikelihood(streams).sum() - made.law(other).loglikelihood(streams).sum()
            assert gap > 20


def test_regimes_return_and_without_effect_nothing_changes():
    told = data.truth("regime_hawkes", users=3, windows=7)["windows"].column("regime").to_pylist()
    assert told == [0, 1, 2, 0, 1, 2, 0]
    still = RegimeHawkes(users=3, windows=3, effect=False)
    assert still.law(0).decay == still.law(2).decay
    assert np.array_equal(still.law(0).mu, still.law(1).mu)


def test_the_log_is_what_was_drawn():
    log = data.load("regime_hawkes", users=4, windows=2, hours=10.0)
    made = RegimeHawkes(users=4, windows=2, hours=10.0)
    time = np.sort(np.asarray(log.sequences().columns["time"]))
    assert len(time) == len(made.drawn["hour"])
    assert made.instants[0] <= time[0]
    assert time[-1] <= made.instants[-1]


@pytest.mark.parametrize("wrong", [{"users": 0}, {"pull": 0.95}, {"hours": 0.0}])
def test_laws_that_cannot_be_are_refused(wrong):
    with pytest.raises(OptionError, match="regime_hawkes"):
        RegimeHawkes(**wrong)
