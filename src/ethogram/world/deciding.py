"""The decisions of a tick: vector policies in batches on threads, minds all at once on one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ethogram.errors import BudgetSpent, LMError, NotRecorded, WorldError
from ethogram.world.acts import NOTHING, SOURCES, Acts, Batch, Decision, encoded, joined
from ethogram.world.columns import POLICY, UID
from ethogram.world.declared import PEOPLE, Declared
from ethogram.world.events import REFUSED, Record
from ethogram.world.live import Live
from ethogram.world.minds import Context, context
from ethogram.world.saying import packed, unpacked
from ethogram.world.state import Frozen


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, "ethogram-world")


def parted(live: Live, rows: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Who is awake, by vector policy, and those who have a mind."""
    minds = np.zeros(0, np.int64)
    if live.overlay.held and len(rows):
        held = np.fromiter(live.overlay.held, np.int64)
        at = np.minimum(np.searchsorted(rows, held), len(rows) - 1)
        there = rows[at] == held
        minds = held[there]
        if len(minds):
            keep = np.ones(len(rows), bool)
            keep[at[there]] = False
            rows = rows[keep]
    if not len(rows):
        return {}, minds
    names = list(live.policies)
    if not names:
        raise WorldError(f"row {rows[0]} is awake and has neither policy nor mind; declare policies={{...}}.")
    if len(names) == 1:
        return {names[0]: rows}, minds
    codes = live.arrays[POLICY][rows]
    return {n: part for i, n in enumerate(names) if len(part := rows[codes == i])}, minds


def vector(live: Live, world: Declared, name: str, rows: np.ndarray, seen: Frozen) -> tuple[Batch, Any]:
    """What the people of a vector policy do, and after how many ticks they are awake again."""
    policy, uid, sizes = live.policies[name], live.arrays[UID], world.sizes(seen)
    code = world.owners.index(name)

    def part(some: np.ndarray) -> Batch:
        made = policy.act(some, seen, seen.luck(some))
        acts: Sequence[Acts] = [made] if isinstance(made, Acts) else list(made or ())
        return encoded(acts, world.verbs, uid, code, name, sizes)

    pieces = [rows[at : at + world.batch] for at in range(0, len(rows), world.batch)]
    run = map(part, pieces) if world.workers == 1 or len(pieces) == 1 else _pool(world.workers).map(part, pieces)
    batch = joined(list(run))
    if hasattr(policy, "wait"):
        return batch, policy.wait(rows, seen, seen.luck(rows))
    return batch, getattr(policy, "every", 1)


async def minded(
    live: Live, world: Declared, rows: np.ndarray, seen: Frozen, recorded: Mapping[int, Decision] | None
) -> tuple[Batch, np.ndarray]:
    """What minds decide, all asked at once, in the order of their rows; and when each is awake again.

    Parameters
    ----------
    recorded : uid -> decision of a run that is repeated; those minds that can take note of it are not asked.
    """

    async def one(row: int) -> Decision:
        held = live.overlay.of(row)
        told = context(row, held, seen, world)
        known = (recorded or {}).get(told.uid)
        if known is not None and hasattr(held.mind, "replayed"):
            held.mind.replayed(told, known)
            return known
        began = time.perf_counter()
        try:
            return await _decided(held.mind, told, world)
        finally:
            live.seconds[f"mind: {held.kind}"] += time.perf_counter() - began

    made = await asyncio.gather(*(one(int(r)) for r in rows))
    return tabled(live, world, rows, list(made), seen)


async def _decided(mind: Any, told: Context, world: Declared) -> Decision:
    """A decision that can be done in this world, or one that says why there was none."""
    try:
        found = await asyncio.wait_for(mind.act(told), world.deadline)
        if isinstance(found, Decision) and not found.verb and world.master is not None:
            found = await asyncio.wait_for(world.master.judge(told, found), world.deadline)
        return possible(found, told)
    except NotRecorded:
        raise
    except BudgetSpent as error:
        if world.spent == "stop":
            raise
        why = f"BudgetSpent: {error}"
    except TimeoutError:
        why = f"no answer within {world.deadline:g} seconds"
    except (LMError, WorldError) as error:
        why = f"{type(error).__name__}: {error}"
    return Decision(via="fallback", why=why[:500])


