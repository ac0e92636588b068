"""The known process: its likelihood against numeric integration, its counts against theory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from benchmarks.cases.processes import per_event, steady
from benchmarks.hawkes import Hawkes, published


def intensity(process: Hawkes, at: float, time: np.ndarray, kind: np.ndarray) -> np.ndarray:
    past = time < at
    pull = process.decay * np.exp(-process.decay * (at - time[past]))
    return process.mu + pull @ process.branching[kind[past]]


def test_likelihood_is_log_intensities_less_their_integral() -> None:
    process = Hawkes(np.array([0.3, 0.2]), np.array([[0.4, 0.3], [0.0, 0.2]]), 1.3)
    time, kind = process.sequence(25.0, np.random.default_rng(3))
    assert len(time) > 3
    expected = sum(np.log(intensity(process, t, time, kind)[k]) for t, k in zip(time[1:], kind[1:], strict=True))
    for a, b in itertools.pairwise(time):  # no event inside: smooth
        grid = np.linspace(a + 1e-12, b, 2_001)
        expected -= np.trapezoid([intensity(process, t, time, kind).sum() for t in grid], grid)
    assert process.loglikelihood(time, kind) == pytest.approx(expected, abs=1e-5)


def test_as_many_events_as_theory_says() -> None:
    process = Hawkes(np.array([0.5, 0.1]), np.array([[0.3, 0.2], [0.1, 0.4]]), 5.0)
    rng = np.random.default_rng(0)
    counts = np.array([np.bincount(process.sequence(200.0, rng)[1], minlength=2) for _ in range(60)])
    rate = np.linalg.solve(np.eye(2) - process.branching.T, process.mu)
    error = counts.std(0) / 60**0.5
    assert (np.abs(counts.mean(0) - 200 * rate) < 4 * error).all()


def test_the_process_itself_is_likelier_than_one_without_memory() -> None:
    process = published()
    train, test = (list(process.sequences(60, seed)) for seed in (0, 1))
    assert all(4 <= len(time) <= 60 and time[0] == 0 for time, _ in train)
    own = per_event(sum(process.loglikelihood(*sequence) for sequence in test), test)
    assert own > steady(train, test) + 0.05
