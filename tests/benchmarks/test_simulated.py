"""The contestants of the simulation benchmark simulate the same model."""

import numpy as np
import pytest

from benchmarks import branched, simulated


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


def test_archetypes_are_as_many_calls_as_there_are_classes_and_choose_like_calls_per_person():
    """(f): 1,500 classes, 20,000 people, 2,000 of them asked at each of two ticks."""
    found = simulated.archetypes(20_000, 2)
    assert 1_400 < found["calls"][0] <= 1_500
    assert found["calls"][1] < 100
    assert found["shares"] == {"archetype": 1.0}
    # 2 points, and three standard errors of the mean of 4,000 calls beside 40,000 draws
    assert np.abs(np.mean(found["gaps"], 0)).max() < 2 + 3 * 100 * (0.24 / 4_000 + 0.24 / 40_000) ** 0.5
    assert np.abs(found["exact"]).max() < 2


def test_a_network_shows_feeds_to_those_who_are_awake():
    found = simulated.network(2_000, 5)
    assert 0.05 < found["awake"] < 0.2
    assert found["posts"] > 500


def test_what_a_fork_takes_is_told(tmp_path, monkeypatch):
    from ethogram.world import mapped

    monkeypatch.setattr(mapped, "LARGE", 2_000)
    branched.prepared(2_000, tmp_path / "a" / "run")
    found = branched.steps(2_000, tmp_path / "a")
    one, other = found["forked into a folder"], found["without links"]
    assert one["written"] < 0.2 * other["written"]
    assert other["written"] > 82 * 2_000
    assert {"declared", "resumed", "forked in memory", "saved after a tick"} < set(found)
