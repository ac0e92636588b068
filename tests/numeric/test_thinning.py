"""Thinning of intensities that bounds are easily wrong about."""

from __future__ import annotations

import numpy as np
import pytest

from ethogram.numeric.rescaling import kolmogorov
from ethogram.numeric.thinning import first_arrivals

KEYS = np.arange(40).astype(np.uint64)


def spent(f, arrivals: np.ndarray) -> np.ndarray:
    """Integral of f up to each arrival."""
    grid = np.linspace(0, arrivals.max() + 1e-9, 200_000)
    rate = f(grid)
    total = np.append(0, np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(grid)))
    return np.interp(arrivals.ravel(), grid, total)


@pytest.mark.parametrize(
    "f",
    [
        lambda t: 0.5 + 2 * np.exp(-3 * t),
        lambda t: 0.05 + 0.3 * t,
        lambda t: 1 + 0.9 * np.sin(7 * t),
        lambda t: 0.1 + 2 * np.exp(-((t - 3.0) ** 2)),
    ],
)
def test_integrals_up_to_the_arrival_are_exponential(f):
    found = first_arrivals(lambda state, wait: f(wait), KEYS, 60)
    assert kolmogorov(spent(f, found))[1] > 0.01


def test_a_bound_that_is_passed_is_mended_where_proposals_see_it():
    """A narrow peak between the looks: the strip above the bound is drawn as well."""
    f = lambda t: 1 + 30 * np.exp(-(((t - 0.31) / 0.05) ** 2))  # noqa: E731
    found = first_arrivals(lambda state, wait: f(wait), KEYS, 100)
    before = (found < 0.2).mean()
    assert before == pytest.approx(1 - np.exp(-0.2), abs=0.02)


def test_draws_hang_on_their_key_alone():
    rate = lambda state, wait: 0.5 + 0.1 * np.cos(wait)  # noqa: E731
    whole = first_arrivals(rate, KEYS, 5)
    assert np.array_equal(first_arrivals(rate, KEYS[7:8], 5)[0], whole[7])
    assert len(np.unique(whole)) == whole.size


def test_a_process_that_falls_silent_has_no_next_event():
    found = first_arrivals(lambda state, wait: np.where(state == 0, 0.0, 1.0), KEYS[:2], 10)
    assert np.isinf(found[0]).all()
    assert np.isfinite(found[1]).all()
