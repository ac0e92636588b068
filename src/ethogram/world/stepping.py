"""One tick: freeze, observe, decide, resolve in one fixed order, apply, log.

Whatever decides sees the state as it was at the beginning of the tick; which answer comes first changes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from ethogram.errors import StateError, WorldError
from ethogram.lm.blocking import run
from ethogram.world.actions import done
from ethogram.world.acts import SOURCES, Batch, Decision, joined
from ethogram.world.columns import UID
from ethogram.world.deciding import Thought, minded, parted, recalled, vector
from ethogram.world.declared import COMMAND, ENGINE, NOTE, OWNER, PEOPLE, Declared
from ethogram.world.draws import WORLD
from ethogram.world.events import Record, ids, numbered
from ethogram.world.live import Live, own
from ethogram.world.state import Frozen


def step(live: Live, world: Declared, recorded: Record | None = None) -> Record | None:
    """Do the tick `live.tick`, and put what happened on the tape.

    Parameters
    ----------
    recorded : what happened at this tick, where a run is repeated: minds are not asked again.

    Raises
    ------
    WorldError
        An act or a command is none of this world's; the world is as it was before the tick, unless an `apply` raised.
    """
    tick = live.tick
    live.settle(world)
    said = [own_event(COMMAND, json.dumps(c.json(), sort_keys=True)) for c in live.commanded]
    rows = live.calendar.take(tick)
    parts: list[Batch] = []
    learning = {n: own(p) for n, p in live.policies.items() if hasattr(p, "prepare")}
    try:
        for some in _turns(rows, world):
            parts.append(transacted(live, world, some, recorded, said))
    except BaseException as error:
        if parts and not live.broken:
            live.broken = f"tick {tick}: {type(error).__name__} when some had acted already: {error}"
        live.calendar.put_back(rows, tick)
        live.policies.update(learning)  # what was learned on the way is in no note
        raise
    record = recording(live, world, tick, [*said, *parts])
    live.commanded.clear()
    live.tick += 1
    return record


def _turns(rows: np.ndarray, world: Declared) -> list[np.ndarray]:
    """Who decides together: all, or in a world of turns one after the other, each seeing what the last one did."""
    return [rows[i : i + 1] for i in range(len(rows))] if world.sequential else [rows]


def own_event(verb: str, text: str) -> Batch:
    """An event of the world itself."""
    code = ENGINE.index(verb)
    return Batch(
        np.full(1, -1, np.int64), np.full(1, WORLD, np.uint32), np.full(1, code, np.uint8), np.full(1, -1, np.int32),
        np.zeros(1, np.float32), np.full(1, SOURCES.index(OWNER), np.uint8), np.zeros(1, np.uint8), text={0: text},
    )  # fmt: skip


def transacted(live: Live, world: Declared, rows: np.ndarray, recorded: Record | None, said: list[Batch]) -> Batch:
    """The step transaction of some of those who are awake; notes of what policies learned are added to `said`."""
    clock = time.perf_counter()
    seen = live.frozen()
    groups, minds = parted(live, rows)
    asking = [n for n in groups if hasattr(live.policies[n], "prepare")]
    parts: list[tuple[np.ndarray, Batch, Any]] = []
    thoughts: list[Thought] = []
    if asking or len(minds):
        began = time.perf_counter()
        known = recalled(recorded, live, world)
        made, waits, thoughts, notes = run(
            asked(live, world, {n: groups[n] for n in asking}, minds, seen, known, recorded)
        )
        _spent(live, "ask", began)
        said += [own_event(NOTE, n) for n in notes]
        if len(minds):
            parts.append((minds, made, waits))
    parts += [(part, *vector(live, world, name, part, seen)) for name, part in groups.items()]
    clock = _spent(live, "decide", clock)
    return settled(live, world, parts, thoughts, seen, clock)


async def asked(
    live: Live, world: Declared, groups: dict[str, np.ndarray], minds: np.ndarray, seen: Frozen,
    known: dict[int, tuple[Decision, ...]], recorded: Record | None,
) -> tuple[Batch, np.ndarray, list[Thought], list[str]]:  # fmt: skip
    """What needs models: policies that prepare themselves, and minds."""
    notes: list[str] = []
    for name, rows in groups.items():
        policy = live.policies[name]
        if recorded is not None:
            policy.recall(noted(recorded, world, name), rows, seen)
            told = noted(recorded, world, name)
        else:
            told = await policy.prepare(rows, seen, world.lm)
            if world.spent == "stop" and (refused := getattr(policy, "refused", None)) is not None:
                raise refused
        notes += [json.dumps([name, t]) for t in told]
    if not len(minds):
        return joined([]), np.zeros(0, np.int64), [], notes
    return (*await minded(live, world, minds, seen, known), notes)


def noted(record: Record, world: Declared, name: str) -> list[str]:
    """Notes of a policy in a record."""
    note = world.verbs.index(NOTE)
    told = [json.loads(record.text[i]) for i in np.flatnonzero(record.verb == note).tolist()]
    return [text for owner, text in told if owner == name]


def settled(
    live: Live, world: Declared, parts: list[tuple[np.ndarray, Batch, Any]], thoughts: list[Thought], seen: Frozen,
    clock: float,
) -> Batch:  # fmt: skip
    """Resolve, let minds remember, apply, and say when everybody is awake again. `parts`: (rows, acts, waits)."""
    batch = joined([b for _, b, _ in parts if len(b)])
    batch.k = np.zeros(0, np.uint8)
    if len(batch):
        batch.k = numbered(batch, seen.tick)
        batch = _ordered(batch, world)
        batch.done = _resolved(batch, world, seen)
    clock = _spent(live, "resolve", clock)
    try:
        _remembered(batch, thoughts)
        for rows, _, waits in parts:
            live.calendar.set(rows, seen.tick, waits)
        _apply(live, world, batch, seen.tick)
    except BaseException as error:
        live.broken = f"tick {seen.tick}: applying what happened raised {type(error).__name__}: {error}"
        raise
    _spent(live, "apply", clock)
    return batch


def _remembered(batch: Batch, thoughts: list[Thought]) -> None:
    """Give minds back what they decided, and whether it was granted, before anything of it happens."""
    if not thoughts:
        return
    refused: set[tuple[int, int]] = set()
    if batch.done is not None and batch.k is not None:
        lost = ~batch.done
        refused = set(zip(batch.uid[lost].tolist(), batch.k[lost].tolist(), strict=True))
    for one in thoughts:
        one.settle([(one.seen.uid, k) not in refused for k in range(len(one.decisions))])


def _ordered(batch: Batch, world: Declared) -> Batch:
    """In the order (priority, person, number of the act)."""
    priority = np.array(world.order, np.int64)[batch.verb] if any(world.order) else None
    uid = batch.uid
    sorted_ = len(uid) < 2 or bool((uid[1:] >= uid[:-1]).all())
    if priority is None and sorted_:
        return batch
    assert batch.k is not None
    keys = (batch.k, uid) if priority is None else (batch.k, uid, priority)
    return batch.take(np.lexsort(keys))


def _resolved(batch: Batch, world: Declared, seen: Frozen) -> np.ndarray | None:
    found: np.ndarray | None = None
    for i, (rule, verbs) in enumerate(world.rules):
        if rule.kind in ("everyone", "merge"):
            continue
        mine = np.flatnonzero(np.isin(batch.verb, list(verbs)))
        if not len(mine):
            continue
        if rule.fair:
            luck = seen.draws.uniform(f"rule {i}", batch.uid[mine], seen.tick)[:, 0]
            priority = np.array(world.order)[batch.verb[mine]]
            assert batch.k is not None
            mine = mine[np.lexsort((batch.k[mine], batch.uid[mine], luck, priority))]
        granted = rule.accepted(batch.object[mine], seen)
        if granted is not None and not granted.all():
            found = np.ones(len(batch), bool) if found is None else found
            found[mine] = granted
    return found


def _apply(live: Live, world: Declared, batch: Batch, tick: int) -> None:
    if not len(batch):
        return
    state = live.writable(world, tick)
    first = int(batch.verb[0])
    alone = bool((batch.verb == first).all())
    verbs = [first] if alone else sorted(np.unique(batch.verb).tolist(), key=lambda v: (world.order[v], v))
    for code in verbs:
        action = world.actions.get(world.verbs[code])
        if action is None or action.apply is None:
            continue
        part = batch
        if not alone or batch.done is not None:
            mine = batch.verb == code
            part = batch.take(np.flatnonzero(mine if batch.done is None else mine & batch.done))
        if len(part):
            assert part.k is not None
            action.apply(state, done(action, part, ids(tick, part.uid, part.k)))


def recording(live: Live, world: Declared, tick: int, parts: list[Batch]) -> Record | None:
    """Put the events of a tick on the tape, in one order; None where nothing happened."""
    clock = time.perf_counter()
    parts = [p for p in parts if len(p)]
    if not parts:
        return None
    own = 0
    for part in parts:
        if part.uid[0] == WORLD:
            part.k = np.full(1, own, np.int64)
            own += 1
    if own > 256:
        raise WorldError(f"tick {tick}: {own} commands and notes; at most 256 in one tick.")
    whole = parts[0] if len(parts) == 1 else together(parts, world)
    record = Record.of(whole, tick)
    if not live.plain:
        _by_identity(record, live, world)
    live.tape.append(record)
    # whoever does several things at a tick decided once
    via = np.bincount(whole.via[np.asarray(whole.k) == 0], minlength=len(SOURCES))
    live.decisions.update({s: int(n) for s, n in zip(SOURCES, via, strict=True) if n})
    _spent(live, "log", clock)
    return record


def _by_identity(record: Record, live: Live, world: Declared) -> None:
    """What is done on people is logged with their identity; their row is none of the log's business."""
    social = [i for i, v in enumerate(world.verbs) if world.thing(v) == PEOPLE]
    mine = np.isin(record.verb, social) & (record.object >= 0)
    if mine.any():
        record.object = record.object.copy()
        record.object[mine] = live.arrays[UID][record.object[mine]].astype(np.int32)


