"""Import where the rows lie: judged, coded and numbered by an engine; only counts and vocabularies come here.

The rules are those of `judge` and `importer`, written as expressions. Three things differ, because the rows of a
cluster are typed and stand in no order: text where a number or an instant should be is refused rather than parsed;
without a role `event`, ids count the rows in the order of clock, user, item and all other columns; of several events
with one id the first in that order stays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, RolesError, SourceError, StrictError
from ethogram.log import times
from ethogram.log.casting import LOOKED_AT, ROW, cast
from ethogram.log.distributed import Distributed
from ethogram.log.engine import Engine, engine, owner
from ethogram.log.events import TIME
from ethogram.log.importer import CODED, LONGEST, MOST_DISTINCT
from ethogram.log.judge import TWICE, free
from ethogram.log.quarantine import _json
from ethogram.log.roles import NUMBERS, RANGES, Roles
from ethogram.log.sides import side_table
from ethogram.log.sources import Raw, _named

SHOWN = 1_000
"""Rows set aside that are brought here; all of them are counted."""
Rejects = list[tuple[Any, str]]


class _Column(NamedTuple):
    values: Any
    "A narwhals expression."
    rejects: Rejects
    said: str = ""


def read(
    source: Any,
    /,
    *,
    strict: bool = False,
    items: Any = None,
    users: Any = None,
    header: bool = True,
    tz: str | None = None,
    **given: str | None,
) -> Distributed:
    """Import a frame that lies in an engine of its own; parameters as `importer.read`.

    Raises
    ------
    RolesError, SourceError, StrictError, OptionError
    """
    import narwhals as nw

    name = owner(source)
    assert name is not None
    runs, frame = engine(name), source if hasattr(source, "to_native") else nw.from_native(source)
    called = f"{name} {type(frame.to_native()).__name__}"
    if tz is not None:
        raise OptionError(f"{called}: tz is not read on a cluster; make instants there, with convert_timezone.")
    roles = _roles(frame, runs, called, given)
    names = frame.collect_schema().names()
    frame, said = _instants(frame, roles, runs)
    columns = {role: _role(frame, role, column, roles) for role, column in roles.named().items()}
    extra = {free(c): c for c in roles.extra}
    rejects = [r for c in columns.values() for r in c.rejects]
    reason = nw.lit(None).cast(nw.Int32)
    for place, (wrong, _) in reversed(list(enumerate(rejects))):  # the first reason found stays
        reason = nw.when(wrong).then(nw.lit(place)).otherwise(reason)
    raw = {f"_raw_{i}": nw.col(c) for i, c in enumerate(names)} if rejects else {}
    judged = runs.persist(
        frame.select(
            **{role: c.values for role, c in columns.items()},
            **{new: nw.col(c) for new, c in extra.items()},
            **raw,
            _reason=reason.cast(nw.Int32),
        )
    )
    counts = _counts(judged, runs, [r for _, r in rejects])
    quarantine = _aside(judged, runs, [r for _, r in rejects], names, called) if counts else None
    kept = judged.filter(nw.col("_reason").is_null()).drop("_reason", *raw)
    kept, again, twice = _once(kept, runs, list(extra)) if roles.event else (kept, 0, 0)
    counts |= {TWICE: twice} if twice else {}
    if strict and counts:
        told = ", ".join(f"{n:,} {r}" for r, n in counts.items())
        raise StrictError(f"{called}: rows cannot be events: {told}. Nothing was imported (strict).")
    made = _coded(kept, runs, roles, extra)
    tables = {} if quarantine is None else {"quarantine": quarantine}
    events = Distributed(
        roles=Roles(**dict(roles.named()), extra=tuple(extra)),
        frame=made.frame, engine=runs, schema=made.schema, ids=made.ids,
        quarantined=counts, repeated=again, tables=tables, said={"time": said} if said else {},
    )  # fmt: skip
    if not len(events):
        raise SourceError(f"{called}: no row is an event ({', '.join(counts) or 'there are none'}).")
    for kind, table in (("items", items), ("users", users)):
        table = runs.collect(nw.from_native(table)) if owner(table) else table
        if (side := side_table(table, kind[:-1], events.vocabularies)) is not None:
            tables[kind] = side
    return events


def _roles(frame: Any, runs: Engine, called: str, given: dict[str, str | None]) -> Roles:
    if given.get("order") == ROW:
        raise RolesError(f"{called}: rows on a cluster stand in no order; name a column, order='...' or time='...'.")
    sample = _named(runs.collect(frame.head(LOOKED_AT)), called)
    if not len(sample):
        raise SourceError(f"{called}: no rows.")
    _, roles = cast(Raw(called, sample, lambda rows: ([called] * len(rows), rows + 1)), given)
    if roles.payload:
        raise RolesError(f"{called}: payloads are not read on a cluster; write the table as Parquet and import that.")
    return roles


def _instants(frame: Any, roles: Roles, runs: Any) -> tuple[Any, str]:
    """(the frame with a column `_time` of instants, what it was taken for)."""
    import narwhals as nw

    if roles.time is None:
        return frame, ""
    kind = frame.collect_schema()[roles.time]
    unit, said = None, str(kind)
    if kind.is_numeric():
        found = runs.collect(frame.select(nw.col(roles.time).cast(nw.Float64).abs().median().alias("m")))
        median = found.column("m")[0].as_py() or 0.0
        if 18_000_101 <= median <= 22_001_231:
            raise RolesError(f"time '{roles.time}' looks like days written as YYYYMMDD; cast it with to_date.")
        unit = int(times._unit(np.array([median]))[0])
        said = f"unix {times.UNITS[unit]}"
        low, high = ((0.0, *times._FROM)[unit], (*times._FROM, float("inf"))[unit])
        size = nw.col(roles.time).cast(nw.Float64).abs()
        frame = frame.with_columns(_other=((size < low) | (size >= high)).fill_null(False))
        at = nw.when(nw.col("_other")).then(None).otherwise(nw.col(roles.time))
        frame = frame.with_columns(_time=at)
    else:
        frame = frame.with_columns(_other=nw.lit(False), _time=nw.col(roles.time))
    return runs.instants(frame, "_time", unit, roles.time), said


def _role(frame: Any, role: str, name: str, roles: Roles) -> _Column:
    """A role's values and which of them cannot be; what is null is no reason unless it says so."""
    import narwhals as nw

    kind, at = frame.collect_schema()[name], nw.col(name)
    if role == "time":
        at, other = nw.col("_time"), nw.col("_other")
        return _Column(at, [(at.is_null() & ~other, "missing time"), (other, "time in another unit")])
    if role in NUMBERS:
        if not (kind.is_numeric() or kind == nw.Boolean):
            raise _refused(role, name, kind, "double")
        value = at.cast(nw.Float64)
        rejects = [(~value.is_finite(), f"not finite ({role})")]
        if role in RANGES and RANGES[role] != (-np.inf, np.inf):
            low, high = RANGES[role]
            below = value <= low if role == "propensity" else value < low
            rejects.append((below | (value > high), f"out of range ({role})"))
        return _Column(value, rejects)
    if role in ("order", "event", "cause"):
        if not (kind.is_integer() or kind == nw.Boolean):
            raise _refused(role, name, kind, "bigint")
        rejects = [] if role == "cause" else [(at.is_null(), f"missing {role}")]
        if role == "event":
            rejects.append((at < 0, "out of range (event)"))
        return _Column(at.cast(nw.Int64), rejects)
    if role == "text":
        return _Column(at, [])
    if kind.is_integer():
        at = at.cast(nw.Int64)
    elif kind == nw.String:
        at = nw.when(at != "").then(at).otherwise(None)
    else:
        raise _refused(role, name, kind, "bigint or string")
    needed = role == "user" or (role == "item" and roles.kind is None)
    return _Column(at, [(at.is_null(), f"null {role}")] if needed else [])


