"""Judging rows: each role's column typed, and the rows set aside that cannot be events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import RolesError, SourceError
from ethogram.log import payload, times, twins, typed, zones
from ethogram.log.casting import CODES, cast
from ethogram.log.delimited import ENCODING, MARKED
from ethogram.log.quarantine import Quarantine
from ethogram.log.roles import NUMBERS, RANGES, ROLES, Roles
from ethogram.log.sources import Raw

APART = ("text", "payload")
"""Roles whose values are not numbers and not codes."""
TWICE = "duplicate event id"
IDS = ("user", "item", "session", "slate")
"""Roles whose text becomes whole numbers where all of it is; kinds and actors stay names."""

Column = pa.Array | pa.ChunkedArray | np.ndarray


@dataclass
class Clean:
    """What a source holds of events: columns by role and extra columns by name, rows in the order of the source."""

    roles: Roles
    quarantine: Quarantine
    columns: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    part: bool = False
    joins: bool = False
    "Whether the events join a log, which has decided on all types."
    factor: int = 1
    "Microseconds in one of column ``time``."
    local: np.ndarray | None = None
    "Rows whose time had no zone, bool[N]."
    unit: int | None = None
    "What counts of time were taken for, see `times.Times`."
    shape: np.ndarray | None = None
    "Of each payload the place in `shapes`, int32[N]; see `payload.Payloads`."
    shapes: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.columns["user"])

    def keep(self, rows: np.ndarray) -> None:
        """Only the rows int64[n]."""
        taken = pa.array(rows)
        self.shape = None if self.shape is None else self.shape[rows]
        for part in (self.columns, self.extra):
            for name, column in part.items():
                part[name] = column[rows] if isinstance(column, np.ndarray) else column.take(taken)

    def content(self) -> dict[str, Any]:
        """All columns that make an event, under the names of the table form."""
        return {**self.columns, **self.extra}


def judge(
    raw: Raw,
    given: Mapping[str, str | None],
    wanted: Mapping[str, pa.DataType] | None = None,
    *,
    tz: str | None = None,
    unit: int | None = None,
    part: bool = False,
) -> Clean:
    """Find the roles, type the columns and set aside the rows that cannot be events.

    Parameters
    ----------
    given : role -> column, where the names do not tell.
    wanted : for events that join a log, the types of its columns; values that have no such form are set aside.
    tz : zone of times without one (see `zones`), or the name of the column that holds each row's.
    unit : what counts of time are, known from rows before these.
    part : the rows are one block of a source: what only the whole source tells (types of text, duplicate event ids)
        stays open.

    Raises
    ------
    RolesError, SourceError
        Roles cannot be found; no row is left.
    """
    table, roles = cast(raw, given)
    quarantine = Quarantine(raw)
    clean = Clean(roles, quarantine, joins=wanted is not None, part=part, unit=unit)
    if not raw.total and not part:
        raise SourceError(f"{raw.name}: no rows.")
    named = roles.named()
    for name in table.column_names:
        column = typed.plain(table[name])
        if typed.is_text(column.type) or (name in named.values() and pa.types.is_binary(column.type)):
            column, unsound = typed.sound(column)
            quarantine.reject(unsound, ENCODING)
            if raw.marked:
                quarantine.reject(typed.matches(column, MARKED), ENCODING)
        table = table.set_column(table.column_names.index(name), name, column)
    for role, column in named.items():
        _role(clean, role, table[column], (wanted or {}).get(role))
        if role == "time" and tz is not None:
            _local(clean, table[tz] if tz in table.column_names else tz)
    for name in roles.extra:
        clean.extra[free(name)] = _extra(clean, name, table[name], wanted)
    clean.roles = replace(roles, extra=tuple(clean.extra))
    if clean.factor > 1 and ("event" in clean.columns or clean.joins):  # the content may be compared
        clean.columns["time"], clean.factor = clean.columns["time"] * clean.factor, 1
    if "event" in clean.columns and not part:
        ids = pc.fill_null(clean.columns["event"], -1).to_numpy()
        same, other = twins.within(ids, clean.content(), quarantine.reason > 0)
        quarantine.reject(other, TWICE)
        quarantine.repeat(same)
    return clean


def settle(clean: Clean) -> None:
    """Drop what was set aside; then decide which text ids are whole numbers.

    Raises
    ------
    SourceError
        Nothing is left.
    """
    quarantine = clean.quarantine
    kept = quarantine.kept
    if kept is not None:
        clean.keep(kept)
    if not len(clean) and not quarantine.repeated and TWICE not in quarantine.reasons:
        hint = f" {times.FORMS}" if "unparsable time" in quarantine.reasons else ""
        raise SourceError(f"{quarantine.told()}. Nothing is left to import.{hint}")
    for role in IDS if quarantine.raw.text and not clean.joins else ():
        column = clean.columns.get(role)
        if column is not None and typed.is_text(column.type):
            whole = typed.whole_text(column)
            clean.columns[role] = column if whole is None else whole


def _role(clean: Clean, role: str, column: pa.ChunkedArray, wanted: pa.DataType | None) -> None:
    reject = clean.quarantine.reject
    if role == "time":
        found = times.counts(column, clean.unit)
        reject(found.missing, "missing time")
        reject(found.unparsable, "unparsable time")
        reject(found.other_unit, "time in another unit")
        clean.columns["time"], clean.factor, clean.said["time"] = found.time, found.factor, found.said
        clean.local, clean.unit = found.local, found.unit
    elif role in NUMBERS:
        clean.columns[role] = _number(clean, role, column)
    elif role in ("order", "event", "cause"):
        whole = typed.wholes(column)
        reject(whole.wrong, f"wrong type ({role})")
        clean.columns[role] = whole.values
        if role != "cause":
            reject(whole.missing, f"missing {role}")
        if role == "event":
            reject(pc.fill_null(pc.less(whole.values, 0), False).to_numpy().astype(bool), "out of range (event)")
    elif role == "payload":
        said = payload.read(column)
        reject(said.broken, payload.BROKEN)
        reject(said.no_object, payload.NO_OBJECT)
        clean.columns[role], clean.shape, clean.shapes = said.text, said.shape, said.shapes
    elif role in APART:
        clean.columns[role] = column
    else:
        ids = typed.ids(column, wanted)
        reject(ids.wrong, f"wrong type ({role})")
        if role == "user" or (role == "item" and clean.roles.kind is None):
            reject(ids.missing, f"null {role}")
        clean.columns[role] = ids.values


def _local(clean: Clean, zone: str | pa.ChunkedArray) -> None:
    """Times without a zone are those of a zone."""
    if isinstance(zone, str):
        zones.instants(np.zeros(1, np.int64), zone)  # a name that is wrong is an error, whatever the rows hold
    time, gap, unknown = zones.applied(clean.columns["time"], clean.local, zone)
    clean.quarantine.reject(unknown, "unknown time zone")
    clean.quarantine.reject(gap, "local time that does not exist")
    clean.columns["time"] = time
    if clean.local is not None and clean.local.any():
        clean.said["time"] += f" in {zone}" if isinstance(zone, str) else ", each in its zone"


def _number(clean: Clean, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    found = typed.numbers(column)
    clean.quarantine.reject(found.wrong, f"wrong type ({name})")
    clean.quarantine.reject(found.infinite, f"not finite ({name})")
    if name in RANGES and RANGES[name] != (-np.inf, np.inf):
        low, high = RANGES[name]
        values = pc.fill_null(found.values, low).to_numpy()
        # a policy that never chose an item cannot have logged it
        below = values <= low if name == "propensity" else values < low
        if found.values.null_count:
            below &= found.values.is_valid().to_numpy()
        clean.quarantine.reject(below | (values > high), f"out of range ({name})")
    return found.values


def free(name: str) -> str:
    """The name that an extra column has in the table form: a role's name belongs to the role."""
    while name in ROLES or name in CODES:
        name += "_"
    return name


