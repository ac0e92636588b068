"""Rates: the strength of the prior is found again, and no row reads its own answer."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.log import Log
from ethogram.numeric.folds import Folds
from ethogram.numeric.rates import STRENGTHS, concentration, log_odds, precision
from ethogram.numeric.values import Values


@pytest.mark.parametrize(("strength", "mean"), [(4.0, 0.3), (40.0, 0.05), (2.0, 0.5)])
def test_strength_of_a_beta_prior_is_found(strength, mean):
    rng = np.random.default_rng(1)
    trials = rng.integers(1, 200, 3_000)
    hits = rng.binomial(trials, rng.beta(strength * mean, strength * (1 - mean), 3_000))
    assert concentration(trials, hits) == pytest.approx(strength, rel=0.15)


def test_rates_that_differ_by_chance_only_are_the_same_rate():
    rng = np.random.default_rng(2)
    trials = rng.integers(1, 50, 2_000)
    assert concentration(trials, rng.binomial(trials, 0.2)) > 300
    assert concentration(np.array([5.0]), np.array([2.0])) == STRENGTHS[1], "one value has no spread"


def test_log_odds_by_hand():
    # (3 + 10 * .2) / (5 + 10) = 1/3
    assert log_odds(np.array([5.0]), np.array([3.0]), 0.2, 10.0)[0] == pytest.approx(np.log(0.5))


def test_strength_of_peoples_shares_is_found():
    rng = np.random.default_rng(3)
    share, strength, people, length = np.array([0.5, 0.3, 0.15, 0.05]), 8.0, 1_500, 40
    taste = rng.dirichlet(strength * share, people)
    item = np.concatenate([rng.choice(4, length, p=p) for p in taste])
    values = Values(np.arange(4), np.array([0, 0, 1, 2, 3, 4]), 4)
    found = precision(np.repeat(np.arange(people), length), item, values)
    assert found == pytest.approx(strength, rel=0.15)


def log():
    rng = np.random.default_rng(0)
    table = {"user": rng.integers(0, 30, 400), "item": rng.integers(0, 9, 400), "time": rng.integers(0, 50, 400)}
    return Log.open(pa.table({**table, "label": rng.integers(0, 2, 400).astype(float)}))


def test_people_are_left_out_whole():
    part = log()
    asked, done = part.questions("slates").histories, part.histories()
    rows, _ = done.flat()
    folds = Folds.people(asked, done, rows, 4)
    who, item = np.repeat(done.users, done.lengths), np.asarray(done.item)[rows]
    sums = folds.sums(folds.done, item, None, 9)
    for i in (0, 17, len(asked) - 1):
        others = item[folds.done != folds.asked[i]]
        np.testing.assert_array_equal(sums[folds.asked[i]], np.bincount(others, minlength=9))
        assert asked.users[i] not in who[folds.done != folds.asked[i]]
    np.testing.assert_array_equal(sums[-1], np.bincount(item, minlength=9))
    assert len(np.unique(folds.asked)) == 4


def test_the_past_is_strictly_earlier():
    part = log()
    asked, done = part.questions("slates").histories, part.histories()
    rows, _ = done.flat()
    folds = Folds.before(asked, done, rows, 5)
    time, item = np.asarray(done.columns["time"])[rows], np.asarray(done.item)[rows]
    sums = folds.sums(folds.done, item, None, 9)
    for i in range(0, len(asked), 29):
        known = folds.done < folds.asked[i]
        assert not known.any() or time[known].max() < asked.time[i]
        np.testing.assert_array_equal(sums[folds.asked[i]], np.bincount(item[known], minlength=9))
    np.testing.assert_array_equal(sums[-1], np.bincount(item, minlength=9))


def test_statistics_follow_the_cut():
    part = log()
    done = part.histories()
    rows, _ = done.flat()

    def past(train, how="auto"):
        return Folds.of(train, train.questions("slates").histories, done, rows, 3, how, 0).past

    assert past(part.split("temporal").train)
    assert not past(part.split("by-user").train)
    assert past(part, "past")
    with pytest.raises(OptionError, match="at least 2"):
        Folds.people(part.questions("slates").histories, done, rows, 1)
