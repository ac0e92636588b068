"""Rules that say in a few conditions on named columns who belongs to a group; they are predicates, and read as text.

>>> rule = Rule((Condition("amount", 195, 205), Condition("account_age", high=3)))
>>> print(rule)
amount between 195 and 205 and account_age at most 3
>>> rule.applies({"amount": [200, 200, 90], "account_age": [1.5, 40, 1.0]}).tolist()
[True, False, False]

A condition is an interval of a number or a set of values of a text; what is missing or NaN fulfils none.
`rule_learning` finds rules, `rule_formats` gives them to rule engines.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, nearest

Rows: TypeAlias = pa.Table | Mapping[str, Any]
"""Columns by name, all of one length."""


@dataclass(frozen=True)
class Condition:
    """``low <= column <= high`` for a number, ``column in values`` for a text."""

    column: str
    low: float = -math.inf
    high: float = math.inf
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.column:
            raise OptionError("a condition names a column.")
        if math.isnan(self.low) or math.isnan(self.high) or self.low > self.high:
            raise OptionError(f"condition on {self.column}: [{self.low}, {self.high}] is no interval.")
        if self.values and (self.low, self.high) != (-math.inf, math.inf):
            raise OptionError(f"condition on {self.column}: give an interval or values, not both.")
        # equal conditions are equal whatever number types and order they were given in
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        object.__setattr__(self, "values", tuple(sorted(set(map(str, self.values)))))

    def applies(self, rows: Rows) -> np.ndarray:
        """bool[n].

        Raises
        ------
        OptionError
            There is no such column, or it holds text where the condition is about a number, or the reverse.
        """
        found = column(rows, self.column)
        if self.values:
            if found.dtype != object:
                raise OptionError(
                    f"{self.column} holds numbers; the rule asks whether it is {' or '.join(self.values)}."
                )
            return np.isin(found.astype(str), self.values) & np.array([v is not None for v in found], bool)
        if found.dtype == object:
            raise OptionError(f"{self.column} holds text; the rule asks for {self}.")
        with np.errstate(invalid="ignore"):
            return np.asarray((found >= self.low) & (found <= self.high))

    def __str__(self) -> str:
        if self.values:
            return f"{self.column} is {' or '.join(self.values)}"
        if self.low == self.high:
            return f"{self.column} is {number(self.low)}"
        if math.isinf(self.low) and math.isinf(self.high):
            return f"{self.column} is known"
        if math.isinf(self.low):
            return f"{self.column} at most {number(self.high)}"
        if math.isinf(self.high):
            return f"{self.column} at least {number(self.low)}"
        return f"{self.column} between {number(self.low)} and {number(self.high)}"


@dataclass(frozen=True)
class Quality:
    """How well a rule meets a group among n rows.

    `covered` rows meet the rule, `hits` of them are of the group, which has `size` rows.
    """

    covered: int
    hits: int
    size: int
    n: int

    @property
    def precision(self) -> float:
        return self.hits / self.covered if self.covered else math.nan

    @property
    def recall(self) -> float:
        return self.hits / self.size if self.size else math.nan

    @property
    def lift(self) -> float:
        """Precision over the group's share of all rows."""
        return self.precision * self.n / self.size if self.size else math.nan

    @property
    def f1(self) -> float:
        return self.f(1.0)

    def f(self, beta: float) -> float:
        """F_beta: recall counts `beta` times as much as precision; 0 where nothing is covered and nothing there."""
        whole = self.covered + beta**2 * self.size
        return (1 + beta**2) * self.hits / whole if whole else 0.0


@dataclass(frozen=True)
class Rule:
    """All conditions hold. `learnt` is measured on the rows that made the rule, `held` on rows kept back."""

    conditions: tuple[Condition, ...]
    learnt: Quality | None = None
    held: Quality | None = None

    def applies(self, rows: Rows) -> np.ndarray:
        """bool[n]: which rows meet all conditions; see `Condition.applies`."""
        found = [c.applies(rows) for c in self.conditions]
        return np.logical_and.reduce(found) if found else np.ones(length(rows), bool)

    def measured(self, rows: Rows, target: np.ndarray) -> Quality:
        """Against a group, bool[n]."""
        return quality(self.applies(rows), np.asarray(target, bool))

    def __str__(self) -> str:
        return " and ".join(map(str, self.conditions)) or "always"


def quality(covered: np.ndarray, target: np.ndarray) -> Quality:
    """Of rows that a rule covers, bool[n], against a group, bool[n]."""
    return Quality(int(covered.sum()), int((covered & target).sum()), int(target.sum()), len(target))


def applies(rules: Iterable[Rule], rows: Rows) -> np.ndarray:
    """bool[n]: which rows meet one of the rules."""
    return np.logical_or.reduce([np.zeros(length(rows), bool), *(r.applies(rows) for r in rules)])


def names(rows: Rows) -> list[str]:
    return list(rows.column_names) if isinstance(rows, pa.Table) else list(rows)


def length(rows: Rows) -> int:
    if isinstance(rows, pa.Table):
        return int(rows.num_rows)
    return len(next(iter(rows.values()))) if rows else 0


def column(rows: Rows, name: str) -> np.ndarray:
    """A column as float64 with NaN for what is missing, or as objects (text or None)."""
    if name not in names(rows):
        raise OptionError(
            f"there is no column '{name}'.{nearest(name, names(rows))} Columns: {', '.join(names(rows))}."
        )
    held = rows[name]
    if isinstance(held, pa.ChunkedArray | pa.Array):
        kind = held.type.value_type if pa.types.is_dictionary(held.type) else held.type
        if pa.types.is_boolean(kind):
            held = held.cast(pa.int8())
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            return (
                np.asarray(held.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
                if isinstance(held, pa.Array)
                else np.asarray(held.cast(pa.float64()).to_numpy(), np.float64)
            )
        return np.array([None if v is None else str(v) for v in held.to_pylist()], object)
    values = np.asarray(held)
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    return np.array([None if v is None else str(v) for v in values.tolist()], object)


def number(value: float) -> str:
    """As people write it: no trailing zeros, thousands apart.

    >>> number(3.0), number(12_500.0), number(0.25)
    ('3', '12,500', '0.25')
    """
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:,.6g}"
