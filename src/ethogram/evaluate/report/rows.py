"""What a report shows of a measurement: tasks, and one row per system in each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LOWER = frozenset({"logloss", "ece", "brier"})
NEUTRAL = frozenset({"novelty", "gini", "exclude_seen", "repeat_share"})
_TITLES = {
    "auc": "AUC", "gauc": "group AUC", "pr_auc": "PR-AUC", "logloss": "log loss", "ece": "ECE", "brier": "Brier",
    "hr": "HR", "ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "ks": "KS", "user_auc": "AUC within users",
}  # fmt: skip
_SHOWN = {
    "ranking": ("ndcg", "hr", "mrr"),
    "probability": ("gauc", "auc", "logloss", "ece"),
}
_PREFERRED = ("ndcg@10", "gauc", "auc", "recall@10", "hr@10")
REPEAT, EXPLORE = "repeat", "explore"


@dataclass(frozen=True)
class Row:
    """One system in one task, its seeds pooled.

    Attributes
    ----------
    metrics, intervals : by metric name; an interval is (low, high) at 95%.
    gap : difference of the task's metric to its reference: (value, low, high), paired.
    seconds : to fit and to score, per seed. peak_mb : peak anonymous memory above imports, MB.
    latency : milliseconds of a request on the clock (median, 95th percentile), its candidates, its CPU milliseconds.
    """

    label: str
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    floor: bool = False
    gap: tuple[float, float, float] | None = None
    seconds: float | None = None
    peak_mb: float | None = None
    seeds: int = 1
    latency: tuple[float, float, int, float] | None = None

    def drawn(self, metric: str) -> dict[str, Any]:
        """The row as a chart takes it."""
        ends = self.intervals.get(metric)
        between = {"low": ends[0], "high": ends[1]} if ends else {}
        return {"label": self.label, "value": self.metrics[metric], "floor": self.floor, **between}

    def split(self, metric: str) -> dict[str, Any] | None:
        """The metric over repeated and over new targets, where it was measured."""
        parts = {part: self.metrics.get(f"{metric}/{part}", math.nan) for part in (REPEAT, EXPLORE)}
        return None if any(map(math.isnan, parts.values())) else {"label": self.label, **parts}


@dataclass(frozen=True)
class Task:
    """Rows that answer the same questions of the same data under the same protocol.

    Attributes
    ----------
    metric : the metric that orders the rows and is drawn. reference : label that the gaps are taken against.
    unit : what intervals resample, in words. calibration : label -> reliability table.
    curves : fact ("loss") -> label -> what `watch` was told.
    """

    identity: str
    title: str
    words: str
    metric: str
    rows: Sequence[Row]
    reference: str = ""
    unit: str = "users"
    facts: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def ranked(self) -> list[Row]:
        """Rows from the best; those without the metric last."""
        sign = 1 if is_better_low(self.metric) else -1
        value = {r.label: r.metrics.get(self.metric, math.nan) for r in self.rows}
        return sorted(self.rows, key=lambda r: (math.isnan(value[r.label]), sign * value[r.label], r.label))

    def metrics(self) -> list[str]:
        """Names of the metrics to tabulate, the task's own first; parts of a split have their picture."""
        names = dict.fromkeys(m for r in self.rows for m in r.metrics if "/" not in m)
        return sorted(names, key=lambda m: m != self.metric)

    def shown(self) -> list[str]:
        """The few metrics that the main table has room for."""
        there = self.metrics()
        _, at, k = self.metric.partition("@")
        few = [*(m + at + k for m in _SHOWN["ranking"] if at), *(_SHOWN["probability"] if not at else ())]
        return list(dict.fromkeys([*there[:1], *(m for m in few if m in there)])) if there else []

    def best_floor(self) -> Row | None:
        """The floor to beat."""
        return next((r for r in self.ranked() if r.floor and self.metric in r.metrics), None)

    def is_below(self, row: Row, floor: Row) -> bool:
        """Whether a row's metric is worse than the floor's."""
        if self.metric not in row.metrics:
            return False
        worse = row.metrics[self.metric] - floor.metrics[self.metric]
        return worse > 0 if is_better_low(self.metric) else worse < 0

    def found(self) -> str:
        """The finding in one sentence."""
        rows = [r for r in self.ranked() if self.metric in r.metrics]
        if not rows:
            return ""
        title, best, floor = metric_title(self.metric), rows[0], self.best_floor()
        words = f"{self.title}{'' if self.title.endswith('?') else ':'} {best.label} is first"
        words += f" with {title} {number(best.metrics[self.metric])}"
        if ends := best.intervals.get(self.metric):
            words += f" (95% interval {number(ends[0])} to {number(ends[1])})"
        if floor is not None and floor.label != best.label:
            words += f"; the best floor, {floor.label}, has {number(floor.metrics[self.metric])}"
            if self.reference == floor.label and best.gap is not None:
                _, low, high = best.gap
                apart = low > 0 or high < 0
                words += "" if apart else ", and the two are not told apart by these data"
        elif floor is not None:
            words += ": no trained system beats it"
        return words + "."


def preferred(names: Sequence[str]) -> str:
    """The metric to order by, unless one is named."""
    return next((m for m in _PREFERRED if m in names), names[0] if names else "")


def is_better_low(metric: str) -> bool:
    """Whether a lower value of the metric is better."""
    return metric.split("@")[0] in LOWER


def is_neutral(metric: str) -> bool:
    """Whether the metric describes and does not judge."""
    return metric.split("@")[0] in NEUTRAL


def metric_title(metric: str) -> str:
    """A metric as people write it.

    >>> metric_title("ndcg@10"), metric_title("gauc"), metric_title("coverage@10")
    ('NDCG@10', 'group AUC', 'coverage@10')
    """
    name, at, k = metric.partition("@")
    return _TITLES.get(name, name.replace("_", " ")) + at + k


def number(value: float, digits: int = 4) -> str:
    """A value with a fixed number of digits after the point, fewer where it is large.

    >>> number(0.08123), number(14.5678), number(1234.5), number(float("nan"))
    ('0.0812', '14.57', '1,234', '–')
    """
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.{max(digits - 2, 1)}f}"


def signed(value: float) -> str:
    """A difference, with its sign.

    >>> signed(0.0123), signed(-0.0123), signed(0.0)
    ('+0.0123', '−0.0123', '0')
    """
    return "0" if value == 0 else f"{value:+.4f}".replace("-", "−")


def seconds(value: float | None) -> str:
    """A time in seconds to two significant digits.

    >>> seconds(0.0123), seconds(14.4), seconds(1234.0), seconds(None)
    ('0.012', '14', '1,234', '–')
    """
    if not value:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
