"""Conditions on events as text: hashable, picklable, the same on every engine, and never run as code."""

from __future__ import annotations

import ast
import datetime as dt
import operator
from collections.abc import Callable, Mapping
from typing import Any

from ethogram.errors import StepError, nearest


def columns(text: str) -> set[str]:
    """Names of the columns that a condition reads."""
    return {n.id for n in ast.walk(_parse(text)) if isinstance(n, ast.Name)}


def expression(text: str, known: list[str]) -> Any:
    """A narwhals expression for a condition.

    The language: comparisons of columns with constants or columns (``==  !=  <  <=  >  >=  in  not in
    is None  is not None``), joined by ``and  or  not``. Text compared with `time` is read as an ISO instant.

    Raises
    ------
    StepError
        The text is not a condition, or names a column that the log does not have.

    Examples
    --------
    >>> columns("value >= 4 and kind in ('view', 'buy')") == {"value", "kind"}
    True
    """
    return _Build(known).build(_parse(text))


def translated(text: str, names: Mapping[str, str]) -> str:
    """The condition with columns renamed: people know their source's names, the log its roles.

    >>> translated("stars >= 4 and kind == 'stars'", {"stars": "value"})
    "value >= 4 and kind == 'stars'"
    """
    tree = _parse(text)
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in names]
    for name in found:
        name.id = names[name.id]
    return ast.unparse(tree) if found else text


def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise StepError(
            f"where: '{text}' is not a condition; write for example \"value >= 4 and kind == 'view'\"."
        ) from error


_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class _Build:
    def __init__(self, known: list[str]):
        import narwhals as nw

        self.nw, self.known = nw, known

    def build(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BoolOp):
            parts = [self.build(v) for v in node.values]
            joined = parts[0]
            for part in parts[1:]:
                joined = (joined & part) if isinstance(node.op, ast.And) else (joined | part)
            return joined
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.build(node.operand)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        raise StepError(f"where: cannot read '{ast.unparse(node)}'; use comparisons joined by and, or, not.")

    def _compare(self, node: ast.Compare) -> Any:
        terms = [node.left, *node.comparators]
        is_time = any(isinstance(t, ast.Name) and t.id == "time" for t in terms)
        made = None
        for left, op, right in zip(terms, node.ops, terms[1:], strict=False):
            one = self._one(left, op, right, is_time)
            made = one if made is None else made & one
        return made

    def _one(self, left: ast.expr, op: ast.cmpop, right: ast.expr, is_time: bool) -> Any:
        value = self._value(left, is_time)
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List):
                raise StepError(
                    f"where: '{ast.unparse(right)}' is not a list; write for example kind in ('view', 'buy')."
                )
            inside = value.is_in([self._constant(e, is_time) for e in right.elts])
            return ~inside if isinstance(op, ast.NotIn) else inside
        if isinstance(op, ast.Is | ast.IsNot):
            return value.is_null() if isinstance(op, ast.Is) else ~value.is_null()
        other = self._value(right, is_time)
        return _COMPARE[type(op)](value, other)

    def _value(self, node: ast.expr, is_time: bool) -> Any:
        if isinstance(node, ast.Name):
            if node.id not in self.known:
                raise StepError(
                    f"where: no column '{node.id}'.{nearest(node.id, self.known)} Columns: {', '.join(self.known)}."
                )
            return self.nw.col(node.id)
        return self.nw.lit(self._constant(node, is_time))

    def _constant(self, node: ast.expr, is_time: bool) -> Any:
        try:
            value = ast.literal_eval(node)
        except ValueError as error:
            raise StepError(f"where: '{ast.unparse(node)}' is neither a column nor a constant.") from error
        return instant(value) if is_time and isinstance(value, str) else value


def instant(value: str | dt.datetime | dt.date | int) -> dt.datetime:
    """An instant in UTC from ISO text, a date, a datetime (naive is UTC), or integer microseconds."""
    if isinstance(value, bool):
        raise StepError(f"'{value}' is not an instant.")
    if isinstance(value, int):
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=value)
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError as error:
            raise StepError(
                f"'{value}' is not an instant; write it like 2017-11-25 or 2017-11-25T08:00:00+01:00."
            ) from error
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def micros(value: str | dt.datetime | dt.date | int) -> int:
    """Microseconds since 1970 UTC of whatever `instant` reads."""
    return (instant(value) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


_UNITS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}


def duration(value: str | int | float | dt.timedelta) -> int:
    """Microseconds of a length of time: ``"30m"``, ``"1.5h"``, a timedelta, or a number of seconds.

    >>> duration("30m") == duration(1800)
    True
    """
    if isinstance(value, dt.timedelta):
        return value // dt.timedelta(microseconds=1)
    if isinstance(value, int | float):
        return round(value * 1_000_000)
    text = value.strip().lower()
    for unit in sorted(_UNITS, key=len, reverse=True):
        if text.endswith(unit):
            try:
                return round(float(text[: -len(unit)]) * _UNITS[unit])
            except ValueError:
                break
    raise StepError(f"'{value}' is not a length of time; write for example 30m, 12h or 7d.")