def possible(found: Any, told: Context) -> Decision:
    """The decision itself; WorldError where it is none, or its verb or object does not exist."""
    if not isinstance(found, Decision):
        raise WorldError(f"a mind must return a Decision, not {type(found).__name__}.")
    if found.verb != NOTHING and found.verb not in told.world.actions:
        raise WorldError(f"a mind wants to '{found.verb}'; known: {', '.join(told.world.actions)}, {NOTHING}.")
    if found.via not in SOURCES:
        raise WorldError(f"a decision comes via {', '.join(SOURCES)}, not '{found.via}'.")
    most = told.world.sizes(told.state).get(found.verb)
    if most is not None and not 0 <= found.object < most:
        raise WorldError(f"'{found.verb}' on object {found.object}; there are 0 to {most - 1}.")
    if found.wait is not None and found.wait < 1:
        raise WorldError(f"a decision waits {found.wait} ticks; 1 or more.")
    if not np.isfinite(found.value):
        raise WorldError(f"a decision has the value {found.value}.")
    return found


def tabled(
    live: Live, world: Declared, rows: np.ndarray, made: list[Decision], seen: Frozen
) -> tuple[Batch, np.ndarray]:
    """Decisions as a table; those that fell back are decided by the fallback policy, and say why they did."""
    waits = np.ones(len(rows), np.int64)
    kept: list[tuple[int, Decision]] = []
    fallen: list[Batch] = []
    for i, (row, found) in enumerate(zip(rows.tolist(), made, strict=True)):
        held = live.overlay.of(row)
        waits[i] = found.wait if found.wait is not None else getattr(held.mind, "every", 1)
        rest = _fallen(live, world, row, held.kind, found, seen) if found.via == "fallback" and world.fallback else None
        if rest is not None and len(rest):
            fallen.append(rest)
        else:
            kept.append((i, found))
    at = [i for i, _ in kept]
    codes = [world.owners.index(live.overlay.of(int(rows[i])).kind) for i in at]
    found_ = [d for _, d in kept]
    table = Batch(
        rows[at], live.arrays[UID][rows[at]], np.array([world.verbs.index(d.verb) for d in found_], np.uint8),
        np.array([d.object for d in found_], np.int32), np.array([d.value for d in found_], np.float32),
        np.array([SOURCES.index(d.via) for d in found_], np.uint8), np.array(codes, np.uint8),
        np.array([d.cause for d in found_], np.int64) if any(d.cause >= 0 for d in found_) else None,
        {i: t for i, d in enumerate(found_) if (t := packed(d.text, d.why, d.wait))},
    )  # fmt: skip
    return joined([table, *fallen]), waits


def _fallen(live: Live, world: Declared, row: int, kind: str, found: Decision, seen: Frozen) -> Batch:
    """What the fallback policy does for one person, under the name of the mind that could not."""
    policy, uid, rows = live.policies[world.fallback], live.arrays[UID], np.array([row])
    made = policy.act(rows, seen, seen.luck(rows))
    acts: Sequence[Acts] = [made] if isinstance(made, Acts) else list(made or ())
    acts = [replace(a, via="fallback") for a in acts]
    batch = encoded(acts, world.verbs, uid, world.owners.index(kind), world.fallback, world.sizes(seen))
    if len(batch):
        batch.text[0] = packed(batch.text.get(0, ""), found.why, found.wait)
    return batch


def recalled(record: Record | None, live: Live, world: Declared) -> dict[int, Decision]:
    """uid -> what minds decided at a tick that is repeated; one that fell back falls back again."""
    if record is None or not world.minds:
        return {}
    kinds = {world.owners.index(k) for k in world.minds}
    found: dict[int, Decision] = {}
    for i in np.flatnonzero(np.isin(record.policy, list(kinds))).tolist():
        uid, via = int(record.uid[i]), SOURCES[int(record.via[i]) % REFUSED]
        text, why, wait = unpacked(record.text.get(i, ""))
        cause = -1 if record.cause is None else int(record.cause[i])
        verb, on = world.verbs[record.verb[i]], int(record.object[i])
        if not live.plain and world.thing(verb) == PEOPLE:
            on = live.row(on)
        one = Decision(verb, on, float(record.value[i]), text, cause, wait, via, why)
        if via == "fallback" and uid in found:
            continue
        found[uid] = Decision(wait=wait, via="fallback", why=why) if via == "fallback" and world.fallback else one
    return found
