"""The benchmark's own sampler: its counts against theory, its sequences against the exact likelihood."""

from __future__ import annotations

import numpy as np
from benchmarks.cases.processes import per_event, steady
from benchmarks.hawkes import published, sequence, sequences

from ethogram.numeric.hawkes import Hawkes
from ethogram.numeric.rescaling import chained, kolmogorov
from ethogram.numeric.streams import Streams


def test_as_many_events_as_theory_says() -> None:
    process = Hawkes(np.array([0.5, 0.1]), np.array([[0.3, 0.2], [0.1, 0.4]]), 5.0)
    rng = np.random.default_rng(0)
    counts = np.array([np.bincount(sequence(process, 200.0, rng)[1], minlength=2) for _ in range(60)])
    rate = np.linalg.solve(np.eye(2) - process.branching.T, process.mu)
    error = counts.std(0) / 60**0.5
    assert (np.abs(counts.mean(0) - 200 * rate) < 4 * error).all()


def test_generations_follow_the_law_that_the_likelihood_knows() -> None:
    rng = np.random.default_rng(1)
    streams = Streams.of([sequence(published(), 40.0, rng) for _ in range(150)], 5, begin=0.0, end=40.0)
    assert kolmogorov(chained(published().residuals(streams), streams))[1] > 0.01


def test_the_process_itself_is_likelier_than_one_without_memory() -> None:
    process = published()
    train, test = (list(sequences(process, 60, seed)) for seed in (0, 1))
    assert all(4 <= len(time) <= 60 and time[0] == 0 for time, _ in train)
    asked = Streams.of(test, 5)
    own = per_event(float(process.loglikelihood(asked).sum()), test)
    assert own > steady(train, test) + 0.05
