"""Engines: the one place that knows which program runs the relational steps.

A step is written once against narwhals; what narwhals cannot say on every engine is one method here, in one
small class per engine. Connections belong to the calling thread and to nothing else, so that logs stay
picklable recipes.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ethogram.errors import MissingExtra, OptionError, nearest

ENGINES = ("duckdb", "polars", "spark")


class Engine(Protocol):
    """The gaps that every engine fills."""

    name: str

    def scan(self, source: pa.Table | list[Path]) -> Any:
        """A narwhals LazyFrame over an Arrow table or over Parquet files."""

    def collect(self, frame: Any) -> pa.Table:
        """Run a LazyFrame; an Arrow table, rows in no particular order."""

    def persist(self, frame: Any) -> Any:
        """The same rows computed once, as a LazyFrame: for steps that read their input several times."""

    def micros(self, frame: Any, column: str, into: str) -> Any:
        """Add int64 column `into`: microseconds since 1970 UTC of an instant."""

    def lists(self, frame: Any, by: str, column: str, order: tuple[str, ...]) -> pa.Table:
        """Columns `by` and a list of `column` in the given order."""


class DuckDB:
    """DuckDB in this process; extensions are never fetched and files never leave this machine."""

    name = "duckdb"
    _threads = threading.local()

    def connection(self) -> Any:
        import duckdb

        held = getattr(self._threads, "connection", None)
        if held is None:
            held = duckdb.connect(
                config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
            )
            held.execute("SET TimeZone = 'UTC'")
            held.execute("SET preserve_insertion_order = false")
            held.execute("SET enable_progress_bar = false")
            self._threads.connection = held
        return held

    def scan(self, source: pa.Table | list[Path]) -> Any:
        import narwhals as nw

        con = self.connection()
        if isinstance(source, pa.Table):
            return nw.from_native(con.from_arrow(source))
        return nw.from_native(con.read_parquet([str(p) for p in source], union_by_name=True))

    def collect(self, frame: Any) -> pa.Table:
        return frame.to_native().to_arrow_table()

    def persist(self, frame: Any) -> Any:
        return self.scan(self.collect(frame))

    def micros(self, frame: Any, column: str, into: str) -> Any:
        import narwhals as nw

        return nw.from_native(frame.to_native().project(f'*, epoch_us("{column}") AS "{into}"'))

    def lists(self, frame: Any, by: str, column: str, order: tuple[str, ...]) -> pa.Table:
        keys = ", ".join(f'"{o}"' for o in order)
        grouped = frame.to_native().aggregate(f'"{by}", list("{column}" ORDER BY {keys}) AS "{column}"', f'"{by}"')
        return grouped.order(f'"{by}"').to_arrow_table()


class Polars:
    """Polars in this process (extra `frames`)."""

    name = "polars"

    def scan(self, source: pa.Table | list[Path]) -> Any:
        import narwhals as nw

        try:
            import polars as pl
        except ImportError as error:
            raise MissingExtra("engine 'polars' needs Polars: pip install 'ethogram[frames]'.") from error
        if isinstance(source, pa.Table):
            return nw.from_native(pl.from_arrow(source).lazy())  # type: ignore[union-attr]
        return nw.from_native(pl.concat([pl.scan_parquet(p) for p in source], how="diagonal"))

    def collect(self, frame: Any) -> pa.Table:
        return frame.to_native().collect().to_arrow()

    def persist(self, frame: Any) -> Any:
        import narwhals as nw

        return nw.from_native(frame.to_native().collect().lazy())

    def micros(self, frame: Any, column: str, into: str) -> Any:
        import narwhals as nw
        import polars as pl

        return nw.from_native(frame.to_native().with_columns(pl.col(column).dt.epoch("us").alias(into)))

    def lists(self, frame: Any, by: str, column: str, order: tuple[str, ...]) -> pa.Table:
        import polars as pl

        ordered = frame.to_native().group_by(by).agg(pl.col(column).sort_by(list(order))).sort(by)
        return ordered.collect().to_arrow()


def engine(name: str) -> Engine:
    """The engine of that name.

    Raises
    ------
    OptionError
        No such engine.
    """
    if name not in ENGINES:
        raise OptionError(f"unknown engine '{name}'.{nearest(name, ENGINES)} Engines: {', '.join(ENGINES)}.")
    if name == "spark":
        from ethogram.log.engine.spark import Spark

        return Spark()
    return DuckDB() if name == "duckdb" else Polars()


def owner(source: Any) -> str | None:
    """The engine in which a frame lies; None for what this process can read itself."""
    native = source.to_native() if hasattr(source, "to_native") else source
    return "spark" if type(native).__module__.startswith("pyspark.") else None


def json_kinds(lines: pa.Array) -> np.ndarray:
    """Of each text 0 if it is a JSON object, 1 if it is no JSON, 2 if it is another JSON value; int8[n]."""
    valid = _asked(lines, "json_valid(line) AS found")["found"].to_numpy().astype(bool)
    kinds = np.where(valid, np.int8(2), np.int8(1))
    whole = np.flatnonzero(valid)
    if len(whole):
        objects = _asked(lines.take(pa.array(whole)), "json_type(line) = 'OBJECT' AS found")["found"]
        kinds[whole[objects.to_numpy().astype(bool)]] = 0
    return kinds


def json_fields(lines: pa.Array, most: int) -> pa.Table | None:
    """Members of JSON objects as columns of text, in order of appearance; None for more than `most` of them.

    Objects and lists are gathered in a last column `payload`, an object of their keys; the members of a member
    `payload` come first in it. A text `payload` that is no object stays as it is.
    """
    con = DuckDB().connection()
    given = con.from_arrow(pa.table({"row": np.arange(len(lines)), "line": lines}))
    keys = given.query(
        "given", "SELECT k FROM (SELECT row, unnest(json_keys(line)) AS k FROM given) GROUP BY k ORDER BY min(row), k"
    ).to_arrow_table()["k"].to_pylist()  # fmt: skip
    if len(keys) > most:
        return None
    at = [_text("/" + k.replace("~", "~0").replace("/", "~1")) for k in keys]
    nested = [f"json_type(line, {p}) IN ('OBJECT', 'ARRAY')" for p in at]
    columns, deep = [], []
    for key, p, is_nested in zip(keys, at, nested, strict=True):
        some, flat = given.query(
            "given", f"SELECT bool_or({is_nested}), bool_or(NOT {is_nested} AND line->>{p} IS NOT NULL) FROM given"
        ).fetchall()[0]
        if key == "payload":
            continue
        if flat or not some:
            columns.append((key, f"CASE WHEN {is_nested} THEN NULL ELSE line->>{p} END" if some else f"line->>{p}"))
        if some:
            deep.append(f"CASE WHEN {is_nested} THEN {_text(_quoted(key) + ':')} || (line->{p}) END")
    if "payload" in keys or deep:
        columns.append(("payload", _payload(deep, "payload" in keys)))
    asked = ", ".join(f'{expression} AS "c{i}"' for i, (_, expression) in enumerate(columns)) or "NULL AS c0"
    found = _asked(lines, asked)
    return found.rename_columns([key for key, _ in columns]) if columns else found.select([])


def _payload(deep: list[str], own: bool) -> str:
    """SQL: one JSON object of nested fields and of what the field `payload` holds."""
    if not own:
        joined = f"concat_ws(',', {', '.join(deep)})"
        return f"CASE WHEN {joined} <> '' THEN '{{' || {joined} || '}}' END"
    held = "(line->>'/payload')"
    if not deep:
        return held
    # a text that is no object stays alone, so that it is set aside with its reason
    whole = f"coalesce(CASE WHEN json_valid({held}) THEN json_type({held}) END, 'NONE') = 'OBJECT'"
    inside = f"nullif(substr(trim({held}), 2, length(trim({held})) - 2), '')"
    joined = f"concat_ws(',', CASE WHEN {whole} THEN {inside} END, {', '.join(deep)})"
    alone = f"WHEN {held} IS NOT NULL AND NOT ({whole}) THEN {held}"
    return f"CASE {alone} WHEN {joined} <> '' THEN '{{' || {joined} || '}}' END"


def _asked(lines: pa.Array, select: str) -> pa.Table:
    """Columns computed from each line, in their order."""
    given = DuckDB().connection().from_arrow(pa.table({"row": np.arange(len(lines)), "line": lines}))
    found = given.query("given", f"SELECT row, {select} FROM given").to_arrow_table()
    rows = found["row"].to_numpy()
    found = found.drop_columns(["row"])
    return found if (np.diff(rows) == 1).all() else found.take(pa.array(np.argsort(rows)))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _quoted(value: str) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
