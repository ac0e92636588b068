"""From a source to events: judged, coded, sorted. Rows read = rows kept + repeated + quarantined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.log import payload, times, typed
from ethogram.log.arrange import arrange
from ethogram.log.coding import code
from ethogram.log.events import TIME, Events
from ethogram.log.judge import APART, Clean, judge, settle
from ethogram.log.roles import ROLES
from ethogram.log.sequences import Sequences
from ethogram.log.sides import side_table
from ethogram.log.sources import load
from ethogram.log.vocabulary import Vocabulary

CODED = ("item", "kind", "session", "slate", "actor", "source")
"""Roles that are always coded."""
MOST_DISTINCT, LONGEST = 65_536, 64
"""Further text columns with at most so many values of at most so many bytes on average are coded."""


def read(
    source: Any,
    /,
    *,
    strict: bool = False,
    items: Any = None,
    users: Any = None,
    header: bool = True,
    tz: str | None = None,
    **roles: str | None,
) -> Events:
    """Read any source but a stored log as events.

    Parameters
    ----------
    source : path, folder or frame; see `sources.load`.
    strict : refuse the source if any of its rows has to be set aside.
    header : False for a text file without column names; roles name columns by their number, ``user="1"``.
    tz : zone of times without one, ``Europe/Berlin``, or the column that names each row's; see `zones`.
    items, users : side tables (path or frame); their first column, or the one whose name says so, is the id.
    roles : role -> column, where the names do not tell; ``order="@row"`` takes the order of rows as the clock.

    Raises
    ------
    SourceError, RolesError, StrictError
    """
    raw = load(source, header=header)
    clean = judge(raw, roles, tz=tz)
    if strict:
        clean.quarantine.refuse()
    settle(clean)
    events = assemble(clean)
    tables = dict(events.tables)
    for name, given in (("items", items), ("users", users)):
        table = side_table(raw.sides.get(name) if given is None else given, name[:-1], events.vocabularies)
        if table is not None:
            tables[name] = table
    return replace(events, tables=tables, tz=tz)


def assemble(
    clean: Clean, *, known: Mapping[str, Vocabulary] | None = None, coded: set[str] | None = None, first: int = 0
) -> Events:
    """Code the ids, sort the rows and build both forms.

    Parameters
    ----------
    known : vocabularies of the log that the events join; their codes stay.
    coded : which extra columns are coded there; None decides by their content.
    first : event id of the first row, where the source names none.
    """
    known = known or {}
    found = clean.columns
    arranged = arrange(found, known, first, clean.factor)
    order, vocabularies = arranged.order, arranged.vocabularies
    ids = vocabularies["user"].ids.type
    schema: dict[str, pa.DataType] = {"event": pa.int64(), "user": ids, "user_code": pa.int32()}
    arrays: dict[str, np.ndarray] = {"event": arranged.placed["event"]}
    apart: dict[str, Any] = {}
    for name in [r for r in ROLES if r in found and r not in ("event", "user")] + list(clean.extra):
        column = found[name] if name in found else clean.extra[name]
        array: np.ndarray | None = None
        exact = True
        if name in arranged.placed:
            schema[name] = TIME if name == "time" else vocabularies[name].ids.type
        elif name == "time":
            array, schema[name] = np.asarray(column), TIME
        elif name in CODED or (name in clean.extra and (_coded(column) if coded is None else name in coded)):
            array, vocabularies[name] = code(column, known.get(name))
            schema[name] = vocabularies[name].ids.type
        else:
            array, exact = (None, False) if name in APART else number(column, name)
            schema[name] = column.type
        if name == "item":
            schema["item_code"] = pa.int32()
        if name in arranged.placed:
            arrays[name] = arranged.placed[name]
        elif array is not None:
            arrays[name] = array if order is None else array[order]
        if not exact:
            apart[name] = column if order is None else column.take(pa.array(order))
    told: dict[str, dict[str, str]] = {}
    if clean.shape is not None:
        shape = clean.shape if order is None else clean.shape[order]
        kinds = vocabularies["kind"].ids.to_pylist() if "kind" in arrays else []
        told = payload.schema(shape, clean.shapes, arrays.get("kind"), kinds)
    quarantine = clean.quarantine
    rejected = quarantine.table()
    return Events(
        clean.roles,
        Sequences(arranged.users, arranged.offsets, arrays, vocabularies),
        vocabularies,
        schema,
        apart=pa.table(apart) if apart else None,
        quarantined=quarantine.counts(),
        repeated=quarantine.repeated,
        tables={"quarantine": rejected} if rejected is not None else {},
        said=clean.said,
        payload=told,
    )


def _coded(column: pa.ChunkedArray) -> bool:
    if not typed.is_text(column.type):
        return False
    if (pc.mean(pc.binary_length(column)).as_py() or 0) > LONGEST:
        return False
    return pc.count_distinct(column).as_py() <= MOST_DISTINCT


def number(column: pa.ChunkedArray, name: str, nulls: bool | None = None) -> tuple[np.ndarray | None, bool]:
    """(the array that `Sequences` holds, None for what is no number; whether the column can be had back from it).

    Parameters
    ----------
    nulls : whether the whole column, of which this is a part, has nulls.
    """
    kind = column.type
    nulls = bool(column.null_count) if nulls is None else nulls
    if name == "cause":
        return pc.fill_null(column, -1).to_numpy(), True
    if (pa.types.is_timestamp(kind) or pa.types.is_date(kind)) and not nulls:
        return times.parse(column).time, False
    if pa.types.is_boolean(kind) and not nulls:
        return column.cast(pa.int8()).to_numpy(), False
    if pa.types.is_integer(kind) and not nulls and kind != pa.uint64():
        return column.cast(pa.int64()).to_numpy(), kind == pa.int64()
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None, False
    values = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy()
    with np.errstate(over="ignore"):
        return values.astype(np.float32), False
