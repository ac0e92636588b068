"""Formulas: their text, their negation normal form, and how they read a symbol.

==================  ==========================================================================
``a``               the symbol here is a (exactly one symbol holds at each position)
``! & | -> <->``    not, and, or, implies, if and only if (also ``not and or``, ``∧ ∨ ¬ →``)
``X f``, ``N f``    strong next: there is a next position, f holds there; weak: if there is one
``f U g``, ``f R g``  g comes, f until then; g holds up to and with the first f, or to the end
``f W g``           f until g, or f to the end
``F f``, ``G f``    at some, at every position from here
``last``            this is the last position (``N false``)
``next(a, b, c)``   ``a & X (b & X c)``
``until(b, c)``     b again and again, whole each time, and then c; b is a symbol or ``next(...)``
==================  ==========================================================================

``until(next(b1, ..., bn), c)`` stands for ``(b1 | c) & (B U c)`` with
``B = (b1 & X b2) | ... | (bn & X (b1 | c))``; its symbols must differ.

Bacchus, Kabanza (1998) for progression; De Giacomo, Vardi (IJCAI 2013) for finite traces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from ethogram.errors import OptionError, nearest


class Formula(NamedTuple):
    """A formula in negation normal form.

    `op` is one of ``true false p !p & | X N U R``, and ``end``, ``more`` (nothing, something is left to read).
    """

    op: str
    name: str = ""
    parts: tuple[Formula, ...] = ()

    def __str__(self) -> str:
        if self.op in ("p", "!p"):
            return self.op[:-1] + self.name
        if not self.parts:
            return self.op
        if self.op in ("U", "R") and self.parts[0].op == ("true" if self.op == "U" else "false"):
            return f"{'F' if self.op == 'U' else 'G'} {_wrapped(self.parts[1])}"
        if self == LAST:
            return "last"
        if len(self.parts) == 1:
            return f"{self.op} {_wrapped(self.parts[0])}"
        return f" {self.op} ".join(map(_wrapped, self.parts))


TRUE, FALSE, END, MORE = Formula("true"), Formula("false"), Formula("end"), Formula("more")
LAST = Formula("N", "", (FALSE,))
_DUAL = {"true": "false", "false": "true", "&": "|", "|": "&", "X": "N", "N": "X", "U": "R", "R": "U", "p": "!p"}
_DUAL |= {"!p": "p", "end": "more", "more": "end"}
_WORDS = {"∧": "&", "∨": "|", "¬": "!", "~": "!", "→": "->", "and": "&", "or": "|", "not": "!", "&&": "&", "||": "|"}
_WORDS |= {"⊤": "true", "⊥": "false", "↔": "<->", "==": "<->"}
RESERVED = frozenset(["X", "N", "U", "R", "W", "F", "G", "true", "false", "last", "next", "until", "and", "or", "not"])
_TOKEN = re.compile(r"\s*(<->|->|&&|\|\||[&|!~()¬∧∨→↔⊤⊥,]|[A-Za-z_]\w*|\S)")


def _wrapped(formula: Formula) -> str:
    made = str(formula)
    return f"({made})" if len(formula.parts) > 1 and " " in made and made[:2] not in ("F ", "G ") else made


def negate(formula: Formula) -> Formula:
    """The negation, pushed down to the symbols."""
    return Formula(_DUAL[formula.op], formula.name, tuple(map(negate, formula.parts)))


def both(*parts: Formula) -> Formula:
    """Conjunction, flattened, with what is true left out."""
    return _joined("&", parts, TRUE, FALSE)


def either(*parts: Formula) -> Formula:
    """Disjunction, flattened, with what is false left out."""
    return _joined("|", parts, FALSE, TRUE)


def _joined(op: str, parts: Iterable[Formula], nothing: Formula, everything: Formula) -> Formula:
    flat: dict[Formula, None] = {}
    for part in parts:
        for inner in part.parts if part.op == op else (part,):
            if inner == everything:
                return everything
            if inner != nothing:
                flat[inner] = None
    return next(iter(flat)) if len(flat) == 1 else Formula(op, "", tuple(flat)) if flat else nothing


def symbol(name: str) -> Formula:
    return Formula("p", name)


def until(block: tuple[Formula, ...], after: Formula) -> Formula:
    """``block`` whole again and again, then ``after``."""
    names = [b.name for b in block]
    if any(b.op != "p" for b in block) or len(set(names)) != len(names):
        raise OptionError("until(block, c): a block is a symbol or next(...) of different symbols.")
    if len(block) == 1:
        return Formula("U", "", (block[0], after))
    again = either(block[0], after)
    steps = [both(a, Formula("X", "", (b,))) for a, b in pairwise(block)]
    body = either(*steps, both(block[-1], Formula("X", "", (again,))))
    return both(again, Formula("U", "", (body, after)))


def parse(text: str, names: Iterable[str] | None = None) -> Formula:
    """The formula that a text says.

    Parameters
    ----------
    names : the symbols that exist; None takes every name that stands in the text.

    Raises
    ------
    OptionError
        The text is no formula (the place is told), or names a symbol that does not exist (the nearest is told).

    Examples
    --------
    >>> print(parse("!(a U b)"))
    !a R !b
    """
    return _Parser(text, None if names is None else list(names)).read()


def symbols(formula: Formula) -> list[str]:
    """Names in a formula, in order of first appearance."""
    found: dict[str, None] = {formula.name: None} if formula.name else {}
    for part in formula.parts:
        found |= dict.fromkeys(symbols(part))
    return list(found)


class _Parser:
    """Recursive descent, loosest first: <->, ->, |, &, then U R W (to the right), then ! X N F G."""

    def __init__(self, text: str, names: list[str] | None):
        self.text, self.names, self.at = text, names, 0
        self.tokens = [(m[1], m.start(1)) for m in _TOKEN.finditer(text) if m[1]]

    def read(self) -> Formula:
        made = self.equal()
        if self.at < len(self.tokens):
            raise self.wrong("an operator or the end")
        return made

    def peek(self) -> str:
        token = self.tokens[self.at][0] if self.at < len(self.tokens) else ""
        return _WORDS.get(token, token)

    def take(self, *wanted: str) -> bool:
        if self.peek() in wanted and self.at < len(self.tokens):
            self.at += 1
            return True
        return False

    def need(self, token: str) -> None:
        if not self.take(token):
            raise self.wrong(f"'{token}'")

    def wrong(self, expected: str) -> OptionError:
        if self.at >= len(self.tokens):
            return OptionError(f"formula '{self.text}' ends where {expected} should stand.")
        token, place = self.tokens[self.at]
        return OptionError(f"formula '{self.text}': '{token}' at {place} stands where {expected} should.")

    def equal(self) -> Formula:
        left = self.implied()
        while self.take("<->"):
            right = self.implied()
            left = either(both(left, right), both(negate(left), negate(right)))
        return left

    def implied(self) -> Formula:
        left = self.alternative()
        return either(negate(left), self.implied()) if self.take("->") else left

    def alternative(self) -> Formula:
        parts = [self.joint()]
        while self.take("|"):
            parts.append(self.joint())
        return either(*parts)

    def joint(self) -> Formula:
        parts = [self.lasting()]
        while self.take("&"):
            parts.append(self.lasting())
        return both(*parts)

    def lasting(self) -> Formula:
        left = self.single()
        op = self.peek()
        if not self.take("U", "R", "W"):
            return left
        right = self.lasting()
        if op == "W":  # f W g = g R (f | g)
            return Formula("R", "", (right, either(left, right)))
        return Formula(op, "", (left, right))

    def single(self) -> Formula:
        token = self.peek()
        if self.take("!"):
            return negate(self.single())
        if self.take("X", "N"):
            return Formula(token, "", (self.single(),))
        if self.take("F"):
            return Formula("U", "", (TRUE, self.single()))
        if self.take("G"):
            return Formula("R", "", (FALSE, self.single()))
        if self.take("("):
            made = self.equal()
            self.need(")")
            return made
        if self.take("true"):
            return TRUE
        if self.take("false"):
            return FALSE
        if self.take("last"):
            return LAST
        if self.take("next"):
            return chain(self.arguments())
        if self.take("until"):
            return self.repeated()
        if not re.fullmatch(r"[A-Za-z_]\w*", token) or token in RESERVED:
            raise self.wrong("a symbol or '('")
        if self.names is not None and token not in self.names:
            known = ", ".join(self.names)
            near = nearest(token, self.names)
            raise OptionError(f"formula '{self.text}': there is no symbol '{token}'.{near} Symbols: {known}.")
        self.at += 1
        return symbol(token)

    def arguments(self) -> tuple[Formula, ...]:
        self.need("(")
        parts = [self.equal()]
        while self.take(","):
            parts.append(self.equal())
        self.need(")")
        return tuple(parts)

    def repeated(self) -> Formula:
        self.need("(")
        block = self.arguments() if self.take("next") else (self.equal(),)
        self.need(",")
        after = self.equal()
        self.need(")")
        return until(block, after)


def chain(parts: tuple[Formula, ...]) -> Formula:
    """``a & X (b & X c)``."""
    return parts[0] if len(parts) == 1 else both(parts[0], Formula("X", "", (chain(parts[1:]),)))
