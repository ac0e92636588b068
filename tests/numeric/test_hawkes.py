"""Hawkes processes: likelihood, gradient, samplers and residuals against independent values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ethogram.errors import OptionError, StepError
from ethogram.numeric.hawkes import Hawkes, fit
from ethogram.numeric.integrals import instants
from ethogram.numeric.renewal import Poisson, Renewal
from ethogram.numeric.rescaling import chained, kolmogorov
from ethogram.numeric.streams import States, Streams

TWO = Hawkes(np.array([0.3, 0.2]), np.array([[0.4, 0.3], [0.05, 0.2]]), 1.3)


def intensity(process: Hawkes, at: float, time: np.ndarray, kind: np.ndarray) -> np.ndarray:
    past = time < at
    pull = process.decay * np.exp(-process.decay * (at - time[past]))
    return process.mu + pull @ process.branching[kind[past]]


def by_hand(process: Hawkes, time: np.ndarray, kind: np.ndarray, begin: float, end: float) -> float:
    """Log intensities less an integral on a fine grid that is cut at the events."""
    inside = (time > begin) & (time <= end)
    total = sum(np.log(intensity(process, t, time, kind)[k]) for t, k in zip(time[inside], kind[inside], strict=True))
    cuts = np.unique(np.concatenate([[begin, end], time[inside]]))
    for a, b in itertools.pairwise(cuts):
        grid = np.linspace(a + 1e-12, b, 1_001)
        total -= np.trapezoid([intensity(process, t, time, kind).sum() for t in grid], grid)
    return float(total)


@pytest.mark.parametrize(("begin", "end"), [("first", "last"), (0.0, 20.0), (5.0, 18.0)])
def test_likelihood_is_log_intensities_less_their_integral(begin, end):
    drawn = TWO.sample(np.array([20.0]), seed=3)
    own = Streams.of([(drawn.time, drawn.kind)], 2, begin=begin, end=end)
    expected = by_hand(TWO, drawn.time, drawn.kind, float(own.begin[0]), float(own.end[0]))
    assert TWO.loglikelihood(own)[0] == pytest.approx(expected, abs=1e-5)
    spent = TWO.residuals(own)
    logs = np.log(TWO.intensities(own)[own.judged, own.kind[own.judged]]).sum()
    assert logs - spent.sum() == pytest.approx(expected, abs=1e-5)


def test_events_of_one_instant_do_not_know_each_other_and_the_left_end_counts_once():
    time, kind = np.array([1.0, 2.0, 2.0, 3.0]), np.array([0, 0, 1, 1])
    own = Streams.of([(time, kind)], 2, begin=0.0, end=4.0)
    assert TWO.loglikelihood(own)[0] == pytest.approx(by_hand(TWO, time, kind, 0.0, 4.0), abs=1e-5)
    turned = Streams.of([(time, kind[[0, 2, 1, 3]])], 2, begin=0.0, end=4.0)
    assert TWO.loglikelihood(turned)[0] == pytest.approx(TWO.loglikelihood(own)[0], abs=1e-12)
    assert own.before.tolist() == [0, 1, 1, 3]
    gaps = own.gaps
    assert gaps.start.tolist() == [0, 1, 2, 3]
    assert gaps.stop.tolist() == [1, 2, 3, 4]
    assert gaps.event.tolist() == [0, 1, 3, -1]
    assert gaps.known.tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize(("how", "count"), [("gauss", 5), ("trapezoid", 20), ("random", 400)])
def test_integrals_match_the_closed_form(how, count):
    own = TWO.sample(np.full(30, 20.0), seed=1)
    when, weight = instants(own.gaps, count, how, np.random.default_rng(0))
    states = States(*(np.repeat(a, count) for a in (own.gaps.owner, own.gaps.known, own.gaps.start)))
    rate = TWO.after(own, states, when.ravel() - states.now).sum(1).reshape(when.shape)
    exact = TWO.residuals(own)
    assert (rate * weight).sum() == pytest.approx(exact.sum(), rel=1e-3)
    if how == "gauss":
        np.testing.assert_allclose((rate * weight).sum(1), exact, rtol=5e-3)


def test_gradient_is_that_of_the_likelihood():
    own = TWO.sample(np.full(20, 20.0), seed=2)
    total, to_mu, to_branching, to_decay = TWO.gradient(own)
    assert total == pytest.approx(TWO.loglikelihood(own).sum())
    step = 1e-6

    def moved(mu=0.0, branching=0.0, decay=0.0):
        return float(Hawkes(TWO.mu + mu, TWO.branching + branching, TWO.decay + decay).loglikelihood(own).sum())

    one = np.array([0.0, step])
    assert to_mu[1] == pytest.approx((moved(mu=one) - moved(mu=-one)) / 2 / step, rel=1e-4)
    cell = np.zeros((2, 2))
    cell[0, 1] = step
    assert to_branching[0, 1] == pytest.approx((moved(branching=cell) - moved(branching=-cell)) / 2 / step, rel=1e-4)
    assert to_decay == pytest.approx((moved(decay=step) - moved(decay=-step)) / 2 / step, rel=1e-4)


def test_the_sampler_follows_its_law_and_the_fit_finds_it():
    own = TWO.sample(np.full(250, 40.0), seed=5)
    assert len(own.time) > 5_000
    assert kolmogorov(chained(TWO.residuals(own), own))[1] > 0.05
    assert kolmogorov(chained(Poisson.fit(own).residuals(own), own))[1] < 1e-6
    found = fit(own)
    assert found.loglikelihood(own).sum() >= TWO.loglikelihood(own).sum()
    np.testing.assert_allclose(found.mu, TWO.mu, atol=0.03)
    np.testing.assert_allclose(found.branching, TWO.branching, atol=0.06)
    assert found.decay == pytest.approx(TWO.decay, rel=0.15)


def test_the_next_event_is_the_first_accepted_arrival():
    """Its compensator is Exp(1): the smallest of many proposals would be far too early."""
    own = TWO.sample(np.full(40, 20.0), seed=7)
    for process in (TWO, Renewal.fit(own), Poisson.fit(own)):
        gap, kind = process.next(own, own.last(), 100, seed=1)
        rows = np.repeat(np.arange(len(own)), 100)
        many = own.take(rows)
        later = Streams(many.time, many.kind, many.offsets, many.end, many.end + gap.ravel(), 2)
        assert kolmogorov(process.residuals(later))[1] > 0.01
        assert set(np.unique(kind)) == {0, 1}


def test_renewal_likelihood_is_its_density():
    from scipy.stats import lognorm

    time, kind = np.array([0.0, 1.0, 1.5, 4.0]), np.array([0, 1, 0, 1])
    own = Streams.of([(time, kind)], 2)
    process = Renewal.fit(own)
    gaps = np.diff(time)
    density = lognorm.logpdf(gaps, process.spread, scale=np.exp(process.mean)).sum()
    moves = np.log(process.moves[kind[:-1], kind[1:]]).sum()
    assert process.loglikelihood(own)[0] == pytest.approx(density + moves, rel=1e-6)
    assert process.moves[0].tolist() == [0.25, 0.75]


def test_constant_gaps_are_expected_as_they_are():
    own = Streams.of([(np.arange(30) * 2.0, np.zeros(30, int))], 1)
    gap, _ = Renewal.fit(own).next(own, own.last(), 50)
    assert gap.mean() == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(
    ("time", "kind", "said"),
    [
        ([0.0, 2.0, 1.0], [0, 0, 0], "sequence 0, event 2: time 1 lies before 2"),
        ([0.0, np.nan], [0, 0], "event 1: time nan is not a finite number"),
        ([0.0, 1.0], [0, 2], "event 1: kind 2 is none of 0 to 1"),
        ([0.0, 1.0], [0], "2 times but 1 kinds"),
    ],
)
def test_bad_sequences_are_told(time, kind, said):
    with pytest.raises(StepError, match=said):
        Streams.of([(time, kind)], 2)


def test_an_exploding_process_is_refused():
    with pytest.raises(OptionError, match="spectral radius"):
        Hawkes(np.ones(1), np.array([[1.0]]), 1.0).sample(np.array([1.0]))
    with pytest.raises(OptionError, match="branching"):
        Hawkes(np.ones(2), np.ones((1, 1)), 1.0)
    with pytest.raises(OptionError, match="0 or more"):
        Hawkes(np.ones(1), np.array([[-0.1]]), 1.0)


def test_short_and_odd_sequences_have_likelihoods():
    own = Streams.of([([], []), ([1.0], [0]), ([2.0, 2.0], [0, 1]), ([0.0, 1e12], [0, -1])], 2, begin=0.0, end=2e12)
    for process in (TWO, Poisson.fit(own), Renewal.fit(own)):
        assert np.isfinite(process.loglikelihood(own)).all()
    assert own.last().known.tolist() == [0, 1, 2, 2]
