"""More events for a stored log: a block beside the old ones, codes that stay, and one step from old to new."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import RolesError
from ethogram.log import kernels, payload, twins
from ethogram.log import manifest as manifests
from ethogram.log.casting import ROW, again
from ethogram.log.events import Events
from ethogram.log.importer import assemble
from ethogram.log.journal import locked
from ethogram.log.judge import TWICE, Clean, judge, settle
from ethogram.log.roles import CLOCKS
from ethogram.log.sequences import Sequences
from ethogram.log.sources import load
from ethogram.log.store import Writer, open_stored, sweep

MADE = ("event", "user_code", "item_code")
"""Columns of the table form that no source has to bring."""


class Added(NamedTuple):
    """What an append did: events kept, rows that the log had already, reason -> rows set aside."""

    events: int
    repeated: int
    quarantined: dict[str, int]


def append(
    path: str | Path,
    source: Any,
    /,
    *,
    strict: bool = False,
    header: bool = True,
    tz: str | None = None,
    **roles: str | None,
) -> Added:
    """Add the events of a source to a stored log.

    Roles are those of the log's first source, by its columns' names or by the log's own (``user``, ``item`` ...),
    unless given; times without a zone are those of the log's `tz`, unless given. Rows whose event id the log has with
    the same content are left out, so that an append can be repeated; with other content they are set aside.

    Raises
    ------
    LogFormatError, SourceError, RolesError, StrictError
        The log stays as it was.
    """
    path = Path(path)
    manifests.read(path)
    with locked(path / ".lock"):
        found = manifests.read(path)
        sweep(path, found)
        old = open_stored(path)
        raw = load(source, header=header)
        clean = judge(raw, again(raw, old.roles, roles), old.schema, tz=found.tz if tz is None else tz)
        _complete(clean, old)
        if clean.roles.order == ROW:  # rows of this source come after all that the log has
            last = int(np.max(old.sequences.columns["order"]))
            clean.columns["order"] = pc.add(clean.columns["order"], last + 1)
        elif raw.continues:
            clean.columns["order"] = pc.add(clean.columns["order"], pa.array(_behind(clean.columns["user"], old)))
        _known_events(clean, old)
        if strict:
            clean.quarantine.refuse()
        settle(clean)
        counts, repeated = clean.quarantine.counts(), clean.quarantine.repeated
        number = len(found.members["block"]) + 1
        writer = Writer(path, found)
        changed = replace(
            found,
            quarantined=dict(Counter(found.quarantined) + Counter(counts)),
            repeated=found.repeated + repeated,
        )
        writer.aside(len(found.members["quarantine"]) + 1, clean.quarantine.table())
        if len(clean):
            coded = set(old.vocabularies)
            fresh = assemble(clean, known=old.vocabularies, coded=coded, first=found.next_event)
            changed = _grow(writer, changed, old, fresh, number)
        else:
            writer.members["array"] = list(found.members["array"])
        changed = replace(
            changed, members={role: tuple(members) for role, members in writer.members.items()}, rows=writer.rows
        )
        writer.finish(changed)
        sweep(path, changed)
        return Added(len(clean), repeated, counts)


def _complete(clean: Clean, old: Events) -> None:
    """Give the source every column of the log; what it lacks is missing."""
    name = clean.quarantine.raw.name
    for column in clean.columns:
        if column not in old.schema:
            raise RolesError(f"{name}: the log has no column '{column}'. Columns of the log: {', '.join(old.schema)}.")
    n = len(clean)
    for column, kind in old.schema.items():
        if column in MADE or column in clean.columns or column in clean.extra:
            continue
        if column in ("user", *CLOCKS) or (column == "item" and "kind" not in old.schema):
            have = ", ".join(clean.quarantine.raw.table.column_names)
            raise RolesError(f"{name}: no column is the {column}, which the log has. Columns: {have}.")
        missing = pa.chunked_array([pa.nulls(n, kind)])
        if column in old.roles.extra:
            clean.extra[column] = missing
        else:
            clean.columns[column] = missing


def _behind(user: pa.ChunkedArray, old: Events) -> np.ndarray:
    """For each row the order that comes next for its user in the log, 0 for new users; int64[N]."""
    sequences = old.sequences
    if not len(sequences):
        return np.zeros(len(user), np.int64)
    place = sequences.find(old.vocabularies["user"].encode(user))
    last = np.maximum.reduceat(np.asarray(sequences.columns["order"]), sequences.offsets[:-1])
    return np.where(place >= 0, last[place] + 1, 0)


def _known_events(clean: Clean, old: Events) -> None:
    """Event ids that the log has already: repeated if all else is equal, else set aside."""
    if "event" not in clean.columns:
        return
    ids = pc.fill_null(clean.columns["event"], -1).to_numpy()
    there = np.asarray(old.sequences.columns["event"])
    rows = np.flatnonzero((clean.quarantine.reason == 0) & (ids <= (there.max() if len(there) else -1)))
    rows = rows[np.isin(ids[rows], there)]
    if not len(rows):
        return
    by_id = np.argsort(there, kind="stable")
    stored = by_id[np.searchsorted(there, ids[rows], sorter=by_id)]
    content = clean.content()
    table = old.table().select(list(content))
    if "time" in content:
        place = table.column_names.index("time")
        table = table.set_column(place, "time", table["time"].cast(pa.int64()))
    same = twins.equal(content, rows, {c: table[c] for c in content}, stored)
    again, other = np.zeros(len(ids), bool), np.zeros(len(ids), bool)
    again[rows[same]] = True
    other[rows[~same]] = True
    clean.quarantine.reject(other, TWICE)
    clean.quarantine.repeat(again)


def _grow(writer: Writer, found: manifests.Manifest, old: Events, fresh: Events, number: int) -> manifests.Manifest:
    """Write the new block, the new ids and the arrays over all blocks; the manifest without members."""
    writer.block(number, fresh)
    for name, vocabulary in fresh.vocabularies.items():
        if len(vocabulary) > found.coded[name]:
            writer.vocabulary(name, number, vocabulary, found.coded[name])
    sequences, place = merge(old.sequences, fresh.sequences, old.place)
    writer.arrays(found.generation + 1, sequences, place)
    both = hashlib.blake2b(f"{found.fingerprint}{fresh.fingerprint}".encode(), digest_size=16)
    return replace(
        found,
        fingerprint=both.hexdigest(),
        events=len(sequences),
        next_event=max(found.next_event, int(np.max(fresh.sequences.columns["event"])) + 1),
        generation=found.generation + 1,
        coded={name: len(v) for name, v in fresh.vocabularies.items()},
        payload=payload.merge([found.payload, fresh.payload]),
    )


def merge(old: Sequences, new: Sequences, place: np.ndarray | None) -> tuple[Sequences, np.ndarray | None]:
    """(events of both, sorted; for each its row in the concatenated blocks, None where that is its own).

    Parameters
    ----------
    new : its codes extend those of `old`.
    place : rows of `old` in its blocks.
    """
    columns = {}
    for name, column in new.columns.items():
        before = np.asarray(old.columns[name])
        # whole numbers among which one is missing become float32 with NaN
        to = before.dtype if before.dtype == column.dtype else np.dtype(np.float32)
        columns[name] = np.concatenate([before.astype(to, copy=False), column.astype(to, copy=False)])
    user = np.concatenate([old.user, new.user])
    clocks = [columns[c] for c in (*new.clocks, "event")]
    order, offsets = kernels.sort_events(user, clocks, len(new.vocabularies["user"]))
    n = len(old)
    behind = np.arange(n, n + len(new))
    place = np.concatenate([np.arange(n) if place is None else place, behind])[order]
    there = np.flatnonzero(np.diff(offsets))
    merged = Sequences(
        there.astype(np.int32), np.append(offsets[there], len(order)), {k: c[order] for k, c in columns.items()},
        new.vocabularies,
    )  # fmt: skip
    return merged, None if (np.diff(place) == 1).all() else place