def _refused(role: str, name: str, kind: Any, wanted: str) -> RolesError:
    return RolesError(f"Spark table: role {role}: column '{name}' is {kind}; cast it to {wanted}.")


def _counts(judged: Any, runs: Engine, reasons: list[str]) -> dict[str, int]:
    import narwhals as nw

    found = runs.collect(judged.group_by("_reason").agg(nw.len().alias("n")))
    pairs = zip(found.column("_reason").to_pylist(), found.column("n").to_pylist(), strict=True)
    counts = {reasons[place]: n for place, n in pairs if place is not None}
    return dict(sorted(counts.items(), key=lambda c: -c[1]))


def _aside(judged: Any, runs: Engine, reasons: list[str], names: list[str], called: str) -> pa.Table:
    import narwhals as nw

    table = runs.collect(judged.filter(~nw.col("_reason").is_null()).head(SHOWN))
    raw = table.select([c for c in table.column_names if c.startswith("_raw_")])
    said = [reasons[r] for r in table.column("_reason").to_pylist()]
    line = pa.nulls(len(table), pa.int64())
    row = _json(raw.select(range(len(names))).rename_columns(names), False)
    return pa.table({"file": [called] * len(table), "line": line, "reason": said, "row": row})


def _once(kept: Any, runs: Engine, extra: list[str]) -> tuple[Any, int, int]:
    """(one row for each event id, rows that said the same, rows that said something else)."""
    import narwhals as nw

    def size(frame: Any) -> int:
        return int(runs.collect(frame.select(nw.len().alias("n"))).column("n")[0].as_py())

    names = kept.collect_schema().names()
    rows, ids = size(kept), size(kept.select("event").unique())
    if rows == ids:
        return kept, 0, 0
    distinct = kept.unique()
    place = nw.col("_one").cum_sum().over("event", order_by=_order(names))
    first = distinct.with_columns(_one=nw.lit(1)).with_columns(_place=place).filter(nw.col("_place") == 1)
    return runs.persist(first.drop("_one", "_place")), rows - (different := size(distinct)), different - ids


