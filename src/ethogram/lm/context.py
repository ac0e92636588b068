"""What a model is told: named results that texts can point to, and as much as its context holds.

A `Notebook` is the memory of an agent at work: the last exchanges whole, results under names that a text refers to as
``<|name|>``, and everything that was written searchable. `assemble` puts parts of different worth into a budget of
tokens: what is required comes whole, the rest by worth, and what was left out is told.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ethogram.errors import ContextExceeded, UnknownName, unknown
from ethogram.text.bm25 import BM25

Count = Callable[[str], int]
"""Tokens of a text."""
_NAME = re.compile(r"<\|(\w+)\|>")


def about(text: str) -> int:
    """Tokens of a text, estimated: one for four bytes, at least one for each word."""
    return max(-(-len(text.encode()) // 4), len(text.split()))


@dataclass(frozen=True)
class Part:
    """A piece of a prompt. `worth` None means that it must be there."""

    text: str
    worth: float | None = None
    name: str = ""


class Assembled(NamedTuple):
    """The text, how many tokens it takes, and the names (or beginnings) of the parts that did not fit."""

    text: str
    tokens: int
    left_out: tuple[str, ...]


def assemble(parts: Sequence[Part], budget: int, *, count: Count = about, between: str = "\n\n") -> Assembled:
    """Parts in their order, as many as fit: required ones first, then by worth.

    Raises
    ------
    ContextExceeded
        The required parts alone do not fit.

    Examples
    --------
    >>> made = assemble([Part("Answer briefly."), Part("note " * 40, 1.0, "note"), Part("tip", 2.0)], 12)
    >>> made.text, made.left_out
    ('Answer briefly.\\n\\ntip', ('note',))
    """
    kept = [p.worth is None for p in parts]

    def told() -> str:
        return between.join(p.text for p, ok in zip(parts, kept, strict=True) if ok and p.text)

    needed = count(told())
    if needed > budget:
        raise ContextExceeded(f"the required parts take {needed} tokens; the budget is {budget}.")
    order = sorted((i for i, p in enumerate(parts) if p.worth is not None), key=lambda i: (-(parts[i].worth or 0), i))
    for i in order:
        kept[i] = True
        kept[i] = count(told()) <= budget
    lost = tuple(p.name or p.text[:40] for p, ok in zip(parts, kept, strict=True) if not ok)
    return Assembled(told(), count(told()), lost)


class Notebook:
    """Short memory (the last `window` exchanges), named results, and a search over all that was written.

    Examples
    --------
    >>> mine = Notebook()
    >>> mine.write("17 visits on Monday", "visits"), mine.write("3 refunds")
    ('visits', 'note_2')
    >>> mine.resolve("There were <|visits|>.")
    'There were 17 visits on Monday.'
    """

    def __init__(self, window: int = 6):
        self.recent: deque[tuple[str, str]] = deque(maxlen=window)
        self._named: dict[str, str] = {}
        self._index: BM25 | None = None

    def __len__(self) -> int:
        return len(self._named)

    def say(self, role: str, text: str) -> None:
        """An exchange; it leaves the window when newer ones come, and stays in the search."""
        self.recent.append((role, text))
        self.write(text)

    def write(self, text: str, name: str = "") -> str:
        """Keep a text under a name (one is made if none is given), and return the name. A name is written anew."""
        name = name or f"note_{len(self._named) + 1}"
        if not re.fullmatch(r"\w+", name):
            raise UnknownName(f"'{name}' cannot be a name; use letters, digits and underscores.")
        self._named[name] = text
        self._index = None
        return name

    def read(self, name: str) -> str:
        """The text of a name; UnknownName (the nearest is told) if there is none."""
        if name not in self._named:
            raise UnknownName(unknown("name", name, self._named))
        return self._named[name]

    def resolve(self, text: str) -> str:
        """The text with every ``<|name|>`` replaced by what it names; once, so that contents name nothing."""
        return _NAME.sub(lambda m: self.read(m[1]), text)

    def search(self, query: str, k: int = 5) -> list[tuple[str, str]]:
        """The k best (name, text) for some words."""
        if not self._named:
            return []
        if self._index is None:
            self._index = BM25().fit(list(self._named.values()))
        names = list(self._named)
        found = self._index.search([query], k)[1][0]
        return [(names[i], self._named[names[i]]) for i in found if i >= 0]
