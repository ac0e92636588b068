"""The decisions of a tick: vector policies in batches on threads, minds all at once on one event loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from ethogram.errors import BudgetSpent, LMError, NotRecorded, WorldError
from ethogram.lm.ledger import answered
from ethogram.world import late
from ethogram.world.acts import NOTHING, SOURCES, Acts, Batch, Decision, encoded, joined
from ethogram.world.columns import POLICY, UID
from ethogram.world.declared import PEOPLE, Declared
from ethogram.world.events import REFUSED, Record
from ethogram.world.live import Live
from ethogram.world.minds import Context, context
from ethogram.world.saying import Said, packed, unpacked
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


@dataclass(frozen=True)
class Thought:
    """What a mind decided, and what it saw: `settle` gives it back to the mind when the claims are settled.

    `kept`: the model was asked, and every answer was there already (a cache, a recording, an equal call in flight).
    """

    mind: Any
    seen: Context
    decisions: tuple[Decision, ...]
    kept: bool = False

    def settle(self, granted: Sequence[bool]) -> None:
        if hasattr(self.mind, "remember"):
            pairs = zip(self.decisions, granted, strict=True)
            self.mind.remember(self.seen, tuple(d if g else replace(d, granted=False) for d, g in pairs))


async def minded(
    live: Live, world: Declared, rows: np.ndarray, seen: Frozen, recorded: Mapping[int, tuple[Decision, ...]] | None
) -> tuple[Batch, np.ndarray, list[Thought]]:
    """What minds decide, all asked at once, in the order of their rows; when each is awake again; what each thought.

    Parameters
    ----------
    recorded : uid -> decisions of a run that is repeated; nobody is asked then.
    """

    async def one(row: int) -> Thought:
        held = live.overlay.of(row)
        told = context(row, held, seen, world)
        if recorded is not None and told.uid in recorded:
            return Thought(held.mind, told, recorded[told.uid])
        began, sources = time.perf_counter(), Counter[str]()
        answered.set(sources)  # of this task alone: gather gives each its own context
        try:
            decisions = await _decided(held.mind, told, world)
            kept = sources.total() > 0 and not sources["live"] and decisions[0].via == "model"
            return Thought(held.mind, told, decisions, kept)
        finally:
            live.seconds[f"mind: {held.kind}"] += time.perf_counter() - began

    found = await asyncio.gather(*(one(int(r)) for r in rows), return_exceptions=True)
    for one_ in found:
        if isinstance(one_, BaseException):  # when all have come back: nobody goes on unseen
            raise one_
    made = [t for t in found if isinstance(t, Thought)]
    if n := sum(t.kept for t in made):  # no event tells it: the tape is the same wherever answers come from
        live.decisions.update({"cache": n, "model": -n})
    return (*tabled(live, world, rows, made, seen), made)


async def _decided(mind: Any, told: Context, world: Declared) -> tuple[Decision, ...]:
    """Decisions that can be done in this world, or one that says why there is none."""
    if (why := await late.noted(mind, told)) is not None:
        return (Decision(via="fallback", why=why),)
    limit = late.limit(mind, told)
    try:
        found = await asyncio.wait_for(mind.act(told), limit)
        several = tuple(found) if isinstance(found, list | tuple) else (found,)
        if world.master is not None:
            free = [isinstance(d, Decision) and not d.verb for d in several]
            several = tuple(
                [
                    await asyncio.wait_for(world.master.judge(told, d), limit) if f else d
                    for d, f in zip(several, free, strict=True)
                ]
            )
        return tuple(possible(d, told) for d in several) or (Decision(),)
    except NotRecorded:
        raise
    except BudgetSpent as error:
        if world.spent == "stop":
            raise
        why = f"BudgetSpent: {error}"
    except TimeoutError:
        why = f"no answer within {world.deadline:g} seconds" if world.deadline else "TimeoutError"
        await late.note(told, why)
    except (LMError, WorldError) as error:
        why = f"{type(error).__name__}: {error}"
    return (Decision(via="fallback", why=why[:500]),)


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
    try:
        notes = json.loads(json.dumps(found.notes, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise WorldError(f"the notes of a decision must be what JSON can hold ({error}).") from None
    # as the tape holds it: who remembers is given the same in the first run and in its repetition
    return replace(found, value=float(np.float32(found.value)), notes=notes)


def tabled(
    live: Live, world: Declared, rows: np.ndarray, made: list[Thought], seen: Frozen
) -> tuple[Batch, np.ndarray]:
    """Decisions as a table; those that fell back are decided by the fallback policy, and say why they did."""
    waits = np.ones(len(rows), np.int64)
    at: list[int] = []
    kept: list[Decision] = []
    fallen: list[Batch] = []
    for i, (row, thought) in enumerate(zip(rows.tolist(), made, strict=True)):
        first = thought.decisions[0]
        waits[i] = first.wait if first.wait is not None else rests(thought)
        if first.via == "fallback" and world.fallback:
            rest = _fallen(live, world, row, live.overlay.of(row).kind, first, seen)
            if len(rest):
                fallen.append(rest)
                continue
        at += [i] * len(thought.decisions)
        kept += thought.decisions
    codes = [world.owners.index(live.overlay.of(int(rows[i])).kind) for i in at]
    said = [packed(Said(d.text, d.why, d.wait, d.notes)) for d in kept]
    table = Batch(
        rows[at], live.arrays[UID][rows[at]], np.array([world.verbs.index(d.verb) for d in kept], np.uint8),
        np.array([d.object for d in kept], np.int32), np.array([d.value for d in kept], np.float32),
        np.array([SOURCES.index(d.via) for d in kept], np.uint8), np.array(codes, np.uint8),
        np.array([d.cause for d in kept], np.int64) if any(d.cause >= 0 for d in kept) else None,
        {i: t for i, t in enumerate(said) if t},
    )  # fmt: skip
    return joined([table, *fallen]), waits


def rests(thought: Thought) -> int:
    """Ticks until a mind is awake again whose decision does not say it."""
    if hasattr(thought.mind, "rests"):
        return int(thought.mind.rests(thought.seen))
    return int(getattr(thought.mind, "every", 1))


def _fallen(live: Live, world: Declared, row: int, kind: str, found: Decision, seen: Frozen) -> Batch:
    """What the fallback policy does for one person, under the name of the mind that could not."""
    policy, uid, rows = live.policies[world.fallback], live.arrays[UID], np.array([row])
    made = policy.act(rows, seen, seen.luck(rows))
    acts: Sequence[Acts] = [made] if isinstance(made, Acts) else list(made or ())
    acts = [replace(a, via="fallback") for a in acts]
    batch = encoded(acts, world.verbs, uid, world.owners.index(kind), world.fallback, world.sizes(seen))
    if len(batch):
        batch.text[0] = packed(Said(batch.text.get(0, ""), found.why, found.wait))
    return batch


def recalled(record: Record | None, live: Live, world: Declared) -> dict[int, tuple[Decision, ...]]:
    """uid -> what minds decided at a tick that is repeated; one that fell back falls back again."""
    if record is None or not world.minds:
        return {}
    kinds = {world.owners.index(k) for k in world.minds}
    found: dict[int, tuple[Decision, ...]] = {}
    mine = np.flatnonzero(np.isin(record.policy, list(kinds)))
    for i in mine[np.lexsort((record.k[mine], record.uid[mine]))].tolist():
        uid, via = int(record.uid[i]), SOURCES[int(record.via[i]) % REFUSED]
        said = unpacked(record.text.get(i, ""))
        if via == "fallback" and world.fallback:
            if uid not in found:
                found[uid] = (Decision(wait=said.wait, via=via, why=said.why),)
            continue
        verb, on = world.verbs[record.verb[i]], int(record.object[i])
        if not live.plain and world.thing(verb) == PEOPLE:
            on = live.row(on)
        cause = -1 if record.cause is None else int(record.cause[i])
        value = float(record.value[i])
        one = Decision(verb, on, value, said.text, cause, said.wait, via, said.why, said.notes)
        found[uid] = (*found.get(uid, ()), one)
    return found
