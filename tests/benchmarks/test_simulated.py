"""The contestants of the simulation benchmark simulate the same model."""

import numpy as np
import pytest

from benchmarks import simulated


def test_columns_and_objects_make_the_same_choices_on_average():
    ours, tenth, loop = simulated.world(20_000, 2), simulated.sparse(20_000, 10), simulated.objects(3_000, 2)
    assert (ours["decisions"], tenth["decisions"], loop["decisions"]) == (40_000, 20_000, 6_000)
    shares = [np.array(t["taken"]) / sum(t["taken"]) for t in (ours, tenth, loop)]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.01)
    np.testing.assert_allclose(shares[0], shares[2], atol=0.03)


def test_the_log_is_read_back_and_its_rates_are_told():
    found = simulated.log(5_000, 3)
    assert found["bytes"] == pytest.approx(16, abs=0.1)
    assert set(found["rates"]) == {"packed to disk", "hashed", "chained to disk", "read and checked"}


def test_minds_at_an_endpoint_keep_its_lanes_busy():
    found = simulated.endpoint(64, 2)
    assert set(found) == {"64", "256"}
    for lanes, one in found.items():
        assert 0 < one["occupancy"] <= 64 / min(64, int(lanes))
        assert one["wall"] >= 0.2
        assert one["rate"] == pytest.approx(64 / one["wall"])
