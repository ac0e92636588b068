"""Who takes part: the systems of an area that learn from a log and score, with the ways in which they stand there.

A system that keeps a vector per user takes part in two ways that one fit answers: with users as they were trained,
and folded in from their histories as if they were strangers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ethogram import catalogue
from ethogram.catalogue import SystemInfo
from ethogram.errors import MissingExtra, OptionError, RolesError, UnknownName, unknown
from ethogram.log.goals import goals
from ethogram.system import info, options, system

FOLD_IN, TRAINED, FOLDED = "fold_in", "strangers", "always"
TASKS = {"rank": "slates"}
"""Area -> what its systems are asked; ``next`` where nothing is said."""
QUICK = {"epochs": 1}


@dataclass(frozen=True)
class Entrant:
    """A system that takes part: its options as given, and the options of each way in which it stands."""

    key: str
    given: Mapping[str, Any] = field(default_factory=dict)
    ways: tuple[Mapping[str, Any], ...] = ({},)
    floor: bool = False

    def built(self, way: int = 0) -> Any:
        """The unfitted system of a way."""
        return system(self.key, **self.given, **self.ways[way])


class LeftOut(NamedTuple):
    """A system that did not take part to the end. how: left out, stopped, timed out, failed."""

    key: str
    how: str
    why: str


def entrants(
    area: str, chosen: Sequence[tuple[str, Mapping[str, Any]]] = (), *, quick: bool = False
) -> tuple[list[Entrant], list[LeftOut]]:
    """Who takes part, and who cannot from the start: it does not score, or a package is missing.

    Parameters
    ----------
    chosen : (key, options) of those wanted; all of the area if empty. quick : one epoch where there are epochs.

    Raises
    ------
    UnknownName
        No such area or system.
    OptionError
        The area has nobody who learns from a log and scores, or a chosen system is of another area or cannot score.
    """
    there = catalogue.systems(area)
    able = [s for s in there if "score" in s.verbs]
    if not able:
        fitting = sorted({s.area for s in catalogue.systems(verb="score")})
        has = "; ".join(f"{s.key}: {', '.join(s.verbs)}" for s in there) or "nothing yet"
        raise OptionError(
            f"area '{area}' has no system that learns from a log and scores, so there is nothing to measure side by"
            f" side (it has {has}). Areas that have: {', '.join(fitting)}."
        )
    wanted = list(chosen) or [(s.key, {}) for s in there]
    found, left = [], []
    for key, given in wanted:
        known = _of(area, key, there)
        if "score" not in known.verbs:
            why = f"it does not score ({', '.join(known.verbs)}): it is put together from systems that do"
            if chosen:
                raise OptionError(f"{key}: {why}; choose among {', '.join(s.key for s in able)}.")
            left.append(LeftOut(key, "left out", why))
            continue
        try:
            known.require()
        except MissingExtra as error:
            left.append(LeftOut(key, "left out", str(error)))
            continue
        found.append(_entrant(known, dict(given), quick))
    return found, left


def _of(area: str, key: str, there: Sequence[SystemInfo]) -> SystemInfo:
    known = {s.key: s for s in there}
    if key in known:
        return known[key]
    try:
        other = info(key)
    except UnknownName:
        raise UnknownName(unknown(f"system of area {area}", key, known)) from None
    raise OptionError(f"'{key}' is of area {other.area}, not {area}. Systems of {area}: {', '.join(known)}.")


def _entrant(known: SystemInfo, given: dict[str, Any], quick: bool) -> Entrant:
    named = {o.name for o in known.options}
    if quick:
        given = {**{n: v for n, v in QUICK.items() if n in named}, **given}
    both = FOLD_IN in named and FOLD_IN not in given and options(system(known.key, **given))[FOLD_IN] == TRAINED
    ways = ({FOLD_IN: TRAINED}, {FOLD_IN: FOLDED}) if both else ({},)
    return Entrant(known.key, given, ways, known.baseline)


def check(area: str, log: Any, name: str) -> None:
    """Refuse a log that lacks what every system of the area learns from.

    Raises
    ------
    RolesError
        It has no items, or, for systems that rank what was shown, no answers.
    """
    if log.roles.item is None:
        raise RolesError(
            f"{name} has no role 'item', and systems of area {area} learn who took which item; name its column:"
            " --item COLUMN."
        )
    if TASKS.get(area) == "slates" and not goals(log.rows().columns):
        raise RolesError(
            f"{name} has no role 'label', and systems of area {area} learn from answers to what was shown; name the"
            " column: --label COLUMN, or take a data set that has answers (ethogram data ls)."
        )
