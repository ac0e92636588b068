"""What the service remembers: one contract, kept by two stores (LMDB in the process, Redis where replicas share it).

The *ledger* is the one truth: every accepted event and every decision, in the order of acceptance (`seq`), each under
an id that is accepted once. All else is made from it and may be thrown away:

    ring      the last `keep` events of each user in the order of (time, seq): what a model may read. An event that
              comes late takes its place by its time; what falls out is told, so that tables can subtract it.
    revision  of a user: grows with every change of the ring and never comes twice, not even after forgetting; 0 where
              there is no ring. What was derived at another revision is stale.
    derived   bytes that a model made of a user's ring (a bucket table), under (model version, user), with the
              revision it was made at. `derive` keeps it only if the user is still at that revision; so a stale table
              is never read, whoever wrote it, whatever was killed meanwhile: it is made anew from the ring.

Forgetting a user writes a tombstone: from then on no read tells anything of earlier entries. `compact` removes their
bytes. Ids of forgotten entries stay as hashes until then, so that a client's late retry cannot bring an event back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, Literal, Protocol

KEEP = 16_384
"""Events of a user's ring, by default."""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger, as it comes in.

    Attributes
    ----------
    id : unique among all entries; given again with equal content it is a duplicate, with other content a conflict.
    user, item : ids as text. kind : what happened ("view", "buy"; "decision" is the service's own).
    time : microseconds UTC.
    content : everything else that was sent, JSON values only; part of what makes two contents equal.
    """

    id: str
    user: str
    item: str | None
    kind: str
    time: int
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """An entry that the ledger holds, with its place in it."""

    seq: int
    entry: Entry


@dataclass(frozen=True)
class Moved:
    """What an append did to one user's ring, on the whole: `before` and `after` are revisions.

    What came and fell out in the same call is in neither `added` nor `expired`; a ring that is as it was did not move.
    """

    before: int
    after: int
    added: tuple[Kept, ...]
    expired: tuple[Kept, ...]


@dataclass(frozen=True)
class Appended:
    """What became of a batch: an outcome for each entry in turn, and the rings that moved, by user.

    accepted : durable now. duplicate : was there already with equal content. conflict : the id is taken by other
    content, and nothing of this entry is stored. forgotten : its user was forgotten after it was first accepted.
    """

    outcomes: tuple[Literal["accepted", "duplicate", "conflict", "forgotten"], ...]
    moved: Mapping[str, Moved]


@dataclass(frozen=True)
class User:
    """What the store holds of one user now."""

    revision: int
    count: int
    "Events ever accepted since the user was last forgotten; the ring may hold fewer."
    counters: Mapping[str, int]
    "Events by kind."
    ring: tuple[Kept, ...]
    "Oldest first; the last n where n was asked for."


class Store(Protocol):
    """What both stores keep. Methods block; each may be called from any thread.

    Raises
    ------
    StoreError
        The store cannot be reached or written (disk full, connection lost); nothing of the call was acknowledged,
        and it may be tried again.
    """

    keep: int

    def append(self, entries: Sequence[Entry], *, ring: bool = True) -> Appended:
        """Write entries; returns when they are durable. All entries of one call become visible at once.

        `ring=False`: into the ledger only (decisions).
        """
        ...

    def user(self, user: str, last: int | None = None) -> User:
        """What is known of a user; nothing, for a stranger and for somebody who was forgotten."""
        ...

    def derived(self, version: str, users: Sequence[str], at: Sequence[int] | None = None) -> list[bytes | None]:
        """Derived bytes of each user that are of the user's revision now; None where stale or absent.

        at : revisions instead, one for each user: what is to be moved on from `Moved.before`.
        """
        ...

    def derive(self, version: str, made: Iterable[tuple[str, int, bytes]]) -> int:
        """Keep (user, revision it was made at, bytes); those of another revision are left out. How many were kept.

        Nothing is kept of users without a ring: there is nothing to save.
        """
        ...

    def drop(self, version: str) -> None:
        """Forget all that was derived by a version."""
        ...

    def users(self) -> Iterator[str]:
        """All users with a ring that is not empty."""
        ...

    def entries(self, after: int = -1, until: int | None = None) -> Iterator[Kept]:
        """The ledger in order of `seq`, strictly after one place, up to and with another; the forgotten left out."""
        ...

    def watermark(self) -> int:
        """The largest `seq` behind which nothing can be added any more; -1 when empty."""
        ...

    def forget(self, user: str) -> int:
        """Write a tombstone; how many events it covers. Durable, and obeyed by every read when it returns."""
        ...

    def compact(self) -> int:
        """Remove the bytes of everything that is forgotten. How many entries were removed."""
        ...

    def fact(self, name: str) -> bytes | None:
        """A small durable fact (which model is active, a snapshot of an error memory)."""
        ...

    def settle(self, name: str, value: bytes | None, *, expected: bytes | EllipsisType | None = ...) -> bool:
        """Set a fact, or remove it with None. With `expected`: only if it is that now; whether it was set."""
        ...

    def check(self) -> None:
        """Raise StoreError if a write would not be durable now; for readiness."""
        ...

    def close(self) -> None: ...
