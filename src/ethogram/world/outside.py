"""Somebody from outside takes a person's place: a human at a screen, an agent that is trained, another program.

They see what any mind sees, and act through the same decisions; nobody in the world can tell. Declared as
``minds={"player": Outside}``; then ``world.promote(uid, "player")``, ``act(world, uid, "sit", 2)``, ``world.run(...)``.
Whoever has said nothing when a tick is decided is led by the world's fallback policy, or does nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ethogram.errors import WorldError
from ethogram.world.acts import Decision
from ethogram.world.deciding import possible
from ethogram.world.minds import Context, context

if TYPE_CHECKING:
    from ethogram.world.world import World

Source = Callable[[Context], Awaitable[Decision | None]]


class Outside:
    """A mind without thoughts of its own.

    Parameters
    ----------
    source : asked at each tick where nothing was said before (a person at a screen); the world's `deadline` bounds
        how long it may take.
    """

    clocked = True  # no recording of a model holds what is said here: a replay waits no longer than the run

    def __init__(self, persona: Mapping[str, Any], source: Source | None = None):
        self.persona, self.source = persona, source
        self.pending: Decision | None = None

    async def act(self, seen: Context) -> Decision:
        said = self.pending
        if said is None and self.source is not None:
            told = self.source(seen)
            said = await told if inspect.isawaitable(told) else told
        if said is None:
            return Decision(via="fallback", why="nobody outside said anything")
        return replace(said, via="outside")

    def remember(self, seen: Context, acts: Sequence[Decision]) -> None:
        """What was done is not wanted again."""
        self.pending = None


def act(
    world: World, uid: int, verb: str, object: int = -1, *, value: float = 0.0, text: str = "", wait: int | None = None
) -> None:
    """Say what a person who is led from outside does at the next tick.

    Raises
    ------
    WorldError
        Nobody leads this person from outside, or the act is none of this world's.
    """
    row = world.live.row(uid)
    held = world.live.overlay.of(row)
    if not isinstance(held.mind, Outside):
        raise WorldError(f"person {uid} is led by '{held.kind}', not from outside; promote it to a kind of Outside.")
    said = Decision(verb, object, value, text, wait=wait, via="outside")
    held.mind.pending = possible(said, context(row, held, world.live.frozen(), world.declared))
