"""Who follows whom, who muted whom, who liked what: pairs in a world's columns, rows that were given and deltas.

    first[i] -> tie -> tie -> ... -> -1        tie.to: whom or what; tie.next: the next tie of the same person

What is given at the beginning lies person by person, one behind the other (compressed sparse rows, read in one go);
what comes later is put before it. A tie that is taken back is unlinked. All of it is state: saved, forked, resumed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ethogram.numeric.graphs import Graph
from ethogram.world.state import Frozen, State

FOLLOWS, MUTES, LIKES, DISLIKES = "follows", "mutes", "likes", "dislikes"
RELATIONS = (FOLLOWS, MUTES, LIKES, DISLIKES)
USED = "ties"
"""The fact that tells how many ties were ever made."""


def columns(n: int, follows: Graph | None = None) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """(people's columns, the columns of things, facts) of a world in which people follow each other like this."""
    first = np.full(n, -1, np.int32)
    to, following = np.zeros(0, np.int32), np.zeros(n, np.int32)
    follow = np.zeros(0, np.int32)
    if follows is not None and follows.ties:
        to = follows.targets
        follow = np.arange(1, follows.ties + 1, dtype=np.int32)
        some = follows.out_degree > 0
        follow[follows.offsets[1:][some] - 1] = -1
        first = np.where(some, follows.offsets[:-1], -1).astype(np.int32)
        following = follows.out_degree.astype(np.int32)
    room = max(64, len(to))
    people: dict[str, Any] = {f"{name}_first": np.full(n, -1, np.int32) for name in RELATIONS}
    people |= {
        "follows_first": first, "following": following,
        "followers": np.zeros(n, np.int32) if follows is None else follows.in_degree.astype(np.int32),
    }  # fmt: skip
    spare = room - len(to)
    things = {"tie": {"to": np.append(to, np.full(spare, -1, np.int32)),
                      "next": np.append(follow, np.full(spare, -1, np.int32))}}  # fmt: skip
    return people, things, {USED: len(to)}


@njit(cache=True, nogil=True)
def _has(first, to, next_, row, whom):  # type: ignore[no-untyped-def]
    e = first[row]
    while e >= 0:
        if to[e] == whom:
            return True
        e = next_[e]
    return False


@njit(cache=True, nogil=True)
def _add(rows, whom, first, to, next_, used, fresh):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        if whom[i] >= 0 and not _has(first, to, next_, rows[i], whom[i]):
            to[used], next_[used] = whom[i], first[rows[i]]
            first[rows[i]] = used
            used += 1
            fresh[i] = True
    return used


@njit(cache=True, nogil=True)
def _drop(rows, whom, first, to, next_, gone):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        e, before = first[rows[i]], -1
        while e >= 0 and to[e] != whom[i]:
            before, e = e, next_[e]
        if e >= 0:
            if before < 0:
                first[rows[i]] = next_[e]
            else:
                next_[before] = next_[e]
            gone[i] = True


@njit(cache=True, nogil=True)
def _there(rows, whom, first, to, next_, out):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        for k in range(whom.shape[1]):
            out[i, k] = whom[i, k] >= 0 and _has(first, to, next_, rows[i], whom[i, k])


@njit(cache=True, nogil=True)
def _listed(first, to, next_, offsets, out):  # type: ignore[no-untyped-def]
    for i in range(len(first)):
        at, e = offsets[i], first[i]
        while e >= 0:
            if at < len(out):
                out[at] = to[e]
            at += 1
            e = next_[e]
        offsets[i + 1] = at


def add(state: State, relation: str, rows: np.ndarray, whom: np.ndarray) -> np.ndarray:
    """Tie rows to what they are not tied to yet; which of the ties are new, bool[n]."""
    used, fresh = int(state[USED]), np.zeros(len(rows), bool)
    room = len(state["tie.to"])
    if used + len(rows) > room:
        state.grow("tie", max(2 * room, used + len(rows)))
    on = np.asarray(whom, np.int32)
    made = _add(rows, on, state[f"{relation}_first"], state["tie.to"], state["tie.next"], used, fresh)
    state[USED] = made
    return fresh


def drop(state: State, relation: str, rows: np.ndarray, whom: np.ndarray) -> np.ndarray:
    """Take ties back; which of them there were, bool[n]."""
    gone = np.zeros(len(rows), bool)
    on = np.asarray(whom, np.int32)
    _drop(rows, on, state[f"{relation}_first"], state["tie.to"], state["tie.next"], gone)
    return gone


def tied(seen: Frozen, relation: str, rows: np.ndarray, whom: np.ndarray) -> np.ndarray:
    """Whether rows[i] is tied to whom[i, k] (or whom[i]), bool of the shape of `whom`; never to -1."""
    on = np.asarray(whom, np.int32)
    out = np.zeros((len(rows), on.size // max(len(rows), 1)), bool)
    _there(rows, on.reshape(out.shape), seen[f"{relation}_first"], seen["tie.to"], seen["tie.next"], out)
    return out.reshape(on.shape)


def graph(seen: Frozen, relation: str = FOLLOWS) -> Graph:
    """The ties of a relation among people as they are now."""
    first, to, next_ = seen[f"{relation}_first"], seen["tie.to"], seen["tie.next"]
    offsets = np.zeros(len(first) + 1, np.int64)
    _listed(first, to, next_, offsets, np.zeros(0, np.int32))
    targets = np.zeros(int(offsets[-1]), np.int32)
    _listed(first, to, next_, offsets, targets)
    return Graph.of(np.repeat(np.arange(len(first)), np.diff(offsets)), targets, len(first))
