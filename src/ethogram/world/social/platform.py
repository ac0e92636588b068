"""`Platform`: what a social network adds to a world: columns, verbs, a feed, and its log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import WorldError
from ethogram.log import Log
from ethogram.numeric.graphs import Graph
from ethogram.world.actions import Action
from ethogram.world.rules import capacity, everyone
from ethogram.world.social import posts, relations
from ethogram.world.social.feeds import REMOVAL, Followed, Mix, Popular, Source, Topical
from ethogram.world.state import Frozen
from ethogram.world.world import World

PEOPLE, POST, SUGGESTED = "people", "post", "suggested"
VERBS = (
    ("post", "", "say something to those who follow you"),
    ("reply", POST, "answer a post"),
    ("repost", POST, "pass a post on to those who follow you"),
    ("quote", POST, "pass a post on with words of your own"),
    ("like", POST, "like a post"),
    ("unlike", POST, "take a like back"),
    ("dislike", POST, "dislike a post"),
    ("follow", PEOPLE, "follow somebody"),
    ("unfollow", PEOPLE, "follow somebody no more"),
    ("mute", PEOPLE, "see no more of somebody"),
    ("unmute", PEOPLE, "see somebody again"),
    ("report", POST, "report a post to the moderators"),
    ("search", "", "look for something"),
)
"""Verb, what it is done on, what it is in words. Doing nothing is the engine's `nothing`."""


class Platform:
    """A social network for a world of people with tastes.

    Parameters
    ----------
    taste : float[n, d], what each person likes: posts have topics in the same space (rows are brought to length 1).
    follows : who follows whom at the beginning; nobody if None.
    feed : what people get to see; `Mix` of sources, or anything else with `posts` (see `social.feeds`).
    drift : how far posts stray from what their author likes, standard deviations per dimension.
    removal : reports from which on a post is shown to nobody, 0 for never.
    suggested : authors that a recommender suggests to each person (`social.recommended`).

    Raises
    ------
    WorldError
        Tastes are no finite numbers per person, or the follow graph is of another number of people.

    Examples
    --------
    >>> from ethogram.world import Acts
    >>> platform = Platform(np.eye(3, dtype=np.float32))
    >>> world = platform.world(policies={"talk": lambda rows, seen, luck: Acts("post", rows)}).run(1)
    >>> platform.log(world).items.column("author").to_pylist()[:3]
    [0, 1, 2]
    """

    def __init__(
        self, taste: np.ndarray, *, follows: Graph | None = None, feed: Source | None = None, drift: float = 0.3,
        removal: int = 0, suggested: int = 0,
    ):  # fmt: skip
        told = np.asarray(taste, np.float32)
        if told.ndim != 2 or not told.shape[1] or not np.isfinite(told).all():
            raise WorldError(f"platform: tastes of shape {told.shape}; finite numbers [people, dimensions] are needed.")
        if follows is not None and len(follows) != len(told):
            raise WorldError(f"platform: the follow graph has {len(follows)} people, there are {len(told)}.")
        if not drift >= 0 or min(removal, suggested) < 0:
            raise WorldError(
                f"platform: drift = {drift}, removal = {removal}, suggested = {suggested}; none is below 0."
            )
        self.taste = told / np.maximum(np.linalg.norm(told, axis=1, keepdims=True), 1e-9)
        self.follows, self.drift, self.removal = follows, drift, removal
        self.suggested = suggested
        self.feed: Source = feed or Mix((Followed(), 4), (Topical(), 3), (Popular(), 3))

    def columns(self) -> dict[str, Any]:
        """People's columns: `taste`, `newest` (last post), `activity` (posts), `followers`, `following` ..."""
        n = len(self.taste)
        own, _, _ = relations.columns(n, self.follows)
        none = np.full(n, -1, np.int32)
        if self.suggested:
            own[SUGGESTED] = np.full((n, self.suggested), -1, np.int32)
        return {"taste": self.taste, "newest": none, "answered": none, "activity": np.zeros(n, np.int32), **own}

    def things(self) -> dict[str, dict[str, Any]]:
        """Posts and ties; both grow as they are needed."""
        return {POST: posts.columns(self.taste.shape[1]), **relations.columns(1, self.follows)[1]}

    def facts(self) -> dict[str, Any]:
        return {posts.USED: 0, REMOVAL: self.removal, **relations.columns(1, self.follows)[2]}

    def actions(self) -> list[Action]:
        """The verbs; nobody is in anybody's way, but what is done to a post that nobody wrote is refused."""
        effects = posts.Effects(self.drift)
        rules = {POST: capacity(posts.written), PEOPLE: everyone(), "": None}
        return [
            Action(name, on, rules[on], getattr(effects, name, None), about=about) for name, on, about in VERBS
        ]  # fmt: skip

    def world(
        self, people: Any = None, *, columns: Mapping[str, Any] = {}, things: Mapping[str, Any] = {},
        facts: Mapping[str, Any] = {}, actions: Any = (), **more: Any,
    ) -> World:  # fmt: skip
        """A world with this platform in it; what else it has is given as to `World`.

        Parameters
        ----------
        people : names, one each; numbers if None.
        """
        who = len(self.taste) if people is None else people
        return World(
            who, columns={**self.columns(), **columns}, things={**self.things(), **things},
            facts={**self.facts(), **facts}, actions=[*self.actions(), *actions], **more,
        )  # fmt: skip

    def shown(self, seen: Frozen, rows: Any) -> np.ndarray:
        """The feeds of some people now, int32[rows, places]; -1 in empty places."""
        who = np.atleast_1d(np.asarray(rows, np.int64))
        return self.feed.posts(who, seen, seen.luck(who), getattr(self.feed, "size", 10))

    def graph(self, world: World) -> Graph:
        """Who follows whom now."""
        return relations.graph(world.state)

    def log(self, world: World, **how: Any) -> Log:
        """What happened, with a table of items that tells whose each post is.

        `item` of an event is what was acted on ("post 12", "people 3"), of a `post` the post itself. Items: `item`,
        `author` (as `user`), `kind`, `parent` (item), `tick`, `likes` and the other counts. Acts on a repost stand as
        acts on the original. Arguments as for `World.log`.
        """
        log = world.log(**how)
        return with_authors(log, world)


