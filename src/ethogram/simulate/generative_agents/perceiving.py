"""Perceive: what is near, in the same arena, nearest first, a few of it; new things are kept, with their importance."""

from __future__ import annotations

import asyncio

from ethogram.simulate.generative_agents.turn import IDLE, Turn
from ethogram.world.town import OUTDOORS
from ethogram.world.town.living import Sight


async def perceive(turn: Turn) -> list[Sight]:
    """What is seen and was not among the latest events; it is kept, and where one is becomes known."""
    how, life = turn.how, turn.life
    arena = int(turn.living.town.arena_of[turn.here])
    if arena != OUTDOORS and arena not in life.known:
        life.known = sorted([*life.known, arena])
    seen = turn.living.sights(turn.seen.state, turn.seen.row, how.attention)
    fresh = [s for s in seen if s.text not in life.recent]
    if not fresh:
        return []
    life.recent = [*life.recent, *(s.text for s in fresh)][-how.retention :]
    if how.memory:
        for sight, worth in zip(fresh, await asyncio.gather(*(turn.worth(s.text) for s in fresh)), strict=True):
            turn.keep(sight.text, worth, kind=IDLE if is_idle(sight) else "observation")
    return fresh


def is_idle(sight: Sight) -> bool:
    return sight.text.endswith((" is idle", " is sleeping"))


async def whispered(turn: Turn) -> bool:
    """An inner thought that somebody outside put there becomes a record; whether there was one."""
    state, row = turn.seen.state, turn.seen.row
    if not state["fresh"][row]:
        return False
    for text in state.text(state["whisper"][row]).split("\n"):
        turn.keep(text, await turn.worth(text) if turn.how.memory else 1, kind="thought")
    return True
