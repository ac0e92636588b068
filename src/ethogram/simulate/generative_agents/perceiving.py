"""Perceive: what is near, in the same arena, nearest first, a few of it; new things are kept, with their importance."""

from __future__ import annotations

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
    for sight in fresh:
        if is_idle(sight):
            turn.keep(sight.text, 1, kind=IDLE)
    told = [s.text for s in fresh if not is_idle(s)]
    for text, worth in zip(told, await turn.worths(told), strict=True):
        turn.keep(text, worth)
    return fresh


def is_idle(sight: Sight) -> bool:
    return sight.text.endswith((" is idle", " is sleeping"))


async def whispered(turn: Turn) -> bool:
    """An inner thought that somebody outside put there becomes a record; whether there was one."""
    state, row = turn.seen.state, turn.seen.row
    if not state["fresh"][row]:
        return False
    told = state.text(state["whisper"][row]).split("\n")
    for text, worth in zip(told, await turn.worths(told), strict=True):
        turn.keep(text, worth, kind="thought")
    return True
