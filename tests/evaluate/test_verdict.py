import math

import pytest

from ethogram.errors import OptionError
from ethogram.evaluate.verdict import FAILS, HOLDS, Estimate, Gap, Law, Laws, Level, Ratio, decide


@pytest.mark.parametrize(
    ("low", "high", "comparison", "threshold", "verdict", "why"),
    [
        (0.011, 0.03, ">=", 0.01, HOLDS, "whole 95% interval"),
        (0.009, 0.03, ">=", 0.01, FAILS, "includes the threshold 0.01"),
        (0.001, 0.009, ">=", 0.01, FAILS, "violates ≥ 0.01"),
        (-0.01, 0.004, "<=", 0.005, HOLDS, "is ≤ 0.005"),
        (-0.01, 0.006, "<=", 0.005, FAILS, "includes the threshold"),
        (0.006, 0.008, "<=", 0.005, FAILS, "violates"),
        (0.01, 0.03, ">=", 0.01, HOLDS, "whole"),
        (0.01, 0.03, ">", 0.01, FAILS, "includes the threshold"),
        (-0.004, 0.003, "within", 0.005, HOLDS, "within ±0.005"),
        (-0.006, 0.003, "within", 0.005, FAILS, "reaches beyond ±0.005"),
        (0.006, 0.009, "within", 0.005, FAILS, "violates within ±0.005"),
    ],
)
def test_verdict_is_read_from_the_interval(low, high, comparison, threshold, verdict, why):
    decided = decide(Estimate((low + high) / 2, low, high), comparison, threshold)
    assert decided.verdict == verdict
    assert why in decided.why


def test_the_point_estimate_alone_never_decides():
    # 0.05 is far above the threshold, yet the interval reaches down to it.
    assert decide(Estimate(0.05, -0.01, 0.11), ">=", 0.01).verdict == FAILS


def test_an_interval_that_includes_zero_is_not_equivalence():
    assert decide(Estimate(0.0, -0.2, 0.2), "within", 0.01).verdict == FAILS


def test_exact_values_are_compared_as_they_are():
    assert decide(Estimate.exact(1e-6), "<=", 1e-5).verdict == HOLDS
    decided = decide(Estimate.exact(1e-4), "<=", 1e-5)
    assert (decided.verdict, decided.why) == (FAILS, "0.0001 is not ≤ 1e-05")


@pytest.mark.parametrize("broken", [Estimate.exact(math.nan), Estimate(0.1, math.nan, 0.2)])
def test_a_measurement_that_is_not_a_number_fails(broken):
    assert decide(broken, ">=", 0.0).verdict == FAILS


def test_conditions_print_as_they_are_claimed():
    assert str(Gap("sdim", "short only") >= 0.01) == "sdim − short only ≥ 0.01"
    assert str(Gap("a", "b", metric="gauc") > 0) == "gauc: a − b > 0"
    assert str((Ratio("din", "sdim") >= 8).on("interests", "ml_100k")) == "din / sdim ≥ 8 (interests, ml_100k)"
    assert str(Gap("a", "b").within(0.005)) == "a − b within ±0.005"
    assert str(Level("sdim", "peak_mb") <= 6000) == "peak_mb: sdim ≤ 6000"


def test_condition_knows_its_arms_and_level():
    condition = Gap("a", "b") <= 0.005
    assert condition.measure.arms == ("a", "b")
    assert condition.level == 0.95
    assert Gap("a", "b").within(0.01).level == 0.90


def test_a_chained_comparison_is_refused():
    with pytest.raises(OptionError, match="each bound on its own"):
        0 <= Gap("a", "b") <= 0.1  # noqa: B015


def test_bad_margins_and_comparisons_are_refused():
    with pytest.raises(OptionError, match="greater than 0"):
        Gap("a", "b").within(0)
    with pytest.raises(OptionError, match="unknown comparison '=='"):
        Law("x", lambda bench: 1.0, "==", 1.0)
    with pytest.raises(OptionError, match="unknown comparison"):
        decide(Estimate.exact(1.0), "!=", 1.0)


def test_laws_are_a_tuple_of_laws():
    one = Law("rate misses theory by", lambda bench: 0.0, "<=", 0.01)
    assert list(Laws(one)) == [one]
    assert str(Law("measured", lambda bench: (1.0, 2.0, "<="))) == "measured"
