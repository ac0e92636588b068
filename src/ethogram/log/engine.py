"""Engines: the one file that knows which program runs the relational steps.

A step is written once against narwhals; what narwhals cannot say on every engine is one method here, in one
small class per engine. Connections belong to the calling thread and to nothing else, so that logs stay
picklable recipes.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from ethogram.errors import MissingExtra, OptionError, nearest

ENGINES = ("duckdb", "polars")


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
    return DuckDB() if name == "duckdb" else Polars()
