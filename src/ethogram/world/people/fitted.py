"""Fitted households as personas: what the log tells of each, in words that a language model reads.

demographics   the side table of users, where it has the household
interests      the groups that it takes from more than others do: its share of a group over that of all, by its share
attributes     how often it goes, how much it takes, how much of that again
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.world.people.components import STEADY
from ethogram.world.people.households import Households
from ethogram.world.people.persona import Persona


def personas(
    people: Households, users: pa.Table | None = None, *, items: pa.Table | None = None, level: str | None = None,
    top: int = 5,
) -> list[Persona]:  # fmt: skip
    """A persona per household, in their order.

    Parameters
    ----------
    users : side table of the log, the id first; missing values are left out. items : side table that names the groups.
    level : column of the items that interests are of; default the finest that the people were fitted with.
    top : most interests of each.

    Raises
    ------
    OptionError
        The people were not fitted with that level, or the items have no such column.
    """
    told = _demographics(users)
    p = people.purchases
    trips = np.bincount(p.trips[0], minlength=len(people))
    first = np.minimum(np.searchsorted(p.trips[0], np.arange(len(people))), len(p.trips[0]) - 1)
    days = np.maximum(p.days - p.trips[1][first], 1)
    size = np.bincount(p.user, minlength=len(people)) / np.maximum(trips, 1)
    distinct = np.bincount(people.tastes.record.keys // p.catalogue, minlength=len(people))
    again = 1 - distinct / np.maximum(np.bincount(p.user, minlength=len(people)), 1)
    liked = _interests(people, items, level, top)
    made = []
    for u, id in enumerate(p.users.to_pylist()):
        habits: tuple[str, ...] = ()
        if trips[u]:
            habits = (
                f"goes shopping every {days[u] / trips[u]:.0f} days",
                f"takes about {size[u]:.0f} items on a trip",
                f"takes the same again in {again[u]:.0%} of the cases",
            )
        source = {"by": "fitted on a log", "days": p.days, "trips": int(trips[u])}
        known, likes = told.get(id, {}), liked[u]
        made.append(Persona(id=str(id), demographics=known, interests=likes, attributes=habits, provenance=source))
    return made


def _demographics(users: pa.Table | None) -> Mapping[object, dict[str, object]]:
    if users is None:
        return {}
    first = users.column_names[0]
    return {row[first]: {k: v for k, v in row.items() if k != first and v is not None} for row in users.to_pylist()}


def _interests(people: Households, items: pa.Table | None, level: str | None, top: int) -> list[dict[str, float]]:
    p, record = people.purchases, people.tastes.record
    if not p.groups or items is None:
        return [{} for _ in range(len(people))]
    level = level or list(p.groups)[-1]
    if level not in p.groups or level not in items.column_names:
        raise OptionError(f"level '{level}' is none that the people were fitted with: {', '.join(p.groups) or 'none'}.")
    group = p.groups[level]
    m = int(group.max()) + 1
    names = [""] * m
    place = p.items.encode(items.column(0))
    for code, name in zip(place.tolist(), items[level].to_pylist(), strict=True):
        if code >= 0 and name is not None:
            names[group[code]] = str(name)
    who = record.keys // p.catalogue
    taken = np.bincount(who * m + group[record.keys % p.catalogue], record.held[STEADY], len(people) * m)
    share = taken.reshape(len(people), m) / np.maximum(record.total[STEADY], 1e-300)[:, None]
    usual = share.mean(0)
    # the contribution to the divergence from everybody: much of it, and more than others
    worth = share * np.log(np.maximum(share, 1e-12) / np.maximum(usual, 1e-12))
    worth[:, [not n for n in names]] = 0
    best = np.argsort(-worth, 1, kind="stable")[:, :top]
    return [
        {names[g]: round(float(worth[u, g]), 4) for g in row if worth[u, g] > 5e-5}
        for u, row in enumerate(best.tolist())
    ]
