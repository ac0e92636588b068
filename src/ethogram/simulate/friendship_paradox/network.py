"""Who acted on whose content: the network of an interaction log.

Every event says that a user did something to an item, and an item has an author:

    w_ij = number of events of user i on items of author j        i != j, kinds that are interactions; the role
                                                                      `weight` says how many events one stands for
    activity_i = events of i that make a post                     kinds in `POSTS`
    popularity_i = interactions that i's items received           influence_i = reposts that they received

The log's table of items has the column `author` (as the logs of `ethogram.world.social` and of
`ethogram.data.load("tweets")` have), or the events have it; where items are people (messages, follows), "@item".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import RolesError, nearest
from ethogram.log import Vocabulary
from ethogram.numeric.graphs import Graph
from ethogram.numeric.structure import Cascades, cascades
from ethogram.verbs import Log

POSTS = ("post", "tweet", "status", "submission", "reply", "comment", "quote")
"""Kinds of events that make content."""
REPOSTS = ("repost", "retweet", "share", "reblog", "quote")
"""Kinds that pass content on."""
FOLLOWS, UNFOLLOWS = ("follow",), ("unfollow",)
PASSIVE = (
    *("view", "impression", "show", "shown", "exposure", "read", "idle", "search", "mute", "unmute", "report", "block"),
    *("unlike", "undislike", *FOLLOWS, *UNFOLLOWS),
)
"""Kinds that are no interaction with content: seen, taken back, or addressed to the person."""
MAKES = ("post", "tweet", "status", "submission")
"""Kinds that make content out of nothing: their item is the new post itself."""
ITSELF = "@item"


@dataclass(frozen=True)
class Network:
    """Agents, ties and attributes.

    Attributes
    ----------
    ids : of the agents, users first, then authors that did nothing themselves. attributes : name -> float64[n].
    users : how many agents did something. interactions : events that count. own : of them on the user's own content.
    unattributed : events on items whose author is not known.
    """

    graph: Graph
    ids: pa.Array
    attributes: Mapping[str, np.ndarray]
    users: int
    interactions: int
    own: int
    unattributed: int


def network(log: Log, author: str = "", ties: str = "interactions") -> Network:
    """The network of a log.

    Parameters
    ----------
    author : column of the items, or of the events, that names whose content an item is; "@item" where items are
        people; empty looks for `author`.
    ties : "interactions", or "follows": who follows whom when the log ends, each with weight 1.

    Raises
    ------
    RolesError
        Nothing says whose content an item is, or (follows) the log has no kinds.
    """
    table = log.table()
    user = table["user"].combine_chunks()
    whose = _authors(log, table, author)
    kinds = _Kinds.of(table)
    names = Vocabulary(pc.unique(user.drop_null()).sort()).extend(pc.unique(whose.drop_null()))
    i, j, n = names.encode(user), names.encode(whose), len(names)
    acts = ~kinds.are(*PASSIVE, *MAKES)
    weight = table["weight"].fill_null(1.0).to_numpy() if "weight" in table.column_names else None
    counts = acts & (j >= 0)
    if ties == "follows":
        graph = _follows(i, j, kinds, n)
    else:
        graph = Graph.of(i[counts], j[counts], n, None if weight is None else weight[counts])
    made = i[kinds.are(*POSTS)] if kinds.told else i
    met = counts & (i != j)
    attributes = {
        "in_degree": graph.in_degree, "out_degree": graph.out_degree,
        **({"activity": np.bincount(made, minlength=n)} if len(made) else {}),
        "popularity": np.bincount(j[met], None if weight is None else weight[met], n),
    }  # fmt: skip
    if (passed := kinds.are(*REPOSTS)).any():
        attributes["influence"] = np.bincount(j[met & passed], minlength=n)
    told = {name: np.asarray(v, np.float64) for name, v in attributes.items()}
    own, silent = int((counts & (i == j)).sum()), int((acts & (j < 0)).sum())
    return Network(graph, names.ids, told, len(np.unique(i)), int(counts.sum()), own, silent)


def spread(log: Log) -> Cascades | None:
    """The trees that posts make with what answers or passes them on; None where the items have no column `parent`.

    Raises
    ------
    OptionError
        A post stands before the one that it answers.
    """
    items = log.items
    if items is None or "parent" not in items.column_names:
        return None
    name, parent = (items[c].combine_chunks() for c in ("item", "parent"))
    above = pc.fill_null(pc.index_in(parent, value_set=name, skip_nulls=True), -1).to_numpy(zero_copy_only=False)
    found = cascades(above)
    if "kind" not in items.column_names:
        return found
    posts = pc.not_equal(items["kind"], "person").to_numpy()[found.root]
    return Cascades(found.root[posts], found.size[posts], found.depth[posts], found.breadth[posts])


@dataclass(frozen=True)
class _Kinds:
    """Kind of each event: codes and what they stand for; nothing is `told` where the log has no kinds."""

    codes: np.ndarray
    names: tuple[str, ...]
    told: bool

    @classmethod
    def of(cls, table: pa.Table) -> _Kinds:
        if "kind" not in table.column_names:
            return cls(np.zeros(len(table), np.int32), ("",), False)
        found = table["kind"].cast(pa.string()).combine_chunks().dictionary_encode()
        codes = pc.fill_null(found.indices, len(found.dictionary)).to_numpy()
        return cls(codes, (*(str(k).lower() for k in found.dictionary.to_pylist()), ""), True)

    def are(self, *wanted: str) -> np.ndarray:
        """bool[N]: the event is of one of these kinds."""
        return np.array([k in wanted for k in self.names])[self.codes]


def _follows(i: np.ndarray, j: np.ndarray, kinds: _Kinds, n: int) -> Graph:
    if not kinds.told:
        raise RolesError("ties = follows: the log has no role 'kind' that tells follow and unfollow apart.")
    about = np.flatnonzero(kinds.are(*FOLLOWS, *UNFOLLOWS) & (j >= 0))
    # rows of a user stand in order of time: the last word on each pair holds
    _, last = np.unique((i[about].astype(np.int64) * n + j[about])[::-1], return_index=True)
    last = about[::-1][last]
    last = last[kinds.are(*FOLLOWS)[last]]
    return Graph.of(i[last], j[last], n)


def _authors(log: Log, table: pa.Table, author: str) -> pa.Array:
    """Author of each event's item, null where not known."""
    items, name = log.items, author or "author"
    if name == ITSELF or (items is not None and name in items.column_names):
        if "item" not in table.column_names:
            raise RolesError(f"author = {name}: the log has no role 'item' that it could be the author of.")
        item = table["item"].combine_chunks()
        if name == ITSELF or items is None:
            return item
        place = pc.index_in(item, value_set=items["item"].combine_chunks(), skip_nulls=True)
        return items[name].combine_chunks().take(place)
    if name in table.column_names:
        return table[name].combine_chunks()
    there = [*(items.column_names if items is not None else ()), *table.column_names]
    raise RolesError(
        f"nothing says whose content an item is: no column '{name}' of items or events.{nearest(name, there)} "
        f"Columns: {', '.join(there)}. Name it with author=COLUMN, or author=@item where items are people."
    )
