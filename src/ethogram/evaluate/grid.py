"""A claim as a grid: arms times data sets times seeds, and the conditions that must hold.

>>> from ethogram.evaluate.verdict import Gap
>>> grid = Grid(
...     arms={"sdim": "sdim", "short only": ("sdim", {"long": 0})},
...     data=["interests", "ml_100k"],
...     metric="auc",
...     holds=[Gap("sdim", "short only") >= 0.01],
... )
>>> [(c.arm, c.data, c.seed) for c in grid.cells()][:2], len(grid.cells())
([('sdim', 'interests', 0), ('short only', 'interests', 0)], 8)

The first data set gets all seeds and the ablations; the others get one seed, and what is said of them is marked
"1 seed". `evaluate.bench` runs a grid; this file knows no system and no data set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ethogram.errors import OptionError, unknown
from ethogram.evaluate.effects import COSTS
from ethogram.evaluate.verdict import Condition, Estimate, bound
from ethogram.log.condition import duration

__all__ = ["Cell", "Data", "Grid", "Outcome"]

Arm = Any
"""A system's key, ``(key, options)``, a system with options set, or a function that makes one."""


class Data(NamedTuple):
    """A data set of a grid: its label, and how to get it."""

    label: str
    name: str | None = None
    "Name to load by, with `options`."
    options: Mapping[str, Any] = {}
    make: Callable[..., Any] | None = None
    "Or a function that returns a Log or a Split; where it takes `quick`, it is told."

    @classmethod
    def of(cls, given: Any) -> Data:
        """From ``"name"``, ``("name", options)``, ``("label", function)`` or a function."""
        if isinstance(given, Data):
            return given
        if isinstance(given, str):
            return cls(given, given)
        if callable(given):
            return cls(getattr(given, "__name__", "data"), make=given)
        if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
            label, how = given
            if callable(how):
                return cls(label, make=how)
            if isinstance(how, Mapping):
                return cls(label, label, how)
        raise OptionError(f"grid: {given!r} is no data set; give a name, (name, options), (label, function).")


