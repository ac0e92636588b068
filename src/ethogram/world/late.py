"""Deadlines that were missed: noted with the recorded calls of a run, so that who was late then is late in its replay.

A clock cannot say it again. An answer that came too late is in the recording like any other, and a replay has it at
once; and a replay on a slow machine must not be late where the run was not. So in a strict replay nobody has a
deadline, and those are late of whom the recording says so.
"""

from __future__ import annotations

import contextlib
from typing import Any

from ethogram.errors import NotRecorded
from ethogram.lm.broker import Broker
from ethogram.world.minds import Context

STRICT = "replay-strict"


def limit(mind: Any, seen: Context) -> float | None:
    """Seconds that a mind has for a decision. Whoever is led from outside (`clocked`) is in no recording."""
    broker = _broker(seen)
    replayed = broker is not None and broker.mode == STRICT and not _clocked(mind)
    return None if replayed else seen.world.deadline


async def noted(mind: Any, seen: Context) -> str | None:
    """What was said when this decision was too late in the run that is replayed; None where it was not."""
    broker = _broker(seen)
    if broker is None or not broker.mode.startswith("replay"):
        return None
    try:
        why = str(await broker.fact(_name(seen), _absent))
    except NotRecorded:
        return None
    if broker.mode == STRICT and not _clocked(mind):
        # in vain, as then: calls that differ by nothing are told apart by their number, and it has used some up
        with contextlib.suppress(Exception):
            await mind.act(seen)
    return why


async def note(seen: Context, why: str) -> None:
    """Keep that a decision was too late."""
    broker = _broker(seen)
    if broker is None or broker.mode == STRICT:
        return

    async def told() -> str:
        return why

    await broker.fact(_name(seen), told)


async def _absent() -> str:
    raise NotRecorded("it was in time")


def _clocked(mind: Any) -> bool:
    return bool(getattr(mind, "clocked", False))


def _name(seen: Context) -> str:
    draws = seen.state.draws
    return f"late: {seen.world.run}, luck {draws.seed} {draws.domain}, person {seen.uid}, tick {seen.tick}"


def _broker(seen: Context) -> Broker | None:
    found = getattr(seen.world.lm, "broker", None)
    return found if isinstance(found, Broker) else None