def with_authors(log: Log, world: World) -> Log:
    """See `Platform.log`; for a world of any platform."""
    seen, table = world.state, log.table()
    n, ids = posts.number(seen), world.declared.ids
    who = pa.array(seen["uid"].astype(np.int64)) if ids is None else pa.array(list(map(str, ids)))
    people = [f"people {i}" for i in range(seen.people)] if ids is None else list(map(str, ids))
    names = pa.array([f"post {i}" for i in range(n)], pa.string())
    events = table.drop_columns([c for c in ("item", "user_code", "item_code") if c in table.column_names])
    events = events.append_column("item", _items(table, seen, names))
    parent = seen["post.parent"][:n]
    counts = {c: np.append(seen[f"post.{c}"][:n], np.zeros(seen.people, np.int32)) for c in posts.COUNTS}
    items = pa.table(
        {
            "item": pa.concat_arrays([names, pa.array(people, pa.string())]),
            "author": pa.concat_arrays([who.take(pa.array(seen["post.author"][:n])), who]),
            "kind": [*(posts.KINDS[k] for k in seen["post.kind"][:n]), *(["person"] * seen.people)],
            "parent": pa.concat_arrays(
                [names.take(pa.array(parent, mask=parent < 0)), pa.nulls(seen.people, pa.string())]
            ),
            "tick": np.append(seen["post.tick"][:n], np.full(seen.people, -1)),
            **counts,
        }
    )
    roles: dict[str, Any] = {r: r for r in events.column_names if r in log.roles.named()}
    return Log.open(events, items=items, **{**roles, "item": "item"})


def _items(table: pa.Table, seen: Frozen, names: pa.Array) -> pa.Array:
    """What each event was done on: of a post the post itself, of acts on a repost the original."""
    n = len(names)
    root = posts.original(seen, np.arange(n))
    passed = np.flatnonzero(root != np.arange(n))
    told, meant = (names.take(pa.array(p)).to_pylist() for p in (passed, root[passed]))
    instead = dict(zip(told, meant, strict=True))
    if "item" in table.column_names:
        coded = table["item"].cast(pa.string()).combine_chunks().dictionary_encode()
        values = [instead.get(v, v) for v in coded.dictionary.to_pylist()]
        on = pa.array(values, pa.string()).take(coded.indices)
    else:
        on = pa.nulls(len(table), pa.string())
    if not n:
        return on
    order = np.argsort(seen["post.event"][:n], kind="stable")
    event = table["event"].to_numpy()
    at = order[np.minimum(np.searchsorted(seen["post.event"][:n][order], event), n - 1)]
    return pc.if_else(pc.equal(table["kind"], "post"), names.take(pa.array(at)), on).combine_chunks()
