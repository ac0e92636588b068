"""Putting cases to a subject and reporting what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from ethogram.verbs.system import Table


@dataclass(frozen=True)
class Item:
    """One case of an audit. `group` is reported by itself; items of one `pair` are twins that are compared."""

    id: str
    inputs: Mapping[str, Any]
    group: str = ""
    pair: str = ""


@dataclass(frozen=True)
class Transcript:
    """What happened when an item was put to a subject: what was said, and what was measured of it."""

    item: str
    said: tuple[tuple[str, str], ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


Interval: TypeAlias = tuple[float, float, float]
"""A value and the ends of its interval."""


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Attributes
    ----------
    metrics : name -> value with the ends of its interval. contrasts : paired differences, likewise.
    verdict : read from the intervals, never from the values; `why` says how in one line.
    notes : what a reader must know to believe it (how answers were obtained, what could not be read).
    pictures : caption -> (a function that draws it, an Altair chart; how it is read).
    """

    key: str
    subject: str
    metrics: Mapping[str, Interval]
    verdict: Literal["pass", "fail", "inconclusive"]
    why: str
    contrasts: Mapping[str, Interval] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rows: Table | None = None
    pictures: Mapping[str, tuple[Callable[[], Any], str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Planted:
    """A subject whose behaviour is known, which the audit must recover: `truth` is metric -> value."""

    name: str
    lm: Any
    truth: Mapping[str, float]
    tolerance: float = 0.1


@runtime_checkable
class Audits(Protocol):
    """Puts cases to a language model or an agent and reports what it does."""

    def items(self, seed: int = 0) -> Sequence[Item]:
        """The cases; ids are unique, equal seeds give equal cases."""

    async def episode(self, item: Item, lm: Any) -> Transcript:
        """Put one case to the subject."""

    def grade(self, item: Item, transcript: Transcript) -> Mapping[str, float | None]:
        """Numbers of one transcript; None where it cannot be read, never silently 0."""

    def summarise(self, rows: Table) -> Report:
        """The report of graded rows (columns `item`, `group`, `pair` and the grades)."""

    def planted(self) -> Sequence[Planted]:
        """Subjects with known behaviour."""
