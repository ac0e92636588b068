"""Wishes of a user about the model, written as flags: what they ask for, and what they cost each model of a library.

    Explain this contract. [Flag: smallest model]
    [Flag: most recent 0.5] [Flag: size <= 1e9]          a weight; a constraint that removes models

A wish has a column of the library and a direction; its cost is the column scaled to [0, 1] over the library, 0 for the
model that fulfils it best. Sizes, times and prices count by their logarithm, log(1 + x). What a model does not tell
counts as the worst.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, nearest, unknown

WEIGHT = 0.3
NAMED: dict[str, tuple[str, bool]] = {
    "smallest model": ("size", False),
    "smallest": ("size", False),
    "largest model": ("size", True),
    "most recent": ("released", True),
    "newest": ("released", True),
    "fastest": ("latency", False),
    "cheapest": ("price", False),
    "most secure": ("security", True),
    "secure": ("security", True),
    "concise": ("verbosity", False),
    "verbose": ("verbosity", True),
    "readable": ("readability", True),
}
"""Wish -> (column of the library, whether more of it is better)."""
BY_LOGARITHM = ("size", "latency", "price")
_FLAG = re.compile(r"\[\s*flag\s*:\s*([^\[\]]*?)\s*\]", re.IGNORECASE)
_CONSTRAINT = re.compile(r"(\w+)\s*(<=|>=|!=|<|>|=)\s*(\S.*)")
_WEIGHED = re.compile(r"(.*?)\s+(\d+(?:\.\d*)?|\.\d+)")
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What is asked of the model: less, or more, of a column, `weight` of the loss for all of its range."""

    column: str
    more: bool
    weight: float = WEIGHT
    text: str = ""


@dataclass(frozen=True)
class Constraint:
    """What a model must keep: ``column sign value``."""

    column: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.column} {self.sign} {self.value}"


def parse(text: str, weight: float = WEIGHT) -> Wish | Constraint:
    """One flag: a name of `NAMED`, ``low COLUMN`` or ``high COLUMN``, each with a weight behind it or not, or a
    constraint.

    Raises
    ------
    OptionError
        It is none of these; the nearest is told.

    >>> parse("Smallest model 0.5")
    Wish(column='size', more=False, weight=0.5, text='smallest model')
    >>> print(parse("released >= 2024"))
    released >= 2024
    """
    if found := _CONSTRAINT.fullmatch(text.strip()):
        return Constraint(found[1].lower(), found[2], found[3].strip())
    plain = " ".join(text.lower().split())
    if plain not in NAMED and (weighed := _WEIGHED.fullmatch(plain)):
        plain, weight = weighed[1], float(weighed[2])
    if plain in NAMED:
        column, more = NAMED[plain]
        return Wish(column, more, weight, plain)
    if found := re.fullmatch(r"(low|high)\s+(\w+)", plain):
        return Wish(found[2], found[1] == "high", weight, plain)
    raise OptionError(
        f"unknown flag '{text}'.{nearest(plain, NAMED)} Known: {', '.join(NAMED)}, low COLUMN, high COLUMN, or a "
        "constraint such as size <= 1e9."
    )


def read(prompt: str) -> tuple[str, list[str]]:
    """A prompt without its flags, and the flags.

    >>> read("Sum it up. [Flag: smallest model]")
    ('Sum it up.', ['smallest model'])
    """
    found = _FLAG.findall(prompt)
    return (re.sub(r"\s{2,}", " ", _FLAG.sub(" ", prompt)).strip() if found else prompt), found


def costs(library: pa.Table, wish: Wish) -> np.ndarray:
    """C_j: what each model costs this wish, float64[K] in [0, 1].

    Raises
    ------
    OptionError
        The library has no such column, or it holds no numbers or dates.
    """
    x = numbers(library, wish.column)
    if wish.column in BY_LOGARITHM:
        x = np.log1p(np.maximum(x, 0))
    known = x[~np.isnan(x)]
    if not len(known) or known.max() == known.min():
        return np.where(np.isnan(x), 1.0 if len(known) else 0.0, 0.0)
    scaled = (x - known.min()) / (known.max() - known.min())
    return np.where(np.isnan(scaled), 1.0, 1 - scaled if wish.more else scaled)


def keeps(library: pa.Table, constraint: Constraint) -> np.ndarray:
    """Which models keep a constraint, bool[K]; one that does not tell the column keeps none.

    Raises
    ------
    OptionError
        No such column, or the value cannot be compared with it.
    """
    column = _column(library, constraint.column)
    compare = _COMPARE[constraint.sign]
    if pa.types.is_string(column.type) and constraint.sign in ("=", "!="):
        wanted = constraint.value.lower()
        return np.array([v is not None and compare(str(v).lower(), wanted) for v in column.to_pylist()])
    x = numbers(library, constraint.column)
    value = _number(constraint.value)
    if np.isnan(value):
        raise OptionError(f"flag '{constraint}': '{constraint.value}' is no number or date.")
    with np.errstate(invalid="ignore"):
        return np.asarray(compare(x, value) & ~np.isnan(x))


def numbers(library: pa.Table, name: str) -> np.ndarray:
    """A column of the library as numbers, float64[K]: dates as days, yes as 1, NaN where nothing is told."""
    values = [_number(v) for v in _column(library, name).to_pylist()]
    if values and all(np.isnan(v) for v in values):
        raise OptionError(f"column '{name}' of the library holds no numbers or dates, so that no flag can weigh it.")
    return np.array(values, np.float64)


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, date):
        return float(value.toordinal())
    text = str(value).strip()
    try:
        number = float(text) if not isinstance(value, bool) else float(value)
    except ValueError:
        try:
            return float(date.fromisoformat(text[:10]).toordinal())
        except ValueError:
            return float("nan")
    # a year alone is a date, so that "released >= 2024" compares with days
    if re.fullmatch(r"(19|20)\d\d", text):
        return float(date(int(text), 1, 1).toordinal())
    return number


def _column(library: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in library.column_names[1:]:
        raise OptionError(
            unknown("column of the library", name, library.column_names[1:])
            + " A flag needs what it is about in the items table of the log."
        )
    return library.column(name)


def settle(texts: Sequence[str], weight: float) -> tuple[tuple[Wish, ...], tuple[Constraint, ...]]:
    """Wishes and constraints of flags; of several wishes about one column the last holds."""
    wishes: dict[str, Wish] = {}
    constraints = []
    for text in texts:
        found = parse(text, weight)
        if isinstance(found, Wish):
            wishes[found.column] = found
        else:
            constraints.append(found)
    return tuple(wishes.values()), tuple(constraints)


def told(costs: Mapping[str, float]) -> str:
    """Parts of a penalty in words."""
    return ", ".join(f"{name} {cost:+.3g}" for name, cost in costs.items())
