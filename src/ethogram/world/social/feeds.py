"""What somebody gets to see: sources of posts, mixed into a feed. Everything is read when it is asked for.

A source gives every reader some posts; `Mix` deals the places of a feed to sources. Any object with

    posts(rows, seen, luck, k) -> int32[rows, k]        posts of the frozen state, -1 where there is none

is a source; it must not make what one reader gets hang on who else reads. `social.recommended.Recommended` makes one of
any recommender.

=============  =======================================================================================
source         gives
=============  =======================================================================================
`Followed`     the newest posts and reposts of those whom the reader follows
`Answers`      the newest replies to the reader's posts, and quotes of them
`Popular`      the most liked, reposted, answered of the last posts, dealt at random among the best
`Hot`          the same by hot score: sign(s) log10(max(|s|, 1)) + age of the clock / decay (as Reddit had it)
`Topical`      those of a random sample of the last posts that are closest to the reader's taste
`Anything`     any of the last posts
`Strangers`    the newest posts of people drawn uniformly: a control in which nobody is more visible
=============  =======================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numba import njit

from ethogram.errors import WorldError
from ethogram.world.draws import Luck
from ethogram.world.social import posts as columns
from ethogram.world.social import relations
from ethogram.world.state import Frozen

REMOVAL = "removal"
"""The fact that tells from how many reports on nobody gets to see a post, 0 for never."""


class Source(Protocol):
    """See the module."""

    def posts(self, rows: np.ndarray, seen: Frozen, luck: Luck, k: int) -> np.ndarray: ...


@njit(cache=True, nogil=True)
def _newest(rows, first, to, next_, newest, before, kind, parent, each, out):  # type: ignore[no-untyped-def]
    """The k highest numbers among the last `each` posts of everybody followed; numbers rise with time."""
    k = out.shape[1]
    for i in range(len(rows)):
        n = 0
        e = first[rows[i]]
        while e >= 0:
            p, told = newest[to[e]], 0
            while p >= 0 and told < each and (n < k or p > out[i, k - 1]):
                at = n if n < k else k - 1
                while at > 0 and out[i, at - 1] < p:
                    out[i, at] = out[i, at - 1]
                    at -= 1
                out[i, at] = p
                n = min(n + 1, k)
                p = before[p]
                told += 1
            e = next_[e]
        for j in range(n):
            if kind[out[i, j]] == 2:
                out[i, j] = parent[out[i, j]]


@njit(cache=True, nogil=True)
def _closest(taste, rows, topic, sample, out, best):  # type: ignore[no-untyped-def]
    """The k posts of a sample whose topics agree best with each reader's taste."""
    k = out.shape[1]
    for i in range(len(rows)):
        for j in range(k):
            out[i, j], best[j] = -1, -np.inf
        for s in range(sample.shape[1]):
            p, value = sample[i, s], np.float32(0)
            if p < 0:
                continue
            for d in range(topic.shape[1]):
                value += taste[rows[i], d] * topic[p, d]
            there = False
            for j in range(k):
                there |= out[i, j] == p
            if there or value <= best[k - 1]:
                continue
            at = k - 1
            while at > 0 and best[at - 1] < value:
                best[at], out[i, at] = best[at - 1], out[i, at - 1]
                at -= 1
            best[at], out[i, at] = value, p


@dataclass(frozen=True)
class Followed:
    """`each`: how many of one author's last posts are looked at."""

    each: int = 2

    def posts(self, rows: np.ndarray, seen: Frozen, luck: Luck, k: int) -> np.ndarray:
        out = np.full((len(rows), k), -1, np.int32)
        _newest(
            rows, seen["follows_first"], seen["tie.to"], seen["tie.next"], seen["newest"], seen["post.before"],
            seen["post.kind"], seen["post.parent"], self.each, out,
        )  # fmt: skip
        return out


@njit(cache=True, nogil=True)
def _last(rows, head, link, out):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        p = head[rows[i]]
        for j in range(out.shape[1]):
            if p < 0:
                break
            out[i, j] = p
            p = link[p]


@dataclass(frozen=True)
class Answers:
    """What others said to the reader, newest first."""

    def posts(self, rows: np.ndarray, seen: Frozen, luck: Luck, k: int) -> np.ndarray:
        out = np.full((len(rows), k), -1, np.int32)
        _last(rows, seen["answered"], seen["post.answer"], out)
        return out


@dataclass(frozen=True)
class Popular:
    """`window`: how many of the last posts compete. `best`: among how many of them a reader's are drawn."""

    window: int = 2_000
    best: int = 40
    _kept: dict[int, tuple[Frozen, np.ndarray]] = field(default_factory=dict, repr=False, compare=False)

    def posts(self, rows: np.ndarray, seen: Frozen, luck: Luck, k: int) -> np.ndarray:
        top = self._top(seen)
        return _drawn(top, luck, "popular", k)

    def _top(self, seen: Frozen) -> np.ndarray:
        """The best posts now, the same for all readers of a tick."""
        kept = self._kept.get(0)
        if kept is None or kept[0] is not seen:
            recent = _recent(seen, self.window)
            order = np.lexsort((recent, self.score(seen, recent)))[::-1]
            kept = (seen, recent[order[: self.best]].astype(np.int32))
            self._kept[0] = kept
        return kept[1]

    def score(self, seen: Frozen, posts: np.ndarray) -> np.ndarray:
        """How visible each of these posts is, float64."""
        return attention(seen, posts).astype(np.float64)


