"""What a claim says about numbers, and when the numbers bear it out.

A condition compares a measure of labelled arms with a threshold and reads as its paper would say it:

>>> print(Gap("sdim", "short only") >= 0.01)
sdim − short only ≥ 0.01
>>> print((Ratio("dot attention", "sdim", metric="score_seconds") >= 8).on("interests"))
score_seconds: dot attention / sdim ≥ 8 (interests)

**The rule**, in one place. A verdict is read from the confidence interval, never from the point estimate:

==============  =====================================  ================================================
condition       holds when                             interval
==============  =====================================  ================================================
``>= t, > t``   the lower end satisfies it             95%, two-sided (a one-sided test at 2.5%)
``<= t, < t``   the upper end satisfies it             95%, two-sided
``within(m)``   both ends lie in [-m, m]               90%: two one-sided tests at 5% (equivalence)
==============  =====================================  ================================================

Otherwise it `fails`, and `why` tells the two kinds of failure apart: the whole interval violates the
condition (the data contradict it), or the interval includes the threshold (the data do not show it). "Not
different" is never concluded from an interval that includes zero: state a margin with `within`. A measure
without sampling error (an equality, a count) is compared as it is. What could not be measured is
`not measurable` with the reason, and a quick run only says `ran`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace

from ethogram.errors import EthogramError, OptionError, unknown

__all__ = [
    *("FAILS", "HOLDS", "NOT_MEASURABLE", "RAN", "Condition", "Estimate", "Gap", "Law", "Laws", "Level"),
    *("Measure", "NotMeasurable", "Ratio", "Verdict", "decide"),
]

HOLDS = "holds"
FAILS = "fails"
NOT_MEASURABLE = "not measurable"
RAN = "ran"

_SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<"}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
EQUIVALENCE = "within"


class NotMeasurable(EthogramError):
    """A claim cannot be measured on this machine; the message is the reason."""


@dataclass(frozen=True)
class Estimate:
    """A measured value with its confidence interval.

    Attributes
    ----------
    value : point estimate.
    low, high : ends of the interval; equal to `value` where there is no sampling error.
    level : confidence level of the interval.
    units, unit : how many of what were resampled ("users", "rounds").
    seeds : the value under each seed alone, for the eye; it takes no part in the verdict.
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    units: int = 0
    unit: str = "users"
    seeds: tuple[float, ...] = ()

    @classmethod
    def exact(cls, value: float) -> Estimate:
        """A value without sampling error."""
        return cls(float(value), float(value), float(value), 1.0)

    @property
    def is_exact(self) -> bool:
        return self.low == self.high == self.value

    def __str__(self) -> str:
        if self.is_exact:
            return short(self.value)
        return f"{short(self.value)} [{short(self.low)}, {short(self.high)}]"


@dataclass(frozen=True)
class Verdict:
    """`holds`, `fails`, `not measurable` or `ran`, and why in one line."""

    verdict: str
    why: str


@dataclass(frozen=True)
class Measure:
    """A number about labelled arms; comparing it with a threshold makes a `Condition`.

    `metric` None stands for the metric of the grid.
    """

    arms: tuple[str, ...]
    metric: str | None = None

    def __ge__(self, threshold: float) -> Condition:
        return Condition(self, ">=", float(threshold))

    def __le__(self, threshold: float) -> Condition:
        return Condition(self, "<=", float(threshold))

    def __gt__(self, threshold: float) -> Condition:
        return Condition(self, ">", float(threshold))

    def __lt__(self, threshold: float) -> Condition:
        return Condition(self, "<", float(threshold))


class Level(Measure):
    """A metric of one arm itself."""

    def __init__(self, arm: str, metric: str | None = None):
        super().__init__((arm,), metric)

    def __str__(self) -> str:
        return self.arms[0]


class Gap(Measure):
    """Difference of a metric: `left` − `right`, paired over the same users."""

    def __init__(self, left: str, right: str, metric: str | None = None):
        super().__init__((left, right), metric)

    def __str__(self) -> str:
        return f"{self.arms[0]} − {self.arms[1]}"

    def within(self, margin: float) -> Condition:
        """Equivalence: the difference lies in [-margin, margin]."""
        if not margin > 0:
            raise OptionError(f"within({margin}): an equivalence margin is greater than 0.")
        return Condition(self, EQUIVALENCE, float(margin))


class Ratio(Measure):
    """Quotient of a metric: `left` / `right`; of times, paired within rounds of the same run."""

    def __init__(self, left: str, right: str, metric: str | None = None):
        super().__init__((left, right), metric)

    def __str__(self) -> str:
        return f"{self.arms[0]} / {self.arms[1]}"


