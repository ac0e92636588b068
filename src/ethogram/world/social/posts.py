"""What is said on a platform, in columns, and what follows from each verb.

A post has an author, a topic (a direction in the space of people's tastes), a parent if it answers, quotes or passes on
another one, counts of what was done to it, and the code of its text. A repost is a row of its own, so that followers of
whoever reposted meet it; what is done to it is done to the original.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.world.actions import Done
from ethogram.world.social import relations
from ethogram.world.social.relations import DISLIKES, FOLLOWS, LIKES, MUTES
from ethogram.world.state import Frozen, State

POST, REPLY, REPOST, QUOTE = range(4)
KINDS = ("post", "reply", "repost", "quote")
USED = "posts"
"""The fact that tells how many posts there are."""
COUNTS = ("likes", "dislikes", "replies", "reposts", "quotes", "reports")


def columns(dimensions: int) -> dict[str, Any]:
    """Columns of the thing `post`, with room for a few."""
    room = 64
    made: dict[str, Any] = {name: np.zeros(room, np.int32) for name in COUNTS}
    made |= {name: np.full(room, -1, np.int32) for name in ("author", "parent", "before", "answer", "tick", "text")}
    made |= {"kind": np.zeros(room, np.uint8), "event": np.full(room, -1, np.int64),
             "topic": np.zeros((room, dimensions), np.float32)}  # fmt: skip
    return made


def number(seen: Frozen) -> int:
    """How many posts there are."""
    return int(seen[USED])


def written(seen: Frozen) -> np.ndarray:
    """How many may act on each place for a post: everybody, or nobody where there is none yet."""
    return np.where(np.arange(len(seen["post.author"])) < number(seen), np.iinfo(np.int64).max, 0)


def texts(seen: Frozen, posts: Any) -> list[str]:
    """What posts say; "" where nothing was said."""
    return [seen.text(code) for code in seen["post.text"][np.asarray(posts, np.int64)].tolist()]


def original(seen: Frozen, posts: np.ndarray) -> np.ndarray:
    """The posts that were passed on, where some of them are reposts; -1 stays."""
    return np.where((posts >= 0) & (seen["post.kind"][posts] == REPOST), seen["post.parent"][posts], posts)


def _written(state: State, done: Done, kind: int, drift: float) -> np.ndarray:
    """Add a row for each act; its topic lies between the author's taste and its parent's topic. The new rows."""
    n, first = len(done), number(state)
    if first + n > len(state["post.author"]):
        state.grow("post", max(2 * len(state["post.author"]), first + n))
    fresh = np.arange(first, first + n)
    state[USED] = first + n
    parent = np.full(n, -1, np.int32) if kind == POST else original(state, done.object).astype(np.int32)
    state["post.author"][fresh], state["post.parent"][fresh] = done.rows, parent
    state["post.kind"][fresh], state["post.tick"][fresh], state["post.event"][fresh] = kind, state.tick, done.event
    if kind == REPOST:
        topic = state["post.topic"][parent]
    else:
        topic = state["taste"][done.rows] + drift * _strayed(state, done, kind)
        if kind != POST:
            topic = topic + state["post.topic"][parent]
        topic = topic / np.maximum(np.linalg.norm(topic, axis=1, keepdims=True), 1e-9)
    state["post.topic"][fresh] = topic
    _linked(state, "newest", "post.before", done.rows, fresh)
    if kind in (REPLY, QUOTE):
        _linked(state, "answered", "post.answer", state["post.author"][parent], fresh)
    state["post.text"][fresh] = -1
    if done.text:
        state["post.text"][fresh[list(done.text)]] = state.intern(list(done.text.values()))
    return fresh


def _strayed(state: State, done: Done, kind: int) -> np.ndarray:
    """Standard normal numbers of each post, [posts, d]; another post of the same person and tick has others."""
    made = np.empty((len(done), state["taste"].shape[1]))
    turn = done.event & 255
    for k in np.unique(turn).tolist():
        mine = turn == k
        stream = f"topic {kind} {k}" if k else f"topic {kind}"
        made[mine] = state.luck(done.rows[mine]).normal(stream, made.shape[1])
    return made


def _linked(state: State, head: str, link: str, rows: np.ndarray, fresh: np.ndarray) -> None:
    """Put new posts before the last ones of their people: who reads goes from the newest back."""
    order = np.argsort(rows, kind="stable")
    rows, posts = rows[order], fresh[order]
    last = np.append(rows[1:] != rows[:-1], True)[: len(rows)]
    begins = np.append(True, last[:-1])[: len(rows)]
    before = np.append(-1, posts[:-1])[: len(rows)]
    state[link][posts] = np.where(begins, state[head][rows], before)
    state[head][rows[last]] = posts[last]


def _count(state: State, name: str, posts: np.ndarray, by: int = 1) -> None:
    np.add.at(state[f"post.{name}"], posts[posts >= 0], by)


class Effects:
    """What follows from each verb; `drift` is how far posts stray from what their author likes."""

    def __init__(self, drift: float):
        self.drift = drift

    def post(self, state: State, done: Done) -> None:
        _written(state, done, POST, self.drift)
        np.add.at(state["activity"], done.rows, 1)

    def reply(self, state: State, done: Done) -> None:
        _count(state, "replies", original(state, done.object))
        _written(state, done, REPLY, self.drift)
        np.add.at(state["activity"], done.rows, 1)

    def repost(self, state: State, done: Done) -> None:
        _count(state, "reposts", original(state, done.object))
        _written(state, done, REPOST, self.drift)

    def quote(self, state: State, done: Done) -> None:
        _count(state, "quotes", original(state, done.object))
        _written(state, done, QUOTE, self.drift)
        np.add.at(state["activity"], done.rows, 1)

    def like(self, state: State, done: Done) -> None:
        _judged(state, done, LIKES)

    def unlike(self, state: State, done: Done) -> None:
        _taken_back(state, done, LIKES)

    def dislike(self, state: State, done: Done) -> None:
        _judged(state, done, DISLIKES)

    def follow(self, state: State, done: Done) -> None:
        other = done.object != done.rows
        rows, whom = done.rows[other], done.object[other]
        fresh = relations.add(state, FOLLOWS, rows, whom)
        np.add.at(state["following"], rows[fresh], 1)
        np.add.at(state["followers"], whom[fresh], 1)

    def unfollow(self, state: State, done: Done) -> None:
        gone = relations.drop(state, FOLLOWS, done.rows, done.object)
        np.add.at(state["following"], done.rows[gone], -1)
        np.add.at(state["followers"], done.object[gone], -1)

    def mute(self, state: State, done: Done) -> None:
        relations.add(state, MUTES, done.rows, done.object)

    def unmute(self, state: State, done: Done) -> None:
        relations.drop(state, MUTES, done.rows, done.object)

    def report(self, state: State, done: Done) -> None:
        _count(state, "reports", original(state, done.object))


def _judged(state: State, done: Done, relation: str) -> None:
    on = original(state, done.object)
    fresh = relations.add(state, relation, done.rows, on)
    _count(state, relation, on[fresh])


def _taken_back(state: State, done: Done, relation: str) -> None:
    on = original(state, done.object)
    gone = relations.drop(state, relation, done.rows, on)
    _count(state, relation, on[gone], -1)
