"""Which version of a model answers: a durable fact that all replicas read, switched by compare-and-set.

A new version is made ready while the old one answers (`ready`): what it derives of each user is built from stored
events. Then one write switches. What the old one derived stays, so that rolling back is the same write the other way;
`retire` drops it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import msgspec

from ethogram.errors import StateError
from ethogram.serve.derived import BATCH, Derived
from ethogram.serve.state import Store

PASSES = 10
"""Times that all users are looked through at most: those who keep moving are built when they are read."""


class Choice(msgspec.Struct, frozen=True):
    """The version that answers, and the one that did before."""

    version: str
    previous: str | None = None


class Versions:
    """The choice under a name.

    Examples
    --------
    >>> Versions(store, "home").switch("2026-12-01")  # doctest: +SKIP
    Choice(version='2026-12-01', previous='2026-11-24')
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self._fact = f"version of {name}"

    def now(self) -> Choice | None:
        """None before the first switch."""
        return self._read()[1]

    def switch(self, version: str) -> Choice:
        """Let a version answer, from the next look of each replica on; again the same changes nothing."""
        while True:
            kept, choice = self._read()
            if choice is not None and choice.version == version:
                return choice
            made = Choice(version, None if choice is None else choice.version)
            if self.store.settle(self._fact, msgspec.json.encode(made), expected=kept):
                return made

    def back(self) -> Choice:
        """Let the version answer that did before.

        Raises
        ------
        StateError
            There is none.
        """
        choice = self.now()
        if choice is None or choice.previous is None:
            raise StateError(f"model '{self.name}': no other version answered before; there is nothing to go back to.")
        return self.switch(choice.previous)

    def _read(self) -> tuple[bytes | None, Choice | None]:
        kept = self.store.fact(self._fact)
        try:
            return kept, None if kept is None else msgspec.json.decode(kept, type=Choice)
        except msgspec.MsgspecError as error:
            raise StateError(f"model '{self.name}': which version answers cannot be read: {error}.") from None


@dataclass(frozen=True)
class Ready:
    """How far a version was made ready. left : users that moved meanwhile and are built when they are read."""

    users: int
    left: int
    stopped: bool = False


def ready(store: Store, derived: Derived, stop: threading.Event | None = None) -> Ready:
    """Build what a version derives of every user, until all are of now; runs beside the service, in a thread.

    Parameters
    ----------
    derived : appends must already be followed by it, so that who is built stays so.
    stop : ends it early; what was made is kept, and the next call goes on from there.
    """
    users = made = 0
    for _ in range(PASSES):
        made, batch = 0, list[str]()
        for user in store.users():
            if stop is not None and stop.is_set():
                return Ready(users + made, len(batch), stopped=True)
            batch.append(user)
            if len(batch) == BATCH:
                made, batch = made + derived.build(batch), []
        made += derived.build(batch)
        users += made
        if not made:
            break
    return Ready(users, made)


def retire(derived: Derived, versions: Versions) -> bool:
    """Drop what a version derived, unless it answers; whether it was dropped."""
    choice = versions.now()
    if choice is not None and choice.version == derived.model.version:
        return False
    derived.drop()
    return True