def _order(names: list[str]) -> list[str]:
    first = [c for c in ("time", "order", "user", "item") if c in names]
    return [*first, *(c for c in names if c not in (*first, "event"))]


class _Made(NamedTuple):
    frame: Any
    schema: dict[str, pa.DataType]
    ids: dict[str, Any]
    "Coded column -> frame of its ids."


def _coded(kept: Any, runs: Any, roles: Roles, extra: dict[str, str]) -> _Made:
    """Codes of users and items beside their ids, event ids where there are none."""
    import narwhals as nw

    names = kept.collect_schema().names()
    if "event" not in names:
        kept = runs.number(kept, _order(names), "event")
    ids: dict[str, Any] = {}
    for role in ("user", "item"):
        if role in names:
            different = kept.filter(~nw.col(role).is_null()).select(role).unique()
            ids[role] = runs.number(different, [role], f"{role}_code")
            codes = ids[role].with_columns(nw.col(f"{role}_code").cast(nw.Int32))
            kept = kept.join(codes, on=role, how="left")
    kinds = kept.collect_schema()
    words = runs.words(kept, [c for c in extra if kinds[c] == nw.String])
    coded = [c for c in CODED if c in names and c != "item"]
    coded += [c for c, (n, mean) in words.items() if n <= MOST_DISTINCT and mean <= LONGEST]
    for name in coded:
        ids[name] = kept.filter(~nw.col(name).is_null()).select(name).unique()
    order = ["event", "user", "user_code"]
    for name in names:
        if name not in ("event", "user"):
            order += [name, "item_code"] if name == "item" else [name]
    frame = runs.persist(kept.select(*order))
    found = runs.collect(frame.head(0)).schema
    plain = {"time": TIME}
    return _Made(frame, {n: plain.get(n, found.field(n).type) for n in order}, ids)