@dataclass(frozen=True)
class Condition:
    """A measure, a comparison and a threshold."""

    measure: Measure
    comparison: str
    threshold: float
    data: tuple[str, ...] = ()
    "Data sets on which it is claimed; empty is all of the grid."

    def on(self, *data: str) -> Condition:
        """The same condition claimed on these data sets only."""
        return replace(self, data=data)

    @property
    def level(self) -> float:
        """Confidence level of the interval that decides it."""
        return 0.90 if self.comparison == EQUIVALENCE else 0.95

    @property
    def asked(self) -> str:
        """What is asked of the arms, without metric and data: ``sdim − short only ≥ 0.01``."""
        return f"{self.measure} {bound(self.comparison, self.threshold)}"

    def __str__(self) -> str:
        metric = f"{self.measure.metric}: " if self.measure.metric else ""
        return metric + self.asked + (f" ({', '.join(self.data)})" if self.data else "")

    def __bool__(self) -> bool:
        # `0 <= Gap(...) <= 0.01` would silently keep its second half only.
        raise OptionError(
            f"a condition has no truth value before it is measured ({self}); state each bound on its own."
        )


Measured = float | Estimate | tuple[float | Estimate, float, str]


@dataclass(frozen=True)
class Law:
    """A number that a function measures, with the bound that it has to keep.

    Parameters
    ----------
    text : what is measured, in words.
    measure : called with the bench; returns a float, an `Estimate`, or ``(measured, threshold, comparison)``.
    comparison, threshold : the bound, unless `measure` returns one.

    Examples
    --------
    >>> law = Law("collision rate misses theory by", lambda bench: 0.004, "<=", 0.01)
    >>> print(law)
    collision rate misses theory by ≤ 0.01
    """

    text: str
    measure: Callable[..., Measured]
    comparison: str = "<="
    threshold: float = math.nan

    def __post_init__(self) -> None:
        if self.comparison not in {*_COMPARE, EQUIVALENCE}:
            raise OptionError(unknown("comparison", self.comparison, [*_COMPARE, EQUIVALENCE]))

    def __str__(self) -> str:
        return self.text if math.isnan(self.threshold) else f"{self.text} {bound(self.comparison, self.threshold)}"


class Laws(tuple[Law, ...]):
    """What a plan returns when its claim is a set of equalities and speed laws."""

    def __new__(cls, *laws: Law) -> Laws:
        return super().__new__(cls, laws)


def bound(comparison: str, threshold: float) -> str:
    """The bound as printed: ``≥ 0.01`` or ``within ±0.01``."""
    if comparison == EQUIVALENCE:
        return f"within ±{short(threshold)}"
    return f"{_SIGNS[comparison]} {short(threshold)}"


def decide(measured: Estimate, comparison: str, threshold: float) -> Verdict:
    """The verdict on one measured value, by the rule at the top of this module.

    >>> decide(Estimate(0.02, 0.012, 0.03), ">=", 0.01).verdict
    'holds'
    >>> decide(Estimate(0.02, 0.002, 0.03), ">=", 0.01)
    Verdict(verdict='fails', why='interval [0.002, 0.03] includes the threshold 0.01')
    """
    if comparison not in {*_COMPARE, EQUIVALENCE}:
        raise OptionError(unknown("comparison", comparison, [*_COMPARE, EQUIVALENCE]))
    value, low, high = measured.value, measured.low, measured.high
    if any(math.isnan(x) for x in (value, low, high, threshold)):
        return Verdict(FAILS, f"the measurement gave {measured}, which is not a number")
    if comparison == EQUIVALENCE:
        inside, outside = -threshold <= low and high <= threshold, high < -threshold or low > threshold
    else:
        test = _COMPARE[comparison]
        ends = test(low, threshold), test(high, threshold)
        inside, outside = all(ends), not any(ends)
    asked = bound(comparison, threshold)
    if measured.is_exact:
        return Verdict(HOLDS if inside else FAILS, f"{short(value)} is {'' if inside else 'not '}{asked}")
    interval = f"[{short(low)}, {short(high)}]"
    if inside:
        return Verdict(HOLDS, f"the whole {measured.level:.0%} interval {interval} is {asked}")
    if outside:
        return Verdict(FAILS, f"the whole {measured.level:.0%} interval {interval} violates {asked}")
    if comparison == EQUIVALENCE:
        return Verdict(FAILS, f"interval {interval} reaches beyond ±{short(threshold)}")
    return Verdict(FAILS, f"interval {interval} includes the threshold {short(threshold)}")


def short(value: float) -> str:
    """A number as it is printed: four significant digits, no trailing zeros.

    >>> short(0.0100), short(12345.6), short(-0.00001234)
    ('0.01', '12346', '-1.234e-05')
    """
    if not math.isfinite(value):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
