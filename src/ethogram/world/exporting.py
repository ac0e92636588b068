"""The tape of a run as a behaviour log: simulated people train the same models as real ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import WorldError
from ethogram.log import Log
from ethogram.world.acts import SOURCES
from ethogram.world.declared import ENGINE, PEOPLE, Declared
from ethogram.world.draws import WORLD
from ethogram.world.events import REFUSED, Record
from ethogram.world.saying import unpacked
from ethogram.world.tape import Tape

TIME = pa.timestamp("us", "UTC")


def exported(tape: Tape, world: Declared, *, kinds: Sequence[str] | None, refused: bool, own: bool) -> Log:
    """See `World.log`."""
    if kinds is not None and (wrong := [k for k in kinds if k not in world.verbs]):
        raise WorldError(f"no verb '{wrong[0]}'; there are {', '.join(world.verbs)}.")
    parts = [t for r in tape.records() if len(t := _table(r, world, kinds, refused, own))]
    if not parts:
        raise WorldError("the log would be empty: nothing of the kind has happened (is anybody there, and awake?).")
    table = pa.concat_tables(parts)
    # a column that nobody filled is none
    empty = [c for c in ("item", "text", "payload", "cause") if table[c].null_count == len(table)]
    table = table.drop_columns(empty)
    roles: dict[str, Any] = {c: c for c in table.column_names}
    return Log.open(table, **roles)


def _table(record: Record, world: Declared, kinds: Sequence[str] | None, refused: bool, own: bool) -> pa.Table:
    keep = np.ones(len(record), bool)
    if not refused:
        keep &= ~record.refused
    if not own:
        keep &= (record.uid != WORLD) & (record.verb >= 1)
    if kinds is not None:
        keep &= np.isin(record.verb, [world.verbs.index(k) for k in kinds])
    places = np.flatnonzero(keep)
    verb, via = record.verb[places], record.via[places]
    item = _items(record, places, world)
    kind = _coded(verb.astype(np.int32), world.verbs)
    if refused:
        told = [*world.verbs, *(f"{v} (refused)" for v in world.verbs)]
        kind = _coded(verb.astype(np.int32) + np.where(via >= REFUSED, len(world.verbs), 0), told)
    actor = (via % REFUSED).astype(np.int32) * len(world.owners) + record.policy[places]
    cause = np.full(len(places), -1, np.int64) if record.cause is None else record.cause[places]
    text, payload = _texts(record, places)
    return pa.table(
        {
            "event": record.event[places],
            "user": _users(record.uid[places], world),
            "item": item,
            "time": pa.array(np.full(len(places), world.time(record.tick)), pa.int64()).cast(TIME),
            "kind": kind,
            "value": record.value[places].astype(np.float64),
            "text": text,
            "actor": _coded(actor.astype(np.int32), [f"{s}:{o}" for s in SOURCES for o in world.owners]),
            "cause": pa.array(cause, mask=cause < 0),
            "source": pa.array(np.full(len(places), f"simulated:{world.run}")),
            "payload": payload,
        }
    )


def _coded(codes: np.ndarray, names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(names))).cast(pa.string())


def _users(uid: np.ndarray, world: Declared) -> pa.Array:
    if world.ids is None:
        return pa.array(np.where(uid == WORLD, -1, uid.astype(np.int64)))
    names = pa.array([*map(str, world.ids), "world"])
    return names.take(pa.array(np.where(uid == WORLD, len(names) - 1, uid.astype(np.int64))))


def _items(record: Record, places: np.ndarray, world: Declared) -> pa.Array:
    """Objects by name where their kind has names; with several kinds of things an object tells its kind."""
    verb, on = record.verb[places], record.object[places]
    things = [world.thing(v) for v in world.verbs]
    used = sorted({t for t in things if t})
    if len(used) <= 1 and not (used and (used[0] in world.names or (used[0] == PEOPLE and world.ids is not None))):
        return pa.array(on.astype(np.int64), mask=on < 0)
    made = np.full(len(on), None, object)
    for code in np.unique(verb).tolist():
        mine = np.flatnonzero((verb == code) & (on >= 0))
        thing = things[code]
        names = world.ids if thing == PEOPLE and world.ids is not None else world.names.get(thing)
        told = on[mine].tolist()
        made[mine] = [str(names[i]) for i in told] if names is not None else [f"{thing or 'object'} {i}" for i in told]
    return pa.array(made.tolist(), pa.string())


def _texts(record: Record, places: np.ndarray) -> tuple[pa.Array, pa.Array]:
    """(what was said; the world's own commands and notes, reasons and waits, as JSON)."""
    text: list[str | None] = [None] * len(places)
    payload: list[str | None] = [None] * len(places)
    if record.text:
        at = {int(p): i for i, p in enumerate(places) if int(p) in record.text}
        for place, i in at.items():
            said = record.text[place]
            if record.uid[place] == WORLD:
                payload[i] = said if record.verb[place] == ENGINE.index("command") else json.dumps({"note": said})
                continue
            told = unpacked(said)
            text[i] = told.text or None
            more = {k: v for k, v in told._asdict().items() if k != "text" and v not in ("", None)}
            payload[i] = json.dumps(more, ensure_ascii=False) if more else None
    return pa.array(text, pa.string()), pa.array(payload, pa.string())
