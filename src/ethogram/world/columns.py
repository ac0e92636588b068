"""What is known of everybody, as columns: one array per trait, a row per person.

    columns={"hunger": 0.0, "wealth": Column("float32", initial=lambda luck: luck.normal("wealth")[:, 0])}
    things={"bench": {"seats": [2, 1, 3]}}           # what is no person: column "bench.seats"
    facts={"rain": 0.0}                              # one number for the whole world

Columns are 4 bytes a person where nothing else is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.errors import WorldError
from ethogram.world.draws import BIRTH, WORLD, Draws, Luck

UID, WAKE, POLICY = "uid", "wake", "policy"
OWN = (UID, WAKE, POLICY)
"""Columns that every world has: identity, tick of the next wake, and place of the policy."""
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Column:
    """A column as it is declared.

    Attributes
    ----------
    kind : NumPy type. width : numbers per row, 0 for one plain number.
    initial : a value, an array, or a function of the luck of all rows that returns an array.
    """

    kind: str = "float32"
    width: int = 0
    initial: Any = 0

    def build(self, name: str, n: int, luck: Luck) -> np.ndarray:
        """The column at the beginning; WorldError where it does not have a row each."""
        shape = (n, self.width) if self.width else (n,)
        first = self.initial(luck) if callable(self.initial) else self.initial
        try:
            return np.array(np.broadcast_to(np.asarray(first, self.kind), shape), order="C")
        except (ValueError, TypeError) as error:
            raise WorldError(f"column '{name}': {error}; it needs {self.kind} of shape {shape}.") from None


def declared(value: Any) -> Column:
    """A column from what a caller wrote: a Column, a number, an array, or a function of luck."""
    if isinstance(value, Column):
        return value
    if isinstance(value, Callable):  # type: ignore[arg-type]
        return Column(initial=value)
    given = np.asarray(value)
    if given.dtype.kind not in "biuf":
        raise WorldError(f"a column holds numbers, not {given.dtype}; put texts into a persona, or code them.")
    small = {"f": "float32", "i": "int32", "b": "bool"}
    kind = small.get(given.dtype.kind, given.dtype.name) if not isinstance(value, np.ndarray) else given.dtype.name
    return Column(kind, given.shape[1] if given.ndim == 2 else 0, given)


def build(
    people: int, columns: Mapping[str, Any], things: Mapping[str, Mapping[str, Any]], facts: Mapping[str, Any],
    seed: int, uid: Any = None, first: Any = 0,
) -> dict[str, np.ndarray]:  # fmt: skip
    """All arrays of a world at the beginning, by name.

    Raises
    ------
    WorldError
        A name is taken, is no name, or a column has another number of rows than there are people or things.
    """
    draws = Draws(seed, "birth")
    if people < 0:
        raise WorldError(f"a world of {people} people; give 0 or more.")
    ids = np.arange(people, dtype=np.uint32) if uid is None else np.asarray(uid)
    twice = uid is not None and not np.diff(np.sort(ids)).all()
    if len(ids) != people or twice or (people and (ids.min() < 0 or ids.max() >= WORLD)):
        raise WorldError(f"uid: {people} different numbers from 0 to {WORLD - 1} are needed.")
    made = {UID: ids.astype(np.uint32)}
    luck = draws.at(made[UID], BIRTH)
    _check([*columns, *things, *facts])
    for name, value in columns.items():
        made[name] = declared(value).build(name, people, luck)
    made[WAKE] = Column("int64", 0, first).build("first", people, luck)
    made[POLICY] = np.zeros(people, np.int16)
    for thing, own in things.items():
        sizes = {len(v) for v in own.values() if not isinstance(v, Column) and np.ndim(v)}
        if len(sizes) != 1:
            raise WorldError(f"things '{thing}': at least one column must be an array, and all of one length.")
        n = sizes.pop()
        _check(list(own))
        for name, value in own.items():
            full = f"{thing}.{name}"
            made[full] = declared(value).build(full, n, draws.at(np.arange(n), BIRTH))
    for name, value in facts.items():
        kind = np.asarray(value).dtype
        if np.ndim(value) or kind.kind not in "biuf":
            raise WorldError(f"fact '{name}' is not one number; more than one belongs into things.")
        made[name] = np.asarray(value, np.float64 if kind.kind == "f" else kind).copy()
    return made


def _check(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in OWN or name in seen:
            raise WorldError(f"the name '{name}' is taken; columns, things and facts share one list of names.")
        if not _NAME.fullmatch(name):
            raise WorldError(f"'{name}' cannot be a name; use letters, digits and underscores.")
        seen.add(name)
