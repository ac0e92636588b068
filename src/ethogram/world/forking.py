"""Other courses of a run: its state at any tick that has happened, and branches from there.

A branch shares with the run every column that neither has written since. What happened before the fork is the same
tape, and it is checked: ticks between the nearest kept state and the fork are repeated, link by link.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ethogram.errors import WorldError
from ethogram.world import checkpoint
from ethogram.world.draws import Draws
from ethogram.world.live import Live
from ethogram.world.stepping import repeated
from ethogram.world.tape import Tape

if TYPE_CHECKING:
    from ethogram.world.world import World


def rebuilt(world: World, at: int, commands: bool = True) -> Live:
    """The state as it was at the beginning of tick `at`; with `commands` it is given what
    the run was commanded from then on.

    Raises
    ------
    WorldError
        That tick has not happened.
    """
    now = world.live
    if not 0 <= at <= now.tick:
        raise WorldError(f"tick {at} has not happened: the run is at tick {now.tick}; give 0 to {now.tick}.")
    if at == now.tick and (commands or not now.commanded):
        live = now.copy()
        if not commands:
            live.agenda.left_alone()
        return live
    # a state that was kept behind commands of its own tick cannot be without them
    near = max(t for t, kept in world.kept.items() if t < at or (t == at and (commands or not kept.commanded)))
    live = world.kept[near].copy()
    if world.folder is not None:
        live = _from_disk(world, world.folder, near, at if commands else at - 1) or live
    live.agenda.as_given(now.agenda.history)
    live.tape = Tape(None, now.tape.before(live.tick))
    repeated(live, world.declared, now.tape.entries, at)
    if not commands:
        live.agenda.left_alone()
    return live


def _from_disk(world: World, root: Path, near: int, at: int) -> Live | None:
    found = [t for t in checkpoint.saved(root) if near < t <= at]
    return checkpoint.opened(root, found[-1], world.kept[0], world.declared, world.live.tape) if found else None


def thin(kept: dict[int, Live], most: int, mb: float) -> None:
    """Drop every second snapshot, never the beginning or the newest, until they fit."""
    while len(kept) > 2 and (len(kept) - 1 > most or size(kept) > mb * 2**20):
        for tick in sorted(kept)[1:-1:2]:
            del kept[tick]


def size(kept: dict[int, Live]) -> int:
    """Bytes of the columns of snapshots; what they share counts once."""
    arrays = {id(a): a for live in kept.values() for a in live.arrays.values()}
    return sum(a.nbytes for a in arrays.values())


def another_luck(live: Live, seed: int) -> None:
    """Give a branch random numbers of its own from here on."""
    live.draws = Draws(live.draws.seed, f"{live.draws.domain}/{seed}")


def renamed(world: World, run: str) -> None:
    world.declared = replace(world.declared, run=run)
