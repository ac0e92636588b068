"""The recommender of a sandbox: any system of the registry, fitted anew on what the people chose, ranks for everybody.

What it is stands in the state (fact `recommender`, a text: key and options as JSON), and a fit is a command of the run:
a fork or a resumed run fits the same again. "random" is no system: a drawn order, the control. The training log holds
the newest `WIDTH` choices of each person, so that the cost of a fit does not grow with the length of a run.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, WorldError
from ethogram.log import Candidates, Log
from ethogram.system import system
from ethogram.world.state import Frozen

WIDTH = 50
"""Choices of each person that are kept."""
PAGE, PAGES = 5, 4
"""Items of a page, and pages that one visit can see."""
RANDOM = "random"
RECOMMENDER = "recommender"


def told(name: str, options: dict[str, Any]) -> str:
    """A recommender as the text that stands in the state; its options are checked.

    Raises
    ------
    UnknownName
        No such system. OptionError: an option that it does not have, or it ranks nothing.
    """
    if name == RANDOM:
        if options:
            raise OptionError("recagent: the random recommender has no options.")
    elif not hasattr(made := system(name, **options), "score") and not hasattr(made, "recommend"):
        raise OptionError(f"recagent: '{name}' ranks nothing; take a system with the verb score or recommend.")
    return json.dumps([name, options], sort_keys=True)


def training(seen: Frozen) -> Log | None:
    """What was chosen and is remembered, as a log of people and items; None while nobody chose anything."""
    watched = seen["watched"]
    person, place = np.nonzero(watched >= 0)
    if not len(person):
        return None
    clock = seen["watched_at"][person, place].astype(np.int64)
    table = pa.table(
        {
            "user": person, "item": watched[person, place].astype(np.int64),
            "time": pa.array((clock + 10_000) * 3_600_000_000, pa.timestamp("us", "UTC")),
            "order": np.arange(len(person)),
        }
    )  # fmt: skip
    return Log.open(table, user="user", item="item", time="time", order="order")


def scores(seen: Frozen, seed: int) -> np.ndarray:
    """What the recommender says of every item for every person, float32[people, items].

    What it does not know comes behind all that it knows, in a drawn order; without any past that is everything.
    """
    n, m = seen["shown"].shape
    name, options = json.loads(seen.text(int(seen[RECOMMENDER])))
    log = None if name == RANDOM else training(seen)
    if log is None:
        return np.asarray(seen.luck(np.arange(n)).uniform("order", m), np.float32)
    fitted = system(name, **options).fit(log, seed=seed)
    histories = log.histories()
    rows = histories.vocabularies["user"].decode(histories.users).to_numpy(zero_copy_only=False).astype(np.int64)
    items = log.vocabulary("item")
    made = np.full((n, m), -np.inf, np.float32)
    if hasattr(fitted, "score"):
        columns = items.ids.to_numpy(zero_copy_only=False).astype(np.int64)
        made[np.ix_(rows, columns)] = fitted.score(histories, Candidates.every(items))
    else:
        table = fitted.recommend(histories, len(items), exclude_seen=False)
        question, item, score = (table[c].to_numpy(zero_copy_only=False) for c in ("question", "item", "score"))
        made[rows[question], item.astype(np.int64)] = score
    strangers = np.setdiff1d(np.arange(n), rows)
    # who chose nothing gets what most chose
    counts = np.bincount(np.asarray(log.sequences().columns["item"]), minlength=len(items))
    made[np.ix_(strangers, items.ids.to_numpy(zero_copy_only=False).astype(np.int64))] = counts
    unknown = ~np.isfinite(made)
    behind = np.where(unknown, np.inf, made).min(1, keepdims=True) - 1 - seen.luck(np.arange(n)).uniform("order", m)
    return np.where(unknown, behind, made).astype(np.float32)


def ranked(seen: Frozen, seed: int) -> np.ndarray:
    """The best items that each was not shown yet, int32[people, PAGES * PAGE]; -1 behind the last."""
    value = scores(seen, seed)
    value[seen["shown"]] = -np.inf
    k = min(PAGE * PAGES, value.shape[1])
    best = np.argpartition(-value, k - 1, 1)[:, :k]
    best = np.take_along_axis(best, np.lexsort((best, -np.take_along_axis(value, best, 1)), axis=1), 1)
    found = np.where(np.isfinite(np.take_along_axis(value, best, 1)), best, -1).astype(np.int32)
    return np.pad(found, ((0, 0), (0, PAGE * PAGES - k)), constant_values=-1)


def pages(seen: Frozen, rows: np.ndarray) -> np.ndarray:
    """What some people are shown on this tick's pages, int32[rows, PAGES, PAGE]; -1 in empty places.

    The last `random_k` places of every page hold items of the tail that were not shown yet, where there are.
    """
    luck = seen.luck(rows)
    found = seen["ranked"][rows].reshape(len(rows), PAGES, PAGE).copy()
    k = int(seen["random_k"])
    if not 0 <= k <= PAGE:
        raise WorldError(f"random_k = {k}; a page has {PAGE} places.")
    tail = np.flatnonzero(seen["item.tail"])
    if k and len(tail):
        drawn = tail[luck.integers("tail", len(tail), PAGES * k)].reshape(len(rows), PAGES, k).astype(np.int32)
        known = seen["shown"][rows[:, None, None], drawn] | (
            drawn[..., None] == found.reshape(len(rows), 1, 1, -1)
        ).any(-1)
        flat = drawn.reshape(len(rows), -1)
        again = (flat[:, :, None] == flat[:, None, :]) & np.tri(flat.shape[1], k=-1, dtype=bool)
        known |= again.any(-1).reshape(known.shape)
        found[:, :, PAGE - k :] = np.where(known, found[:, :, PAGE - k :], drawn)
    return found