def together(parts: list[Batch], world: Declared) -> Batch:
    """Resolved parts of one tick, the world's own events first, then by priority, person and number."""
    whole = joined(parts)
    whole.k = np.concatenate([np.asarray(p.k) for p in parts]).astype(np.uint8)
    if any(p.done is not None for p in parts):
        whole.done = np.concatenate([np.ones(len(p), bool) if p.done is None else p.done for p in parts])
    priority = np.array(world.order)[whole.verb]
    order = np.lexsort((whole.k, whole.uid, priority, whole.uid != WORLD))
    return whole if (np.diff(order) > 0).all() else whole.take(order)


def _spent(live: Live, what: str, since: float) -> float:
    now = time.perf_counter()
    live.seconds[what] += now - since
    return now


def repeated(live: Live, world: Declared, entries: list[Any], until: int) -> None:
    """Repeat a run from where `live` is: ticks up to `until`, minds deciding what they decided; see `retold`."""
    for _ in retold(live, world, entries, until):
        pass


def retold(live: Live, world: Declared, entries: list[Any], until: int) -> Iterator[Record]:
    """As `repeated`, tick by tick: gives what is going to happen, while `live` still is as it was before.

    Raises
    ------
    StateError
        Something else happens than on the tape: the world is not declared as it was.
    """
    told = {e.tick: e for e in entries if live.tick <= e.tick < until}
    while live.tick < until:
        upcoming = [t for t in (live.next(), min(told, default=None)) if t is not None]
        if not upcoming or min(upcoming) >= until:
            break
        live.tick = at = max(live.tick, min(upcoming))
        entry, before = told.pop(at, None), live.tape.chain
        record = entry.record() if entry else Record.empty(at)
        yield record
        step(live, world, record)
        if live.tape.chain != (entry.chain if entry else before):
            raise StateError(f"tick {at} is not repeated as it was: the world is declared otherwise than when it ran.")
    live.tick = max(live.tick, until)
