"""Rows, goals and paired differences of a race."""

import numpy as np
import pytest
from benchmarks.harness import Target, measure
from benchmarks.race import Found, Race, gain, paired, table


def test_gain_is_ndcg_of_one_target():
    np.testing.assert_allclose(gain(np.array([1, 2, 10, 10.5, 40])), [1, 0.63093, 0.28906, 0, 0], atol=1e-5)


def test_the_interval_is_that_of_users_with_seeds_averaged():
    ours, theirs = np.array([[0.2, 0.6, 0.4], [0.4, 0.4, 0.6]]), np.array([0.1, 0.5, 0.6])
    gap = np.array([0.2, 0.0, -0.1])
    half = 1.96 * gap.std(ddof=1) / 3**0.5
    assert paired(ours, theirs) == pytest.approx((gap.mean(), gap.mean() - half, gap.mean() + half))


def test_a_race_is_measured_and_shown_with_what_it_misses():
    def run():
        rows = [{"": "peer", "CPU s": 1234.5}, {"": "ethogram", "CPU s": 12.345, "epochs": 3}]
        return Found(rows, {"ratio": 100.0, "loss": -0.2}, absent=["another: it is not installed"])

    goals = [Target("ratio", lambda v: v["ratio"], least=10), Target("loss", lambda v: v["loss"], least=-0.1),
             Target("memory", lambda v: v["memory"], most=1)]  # fmt: skip
    found = measure(Race("r", "a race", run, goals))
    assert [t["met"] for t in found["targets"]] == [True, False, None]
    text = table(found, ["- a goal"])
    assert "| peer | 1,234 |  |" in text or "| peer | 1,235 |  |" in text
    assert "| **ethogram** | 12.3 | 3 |" in text
    assert "not here: another" in text