@dataclass(frozen=True)
class Hot(Popular):
    """`decay`: ticks in which a post loses as much as a tenth of its points."""

    decay: float = 20.0

    def score(self, seen: Frozen, posts: np.ndarray) -> np.ndarray:
        return hot(attention(seen, posts), seen["post.tick"][posts], self.decay)


@dataclass(frozen=True)
class Topical:
    """`window`: how many of the last posts are drawn from. `sample`: how many a reader's are chosen among."""

    window: int = 2_000
    sample: int = 24

    def posts(self, rows: np.ndarray, seen: Frozen, luck: Luck, k: int) -> np.ndarray:
        sample = _drawn(_recent(seen, self.window), luck, "topical", max(self.sample, k))
        return closest(seen, rows, sample, k)


@dataclass(frozen=True)
class Anything:
    """`window`: how many of the last posts are drawn from."""

    window: int = 2_000

    def posts(self, rows: np.ndarray, seen: Frozen, luck: Luck, k: int) -> np.ndarray:
        return _drawn(_recent(seen, self.window), luck, "anything", k)


@dataclass(frozen=True)
class Strangers:
    """The newest post of somebody drawn uniformly; none where that person never wrote."""

    def posts(self, rows: np.ndarray, seen: Frozen, luck: Luck, k: int) -> np.ndarray:
        found = seen["newest"][luck.integers("strangers", seen.people, k)]
        return columns.original(seen, found).astype(np.int32)


class Mix:
    """A feed with so many places for each source.

    Parameters
    ----------
    parts : (source, places). What a reader wrote, has liked or disliked, who is muted, and what stands in the feed
        already, and what was reported too often leave their place empty (-1).
    """

    def __init__(self, *parts: tuple[Source, int]):
        self.parts = tuple((s, int(k)) for s, k in parts if k)
        if not self.parts or any(k < 0 for _, k in self.parts):
            raise WorldError("a feed needs sources with 1 place or more, Mix((Followed(), 4), (Popular(), 3)).")

    @property
    def size(self) -> int:
        """Places of the feed."""
        return sum(k for _, k in self.parts)

    def posts(self, rows: np.ndarray, seen: Frozen, luck: Luck, k: int = 0) -> np.ndarray:
        """int32[rows, size]; -1 in empty places. `k` is not read: the parts say it."""
        if not columns.number(seen) or not len(rows):
            return np.full((len(rows), self.size), -1, np.int32)
        found = np.concatenate([s.posts(rows, seen, luck, n) for s, n in self.parts], 1)
        author = np.where(found >= 0, seen["post.author"][found], -1)
        found = np.where(author == np.asarray(rows)[:, None], -1, found)
        for relation, whom in (
            (relations.MUTES, author), (relations.LIKES, found), (relations.DISLIKES, found)
        ):  # fmt: skip
            found = np.where(relations.tied(seen, relation, rows, whom), -1, found)
        if seen[REMOVAL] > 0:
            found = np.where((found >= 0) & (seen["post.reports"][found] >= seen[REMOVAL]), -1, found)
        for j in range(1, found.shape[1]):
            twice = (found[:, :j] == found[:, j : j + 1]).any(1)
            found[twice, j] = -1
        return found.astype(np.int32)


def attention(seen: Frozen, posts: np.ndarray) -> np.ndarray:
    """What was done to posts, taken together: likes and everything that passes on or answers, less dislikes."""
    plus = sum(seen[f"post.{n}"][posts] for n in ("likes", "replies", "reposts", "quotes"))
    return np.asarray(plus - seen["post.dislikes"][posts])


def hot(points: np.ndarray, tick: np.ndarray, decay: float) -> np.ndarray:
    """Hot score; ten times the points are worth `decay` ticks.

    >>> hot(np.array([1, 100, -10]), np.array([20, 0, 0]), 20.0).tolist()
    [1.0, 2.0, -1.0]
    """
    size = np.log10(np.maximum(np.abs(points), 1))
    return np.asarray(np.sign(points) * size + tick / decay)


def closest(seen: Frozen, rows: np.ndarray, sample: np.ndarray, k: int) -> np.ndarray:
    """The k posts of each row's sample that agree best with its taste, int32[rows, k]."""
    out = np.full((len(rows), k), -1, np.int32)
    _closest(
        seen["taste"], rows, seen["post.topic"], np.ascontiguousarray(sample, np.int32), out, np.empty(k, np.float32)
    )
    return out


def search(seen: Frozen, query: Sequence[float] | np.ndarray, k: int, window: int = 100_000) -> np.ndarray:
    """The k of the last posts that agree best with a direction of taste, int64[<= k]."""
    recent = _recent(seen, window)
    agree = seen["post.topic"][recent] @ np.asarray(query, np.float32)
    return recent[np.lexsort((-recent, -agree))[:k]]


def _recent(seen: Frozen, window: int) -> np.ndarray:
    """The last posts that are no reposts, ascending."""
    n = columns.number(seen)
    found = np.arange(max(0, n - window), n)
    return found[seen["post.kind"][found] != columns.REPOST]


def _drawn(among: np.ndarray, luck: Luck, stream: str, k: int) -> np.ndarray:
    """k of these posts for each reader, with replacement."""
    if not len(among):
        return np.full((len(luck), k), -1, np.int32)
    return np.asarray(among, np.int32)[luck.integers(stream, len(among), k)]