class Cell(NamedTuple):
    """One run of a grid."""

    arm: str
    data: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is run, and what must be true of it.

    Parameters
    ----------
    arms : label -> arm. ablations : arms that are run on the first data set only.
    data : the data sets; see `Data.of`.
    holds : conditions. Each is decided on every data set on which all its arms are run, unless it says `.on(...)`.
    metric : what conditions compare that name no metric.
    seeds : on the first data set.
    protocol, split, questions, part, ks, exclude_seen, which : how a log is cut and asked; see `evaluate.run`
        (`questions` is its `task`; by default ``next`` for metrics of ranked lists, else ``slates``).
    budget : CPU time for all cells; what is not run by then is not measurable, and says so.
    memory_gb : memory of the machine below which the grid is not begun.
    quick : options that a quick run sets on every arm that has them.
    """

    arms: Mapping[str, Arm]
    data: Sequence[Any]
    holds: Sequence[Condition]
    metric: str = "auc"
    seeds: int = 3
    ablations: Mapping[str, Arm] = field(default_factory=dict)
    protocol: str | None = "temporal"
    split: Mapping[str, Any] = field(default_factory=dict)
    questions: str | None = None
    part: str = "test"
    ks: Sequence[int] = (5, 10, 20)
    exclude_seen: bool | None = None
    which: str | None = None
    budget: str = "60m"
    memory_gb: float = 0.0
    quick: Mapping[str, Any] = field(default_factory=lambda: {"epochs": 1})

    def __post_init__(self) -> None:
        if not self.arms or not self.data or self.seeds < 1:
            raise OptionError("grid: it takes at least one arm, one data set and one seed.")
        if twice := sorted(set(self.arms) & set(self.ablations)):
            raise OptionError(f"grid: '{twice[0]}' is an arm and an ablation.")
        labels = [d.label for d in self.sets]
        if len(set(labels)) < len(labels):
            raise OptionError(f"grid: two data sets have one label among {', '.join(labels)}; use (label, function).")
        for condition in self.holds:
            for arm in condition.measure.arms:
                if arm not in self.everybody:
                    raise OptionError(f"grid: {condition}: " + unknown("arm", arm, self.everybody))
            for label in condition.data:
                if label not in labels:
                    raise OptionError(f"grid: {condition}: " + unknown("data set", label, labels))
            if not self.places(condition):
                raise OptionError(f"grid: {condition}: an ablation is only run on {labels[0]}.")
        duration(self.budget)

    @property
    def sets(self) -> list[Data]:
        """The data sets, resolved to labels."""
        return [Data.of(d) for d in self.data]

    @property
    def everybody(self) -> dict[str, Arm]:
        """Arms and ablations."""
        return {**self.arms, **self.ablations}

    @property
    def seconds(self) -> float:
        """The budget, CPU seconds."""
        return duration(self.budget) / 1e6

    def runs_on(self, place: int) -> tuple[list[str], int]:
        """(arms, seeds) of the data set at this place."""
        return (list(self.everybody), self.seeds) if place == 0 else (list(self.arms), 1)

    def cells(self) -> list[Cell]:
        """All runs in their order: data set by data set, round by round, the arms of a round in turn."""
        return [
            Cell(arm, data.label, seed)
            for place, data in enumerate(self.sets)
            for arms, seeds in [self.runs_on(place)]
            for seed in range(seeds)
            for arm in arms
        ]

    def places(self, condition: Condition) -> list[int]:
        """Places of the data sets on which a condition is decided."""
        return [
            place
            for place, data in enumerate(self.sets)
            if (not condition.data or data.label in condition.data)
            and set(condition.measure.arms) <= set(self.runs_on(place)[0])
        ]

    @property
    def asks(self) -> str | None:
        """The task of the runs; all arms get the same, whatever their area."""
        named = {self.metric, *(c.measure.metric or self.metric for c in self.holds)} - set(COSTS)
        if self.questions or not named:
            return self.questions
        return "next" if any("@" in m or m.split("/")[0] == "mrr" for m in named) else "slates"

    def measures_costs(self) -> bool:
        """Whether a condition is about seconds or memory, so that the arms of a round have to run together."""
        return any((c.measure.metric or self.metric) in COSTS for c in self.holds)


@dataclass(frozen=True)
class Outcome:
    """One condition or law, measured."""

    text: str
    comparison: str
    threshold: float
    verdict: str
    why: str
    measured: Estimate | None = None
    data: str = ""
    metric: str = ""

    def summary(self) -> dict[str, Any]:
        """What a caller of `reproduce` reads; `measured` is the point estimate."""
        value = None if self.measured is None else _finite(self.measured.value)
        return {
            "text": self.text, "measured": value, "threshold": _finite(self.threshold),
            "verdict": self.verdict, "why": self.why,
        }  # fmt: skip

    def json(self) -> dict[str, Any]:
        """Everything, as strict JSON."""
        found = self.measured
        ends = None if found is None else [_finite(found.low), _finite(found.high)]
        more = {} if found is None else {"level": found.level, "units": found.units, "unit": found.unit}
        seeds = [] if found is None else [_finite(s) for s in found.seeds]
        return self.summary() | {
            "comparison": self.comparison, "interval": ends, "seeds": seeds, "data": self.data,
            "metric": self.metric, **more,
        }  # fmt: skip

    def __str__(self) -> str:
        asked = bound(self.comparison, self.threshold)
        shown = "–" if self.measured is None else str(self.measured)
        return f"{self.verdict}: {self.text}: {shown} (asked {asked}); {self.why}"


def worded(condition: Condition, metric: str, data: str, seeds: int, planned: int) -> str:
    """A condition on a data set in words; fewer seeds than the first data set has are told."""
    few = "" if seeds == planned and planned > 1 else f", {seeds} seed{'s' if seeds != 1 else ''}"
    return f"{metric} on {data}{few}: {condition.asked}"


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None
