"""Any recommender of the registry as a source of the feed: it learns who acted on whose content, and says whom to read.

    world = platform.world(...)                          Platform(..., suggested=20), feed with Recommended()
    for until in range(20, 201, 20):
        world.run(until)
        learn(platform, world, "als")                    or item_knn, lightgcn, sasrec ...

Posts are too short-lived to be items: people are. The recommender is fitted on the log of interactions with authors as
items, and what it recommends is written into the column `suggested` by a command: a retraining is an event of the run,
repeated where the run is resumed or forked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import WorldError
from ethogram.log import Candidates, Log
from ethogram.world.draws import Luck
from ethogram.world.social import posts as columns
from ethogram.world.social.platform import SUGGESTED, Platform
from ethogram.world.state import Frozen
from ethogram.world.world import World

ACTS = ("like", "reply", "repost", "quote", "follow")
"""Verbs that speak for an author."""


@dataclass(frozen=True)
class Recommended:
    """The newest posts of the authors who were recommended, drawn among them; nothing before `learn`."""

    def posts(self, rows: np.ndarray, seen: Frozen, luck: Luck, k: int) -> np.ndarray:
        if SUGGESTED not in [*seen]:
            raise WorldError("feed: Recommended needs Platform(suggested=NUMBER), authors kept for each person.")
        authors = seen[SUGGESTED][rows]
        at = luck.integers("recommended", authors.shape[1], k)
        author = np.take_along_axis(authors, at, 1)
        found = np.where(author >= 0, seen["newest"][author], -1)
        return columns.original(seen, found).astype(np.int32)


def learn(platform: Platform, world: World, system: Any, *, seed: int = 0) -> np.ndarray:
    """Fit a recommender on what happened so far, and have what it says shown from the next tick on.

    Parameters
    ----------
    system : with `fit` and `recommend`, or `score`.

    Returns
    -------
    int32[people, suggested]; -1 where it recommends nobody (who did nothing gets what a stranger gets).

    Raises
    ------
    WorldError
        The platform keeps no suggestions, nothing happened yet, or the system neither recommends nor scores.
    """
    width = platform.suggested
    if not width:
        raise WorldError("learn: the platform keeps no suggestions; make it with suggested=NUMBER.")
    log = authored(platform.log(world))
    fitted = system.fit(log, seed=seed)
    histories = log.histories()
    user = histories.vocabularies["user"].decode(histories.users)
    if hasattr(fitted, "recommend"):
        table = fitted.recommend(histories, min(width, len(log.vocabulary("item"))), exclude_seen=False)
        question, item, rank = (table[c].to_numpy(zero_copy_only=False) for c in ("question", "item", "rank"))
    elif hasattr(fitted, "score"):
        authors = log.vocabulary("item")
        scores = np.asarray(fitted.score(histories, Candidates.every(authors)))
        best = np.argsort(-scores, axis=1, kind="stable")[:, :width]
        question = np.repeat(np.arange(len(scores)), best.shape[1])
        item = authors.ids.to_numpy(zero_copy_only=False)[best.ravel()]
        rank = np.tile(np.arange(1, best.shape[1] + 1), len(scores))
    else:
        raise WorldError(f"learn: {type(system).__name__} neither recommends nor scores.")
    row_of = {str(v): i for i, v in enumerate(world.declared.ids or world.state["uid"].tolist())}
    places = np.array([row_of[str(u)] for u in user.to_pylist()], np.int64)
    found = np.full((world.people, width), -1, np.int32)
    found[places[question], rank - 1] = [row_of[str(i)] for i in item]
    world.intervene("set", by=f"recommender {type(system).__name__}", column=SUGGESTED, value=found)
    return found


def authored(log: Log) -> Log:
    """The log of a platform with authors as items: `user`, `item` (an author), `time`, `kind`; own content left out."""
    items, table = log.items, log.table()
    if items is None or "author" not in items.column_names:
        raise WorldError("the log has no items with authors; take that of Platform.log.")
    place = pc.index_in(table["item"].combine_chunks(), value_set=items["item"].combine_chunks(), skip_nulls=True)
    author = items["author"].combine_chunks().take(place)
    table = pa.table({"user": table["user"], "item": author, "time": table["time"], "kind": table["kind"]})
    told = table.filter(
        pc.and_(pc.is_in(table["kind"], value_set=pa.array(ACTS)), pc.not_equal(table["user"], table["item"]))
    )
    if not len(told):
        raise WorldError("nobody has acted on anybody's content yet; run the world first.")
    return Log.open(told, user="user", item="item", time="time", kind="kind")