def _extra(
    clean: Clean, name: str, column: pa.ChunkedArray, wanted: Mapping[str, pa.DataType] | None
) -> pa.ChunkedArray:
    raw = clean.quarantine.raw
    declared = raw.types.get(name)
    if declared in ("token_seq", "float_seq") and typed.is_text(column.type):
        column = typed.split(column, declared == "float_seq")
    if wanted is not None:
        if free(name) not in wanted:
            raise RolesError(f"{raw.name}: the log has no column '{name}'. Columns of the log: {', '.join(wanted)}.")
        return _conformed(clean, name, column, wanted[free(name)])
    if declared == "float":
        return _conformed(clean, name, column, pa.float64())
    if raw.text and typed.is_text(column.type) and declared != "token" and not clean.part:
        return typed.inferred(column)
    return column


def _conformed(clean: Clean, name: str, column: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    """A further column in the type that the log has for it."""
    if column.type == to:
        return column
    wrong = None
    if pa.types.is_integer(to):
        column, _, wrong, _ = typed.wholes(column)
    elif pa.types.is_floating(to):
        column, _, wrong, _ = typed.numbers(column)
    clean.quarantine.reject(wrong, f"wrong type ({name})")
    try:
        return column.cast(to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        raise RolesError(
            f"{clean.quarantine.raw.name}: column '{name}' is {column.type}, in the log it is {to}, and not all values "
            "can be had in that type."
        ) from e
