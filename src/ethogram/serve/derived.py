"""What models keep of each user, moved on with the ring and made anew where that is not possible.

A model that keeps nothing reads the ring at each request. One that does brings a `Deriving`: bytes made of a ring
(`build`), moved on by what came and what fell out (`update`). `Derived` holds them at the ring's revision:

    append  -> Appended.moved -> follow   bytes at `before` become bytes at `after`, many users in one call
    request                   -> read     bytes at the revision of now; absent or stale ones are built from the ring

Both only ever keep bytes by compare-and-set, so that whatever is killed, cut off or overtaken meanwhile costs another
build and never a wrong table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from ethogram.serve.state import Entry, Moved, Store

BATCH = 64
"""Users whose rings are read and built together."""


class Deriving(Protocol):
    """A model's way of keeping something of each user.

    Attributes
    ----------
    version : of all that the bytes depend on; bytes of another version are never mixed with these.
    """

    version: str

    def build(self, rings: Sequence[Sequence[Entry]]) -> list[bytes]:
        """The bytes of whole rings, oldest event first."""
        ...

    def update(
        self, held: Sequence[bytes], added: Sequence[Sequence[Entry]], expired: Sequence[Sequence[Entry]]
    ) -> list[bytes | None]:
        """The bytes after events came and fell out, for each user; None where they are to be built anew."""
        ...


class Derived:
    """One model's bytes of all users of a store."""

    def __init__(self, store: Store, model: Deriving) -> None:
        self.store, self.model = store, model

    def follow(self, moved: Mapping[str, Moved]) -> int:
        """Move bytes on after an append; how many users' are of now. Users without bytes are left for `read`.

        The append is durable already: a StoreError here costs a build at the next read, and nothing else.
        """
        users = list(moved)
        held = self.store.derived(self.model.version, users, [moved[u].before for u in users])
        there = [(u, h) for u, h in zip(users, held, strict=True) if h is not None]
        if not there:
            return 0
        made = self.model.update(
            [h for _, h in there],
            [[k.entry for k in moved[u].added] for u, _ in there],
            [[k.entry for k in moved[u].expired] for u, _ in there],
        )
        fresh = [(u, moved[u].after, m) for (u, _), m in zip(there, made, strict=True) if m is not None]
        kept = self.store.derive(self.model.version, fresh) if fresh else 0
        worn = [u for (u, _), m in zip(there, made, strict=True) if m is None]
        return kept + len(self._built(worn))

    def read(self, users: Sequence[str]) -> list[bytes]:
        """The bytes of each user as of now; those of an empty ring for a stranger."""
        found = self.store.derived(self.model.version, users)
        missing = list(dict.fromkeys(u for u, f in zip(users, found, strict=True) if f is None))
        made = self._built(missing)
        return [made[u] if f is None else f for u, f in zip(users, found, strict=True)]

    def build(self, users: Iterable[str]) -> int:
        """Make what is absent or stale, `BATCH` users at a time; how many were made."""
        made, batch = 0, []
        for user in users:
            batch.append(user)
            if len(batch) == BATCH:
                made, batch = made + self._completed(batch), []
        return made + self._completed(batch)

    def drop(self) -> None:
        """Forget all bytes of this version."""
        self.store.drop(self.model.version)

    def _completed(self, users: Sequence[str]) -> int:
        found = self.store.derived(self.model.version, users)
        return len(self._built([u for u, f in zip(users, found, strict=True) if f is None]))

    def _built(self, users: Sequence[str]) -> dict[str, bytes]:
        made: dict[str, bytes] = {}
        for at in range(0, len(users), BATCH):
            some = users[at : at + BATCH]
            held = [self.store.user(u) for u in some]
            fresh = self.model.build([[k.entry for k in h.ring] for h in held])
            self.store.derive(
                self.model.version, [(u, h.revision, b) for u, h, b in zip(some, held, fresh, strict=True) if h.ring]
            )
            made |= dict(zip(some, fresh, strict=True))
        return made
