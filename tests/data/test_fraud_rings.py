"""The generator does what it says."""

import numpy as np
import pytest

from ethogram import data
from ethogram.data.fraud_rings import FraudRings
from ethogram.errors import MissingData, OptionError

SMALL = {"transactions": 3_000, "rings": 6, "size": (30, 60)}


def test_sizes_and_shares():
    made = FraudRings(**SMALL, seed=3)
    events = made.read().events
    assert len(set(events["session"].to_pylist())) == 3_000
    ring = made.ring >= 0
    assert ring.sum() == made.sizes.sum()
    assert made.tags[ring].mean() == pytest.approx(0.25, abs=0.08)
    assert made.tags[~ring].mean() == pytest.approx(0.004, abs=0.004)
    assert made.engine[~ring].mean() == pytest.approx(0.015, abs=0.001)
    assert made.engine[ring].mean() > 0.03


def test_no_number_tells_ring_from_normal():
    made = FraudRings(**SMALL, seed=3)
    ring = made.ring >= 0
    for values in made.numbers.values():
        low, high = np.quantile(values[~ring], [0.0, 1.0])
        assert ((values[ring] >= low) & (values[ring] <= high)).mean() > 0.8


def test_without_effect_members_behave_and_are_tagged_as_everybody():
    made = FraudRings(**SMALL, seed=3, effect=0.0)
    assert not made.acts.any()
    assert made.tags[made.ring >= 0].mean() < 0.03


def test_the_same_rings_again():
    one, other = FraudRings(**SMALL), FraudRings(**SMALL, again=1)
    assert one.truth()["rings"].equals(other.truth()["rings"])
    assert not np.array_equal(one.walks.page[:100], other.walks.page[:100])
    assert one.read().events.equals(FraudRings(**SMALL).read().events)


def test_scripts_are_shared_rhythms_are_not():
    plans = FraudRings(**SMALL, scripts=2).plans
    assert np.array_equal(plans[0][0], plans[2][0])
    assert not np.array_equal(plans[0][1], plans[2][1])


@pytest.mark.parametrize(
    "wrong", [{"rings": 60, "transactions": 100}, {"size": (5, 2)}, {"tagged": 2.0}, {"scripts": 0}]
)
def test_bad_options(wrong):
    with pytest.raises(OptionError, match="fraud_rings"):
        FraudRings(**wrong)


def test_online_shoppers():
    try:
        log = data.load("online_shoppers")
    except MissingData as error:
        pytest.skip(str(error))
    table = log.table()
    assert table.num_rows == 12_330
    assert np.nansum(table["label"].to_numpy()) == 1_908
