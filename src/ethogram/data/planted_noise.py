"""A real log dealt at random into train, validation and test of each user, with clicks that are known to be accidents.

Each user's events are dealt into three groups of equal order (0 trains, 1 is validation, 2 is test), so that
``split("leave-last-out")`` cuts between them and all of a group's items are targets. Accidents are drawn uniformly
from the items that the user never met, and stand in group 0 only: what is asked stays clean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.log import Log


class Planted(NamedTuple):
    """A log, and the (user, item) pairs that are accidents, in the log's ids."""

    log: Log
    accidents: pa.Table


def planted(
    log: Log, *, noise: float = 0.0, parts: tuple[float, float, float] = (0.7, 0.1, 0.2), least: int = 10,
    liked: float | None = None, disliked: bool = False, seed: int = 0,
) -> Planted:  # fmt: skip
    """Deal a log and plant accidents.

    Parameters
    ----------
    log : with users and items; repeated pairs count once.
    noise : accidents per training event of each user.
    parts : shares of a user's items that train, validate and test; each gets at least one.
    least : users with fewer items are left out.
    liked : value from which an event counts; None counts all. disliked : events below `liked` train too, though they
        are never asked: accidents of the people's own making, which `accidents` then holds as well.

    Raises
    ------
    OptionError
        Noise below 0, shares that do not add up to 1, fewer than 3 items asked, `liked` without values.
    """
    if noise < 0 or least < 3 or min(parts) <= 0 or abs(sum(parts) - 1) > 1e-9:
        raise OptionError(f"planted: noise = {noise}, parts = {parts}, least = {least}; give 0+, shares of 1, 3+.")
    held = log.sequences()
    if liked is not None and "value" not in held.columns:
        raise OptionError("planted: the log has no role 'value' that could be `liked`.")
    owner = np.repeat(np.asarray(held.users, np.int64), np.diff(held.offsets))
    item, width = np.asarray(held.columns["item"], np.int64), len(log.vocabulary("item"))
    good = np.ones(len(item), bool) if liked is None else np.asarray(held.columns["value"]) >= liked
    key, first = np.unique(owner * width + item, return_index=True)
    owner, item, good = key // width, key % width, good[first]
    many = np.bincount(owner[good], minlength=owner.max(initial=0) + 1) >= least
    rng = np.random.default_rng(seed)
    asked = good & many[owner]
    user, met = owner[asked], item[asked]
    order = _dealt(user, parts, rng)
    strays = _strays(user[order == 0], key[many[owner]], width, noise, rng)
    if disliked:
        strays = np.concatenate([strays, key[many[owner] & ~good]])
    users, items = log.vocabulary("user"), log.vocabulary("item")
    wrong = pa.table({"user": users.decode(strays // width), "item": items.decode(strays % width)})
    table = pa.table(
        {
            "user": pa.chunked_array([users.decode(user), wrong["user"].combine_chunks()]),
            "item": pa.chunked_array([items.decode(met), wrong["item"].combine_chunks()]),
            "order": np.concatenate([order, np.zeros(len(strays), np.int64)]),
        }
    )
    return Planted(Log.open(table), wrong)


def _dealt(user: np.ndarray, parts: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """0, 1 or 2 for each of the (ascending) users' items."""
    counts = np.bincount(user)
    ends = np.cumsum(counts)
    place = np.empty(len(user), np.int64)
    place[np.lexsort((rng.random(len(user)), user))] = np.arange(len(user)) - np.repeat(ends - counts, counts)
    test = np.maximum(np.round(counts * parts[2]).astype(np.int64), 1)
    valid = np.maximum(np.round(counts * parts[1]).astype(np.int64), 1)
    return np.where(place < test[user], 2, np.where(place < (test + valid)[user], 1, 0))


def _strays(
    training: np.ndarray, met: np.ndarray, width: int, noise: float, rng: np.random.Generator
) -> np.ndarray:  # fmt: skip
    """Keys user * width + item of so many items per training event that the user never met, ascending, each once."""
    counts = np.bincount(training)
    free = width - np.bincount(met // width, minlength=len(counts))[: len(counts)]
    wanted = np.minimum(np.floor(counts * noise + rng.random(len(counts))).astype(np.int64) * (noise > 0), free)
    found = np.empty(0, np.int64)
    while (lacking := wanted - np.bincount(found // width, minlength=len(counts))).any():
        who = np.repeat(np.arange(len(counts)), lacking)
        drawn = np.unique(who * width + rng.integers(0, width, len(who)))
        found = np.union1d(found, drawn[~np.isin(drawn, met)])
    return found
