"""Rules as what rule engines read, and back: JsonLogic (jsonlogic.com) and an SQL condition.

>>> rule = Rule((Condition("amount", 195, 205), Condition("device", values=("ios",))))
>>> print(sql(rule))
("amount" BETWEEN 195.0 AND 205.0 AND "device" IN ('ios'))
>>> read_sql(sql(rule)) == [rule] == read_json_logic(json_logic(rule))
True

Numbers are written so that they come back to the last bit. Several rules are alternatives (or). JsonLogic takes what is
missing for 0, so that every condition there first asks whether there is a value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ethogram.errors import OptionError
from ethogram.numeric.rules import Condition, Rule


def json_logic(rules: Rule | Iterable[Rule]) -> dict[str, Any]:
    """As JsonLogic: ``{"or": [{"and": [...]}, ...]}``; infinite ends are left out."""
    return {"or": [{"and": [_logic(c) for c in r.conditions]} for r in _several(rules)]}


def _logic(c: Condition) -> dict[str, Any]:
    value = {"var": c.column}
    if c.values:
        asked: list[dict[str, Any]] = [{"in": [value, list(c.values)]}]
    elif math.isinf(c.low) and math.isinf(c.high):
        asked = []
    elif math.isinf(c.low):
        asked = [{"<=": [value, c.high]}]
    elif math.isinf(c.high):
        asked = [{">=": [value, c.low]}]
    else:
        asked = [{"<=": [c.low, value, c.high]}]
    return {"and": [{"!=": [value, None]}, *asked]}


def read_json_logic(logic: Mapping[str, Any]) -> list[Rule]:
    """The rules in what `json_logic` wrote.

    Raises
    ------
    OptionError
        It is JsonLogic of another form.
    """
    try:
        return [Rule(tuple(_condition(c["and"]) for c in r["and"])) for r in logic["or"]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise OptionError(f"this JsonLogic is no list of rules as `json_logic` writes them ({error!r}).") from None


def _condition(parts: list[dict[str, Any]]) -> Condition:
    column = str(parts[0]["!="][0]["var"])
    if len(parts) == 1:
        return Condition(column)
    (sign, given), *_ = parts[1].items()
    if len(parts) > 2 or {"var": column} not in given:
        raise ValueError(f"what is asked of {column}")
    if sign == "in":
        return Condition(column, values=tuple(given[1]))
    if sign == ">=":
        return Condition(column, low=given[1])
    if sign == "<=" and len(given) == 3:
        return Condition(column, low=given[0], high=given[2])
    if sign == "<=":
        return Condition(column, high=given[1])
    raise ValueError(f"operator {sign}")


def sql(rules: Rule | Iterable[Rule]) -> str:
    """As a condition of standard SQL (what stands behind WHERE); no rule is FALSE, a rule without conditions TRUE."""
    told = ["(" + (" AND ".join(_said(c) for c in r.conditions) or "TRUE") + ")" for r in _several(rules)]
    return " OR ".join(told) or "FALSE"


def _said(c: Condition) -> str:
    name = '"' + c.column.replace('"', '""') + '"'
    if c.values:
        return f"{name} IN ({', '.join(_quoted(v) for v in c.values)})"
    if math.isinf(c.low) and math.isinf(c.high):
        return f"{name} IS NOT NULL"
    if math.isinf(c.low):
        return f"{name} <= {c.high!r}"
    if math.isinf(c.high):
        return f"{name} >= {c.low!r}"
    return f"{name} BETWEEN {c.low!r} AND {c.high!r}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_TOKEN = re.compile(
    r"""\s*(?:(?P<name>"(?:[^"]|"")+")|(?P<text>'(?:[^']|'')*')|(?P<number>[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"""
    r"""|(?P<word><=|>=|[(),]|[A-Za-z]+))"""
)


def read_sql(text: str) -> list[Rule]:
    """The rules in what `sql` wrote.

    Raises
    ------
    OptionError
        It is a condition of another form; the place is told.
    """
    return _Reader(text).rules()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.tokens = text, 0, []
        place = 0
        while place < len(text.rstrip()):
            match = _TOKEN.match(text, place)
            if match is None:
                raise OptionError(f"SQL condition: cannot read {text[place : place + 20]!r}.")
            self.tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
            place = match.end()

    def rules(self) -> list[Rule]:
        if self.tokens == [("word", "FALSE")]:
            return []
        found = [self.rule()]
        while self.at < len(self.tokens):
            self.take("OR")
            found.append(self.rule())
        return found

    def rule(self) -> Rule:
        self.take("(")
        made: list[Condition] = []
        if self.peek() == "TRUE":
            self.take("TRUE")
        else:
            made.append(self.condition())
            while self.peek() == "AND":
                self.take("AND")
                made.append(self.condition())
        self.take(")")
        return Rule(tuple(made))

    def condition(self) -> Condition:
        name = self.kind("name")[1:-1].replace('""', '"')
        sign = self.kind("word")
        if sign == "<=":
            return Condition(name, high=float(self.kind("number")))
        if sign == ">=":
            return Condition(name, low=float(self.kind("number")))
        if sign == "BETWEEN":
            low = float(self.kind("number"))
            self.take("AND")
            return Condition(name, low, float(self.kind("number")))
        if sign == "IS":
            self.take("NOT")
            self.take("NULL")
            return Condition(name)
        if sign != "IN":
            raise OptionError(f"SQL condition on {name}: '{sign}' is none of <=, >=, BETWEEN, IN, IS NOT NULL.")
        self.take("(")
        values = [self.kind("text")]
        while self.peek() == ",":
            self.take(",")
            values.append(self.kind("text"))
        self.take(")")
        return Condition(name, values=tuple(v[1:-1].replace("''", "'") for v in values))

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, word: str) -> None:
        if self.peek() != word:
            raise OptionError(f"SQL condition: '{word}' is expected where {self.peek() or 'it ends'!r} stands.")
        self.at += 1

    def kind(self, kind: str) -> str:
        found, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "the end")
        if found != kind:
            raise OptionError(f"SQL condition: a {kind} is expected where {text!r} stands.")
        self.at += 1
        return text


def _several(rules: Rule | Iterable[Rule]) -> list[Rule]:
    return [rules] if isinstance(rules, Rule) else list(rules)
