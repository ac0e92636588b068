"""What every source becomes: typed, coded and sorted events, in memory or memory-mapped from a stored log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ethogram.log.roles import Roles
from ethogram.log.sequences import Sequences
from ethogram.log.vocabulary import UNKNOWN, Vocabulary

if TYPE_CHECKING:
    from ethogram.log.engine import Engine

TIME = pa.timestamp("us", "UTC")
CODED = ("user", "item")
"""Roles whose int32 codes stand beside the ids in the table form."""


@dataclass(frozen=True, eq=False)
class Events:
    """The events of a log in both of their forms, and what was learned while reading them.

    Attributes
    ----------
    roles : role -> name of the source's column; `extra` holds the names that further columns have in `table()`.
    sequences : all users that have events; rows sorted by (user code, time, order, event).
    vocabularies : name -> ids in order of their codes, for ``user``, ``item`` and every coded column.
    schema : name -> type of each column of `table()`, in its order.
    apart : columns that `sequences` cannot give back exactly (long text, doubles), in the same row order.
    quarantined : reason -> rows that were set aside.
    repeated : rows that were there twice with the same event id and the same content; kept once.
    tables : side tables "items" and "users" (first column ``item`` or ``user``) and, if rows were set aside,
        "quarantine": ``file``, ``line``, ``reason``, ``row`` (raw values as JSON, or the text of the line).
    blocks : Parquet files that hold these events, if they are stored.
    said : role -> what its column was taken for, for example ``{"time": "unix seconds"}``.
    payload : kind -> key -> type of what the payloads hold.
    tz : zone in which times without one were read, or the column that named it.
    place : int64[N], row of each event in the concatenated blocks; None where the order is the same.
    """

    roles: Roles
    sequences: Sequences
    vocabularies: Mapping[str, Vocabulary]
    schema: Mapping[str, pa.DataType]
    apart: pa.Table | None = None
    quarantined: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    blocks: tuple[Path, ...] = ()
    place: np.ndarray | None = None
    stored_fingerprint: str | None = None
    said: Mapping[str, str] = field(default_factory=dict)
    payload: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tz: str | None = None
    distributed = False
    "Whether the events lie in an engine of their own (`ethogram.log.distributed`)."

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def read(self) -> int:
        """Rows that the sources had: kept, repeated and set aside."""
        return len(self) + self.repeated + sum(self.quarantined.values())

    @property
    def items(self) -> pa.Table | None:
        """Side table of the items; its first column ``item`` is the id."""
        return self.tables.get("items")

    @property
    def users(self) -> pa.Table | None:
        """Side table of the users; its first column ``user`` is the id."""
        return self.tables.get("users")

    @property
    def quarantine(self) -> pa.Table | None:
        """The rows set aside, None if there are none."""
        return self.tables.get("quarantine")

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the events' content and of the side tables, in hex; equal for a log in memory and stored."""
        if self.stored_fingerprint:
            return self.stored_fingerprint
        from ethogram.log.fingerprint import fingerprint

        return fingerprint(self)

    def parquet(self) -> list[Path]:
        """Block files of a stored log, for engines to scan; empty for events in memory."""
        return list(self.blocks)

    def frame(self, engine: Engine) -> Any:
        """A narwhals LazyFrame of `table()`."""
        return engine.scan(self.parquet() or self.table())

    def table(self) -> pa.Table:
        """All events with their ids, columns named by role, rows as in `sequences`.

        ``event`` int64, ``user`` and ``item`` ids beside ``user_code`` and ``item_code`` int32, ``time``
        timestamp[us, UTC], then the other roles and the extra columns.
        """
        if self.blocks:
            import pyarrow.parquet as pq

            parts = [pq.ParquetFile(b, memory_map=True).read() for b in self.blocks]
            whole = pa.concat_tables(parts).select(list(self.schema)).cast(pa.schema(list(self.schema.items())))
            return whole if self.place is None else whole.take(pa.array(self.place))
        return pa.table({name: plain(self.column(name)) for name in self.schema})

    def column(self, name: str) -> pa.Array | pa.ChunkedArray:
        """One column of the table form of events in memory; ids come as a dictionary of the vocabulary."""
        rows = Rows(self.sequences.user, self.sequences.columns, self.apart)
        return rows.column(name, self.schema, self.vocabularies)


@dataclass(frozen=True, eq=False)
class Rows:
    """Some events: codes of their users, columns as `Sequences` has them, and columns that arrays cannot hold."""

    user: np.ndarray
    columns: Mapping[str, np.ndarray]
    apart: pa.Table | None

    def __len__(self) -> int:
        return len(self.user)

    def slice(self, rows: slice) -> Rows:
        """A part of them; nothing is copied."""
        apart = None if self.apart is None else self.apart.slice(rows.start, rows.stop - rows.start)
        return Rows(self.user[rows], {name: c[rows] for name, c in self.columns.items()}, apart)

    def table(self, schema: Mapping[str, pa.DataType], vocabularies: Mapping[str, Vocabulary]) -> pa.Table:
        """The events as a table in plain types, one chunk a column."""
        made = {name: plain(self.column(name, schema, vocabularies)) for name in schema}
        return pa.table(made, pa.schema(list(schema.items()))).combine_chunks()

    def column(
        self, name: str, schema: Mapping[str, pa.DataType], vocabularies: Mapping[str, Vocabulary]
    ) -> pa.Array | pa.ChunkedArray:
        """One column of the table form; ids come as a dictionary of the vocabulary."""
        if name == "user":
            return _ids(self.user, vocabularies["user"])
        if name == "user_code":
            return pa.array(self.user)
        if name == "item_code":
            return _nullable(self.columns["item"], schema[name])
        if self.apart is not None and name in self.apart.column_names:
            return self.apart[name]
        if name in vocabularies:
            return _ids(self.columns[name], vocabularies[name])
        if name == "time":
            return pa.array(np.asarray(self.columns[name])).cast(TIME)
        if name == "cause":
            return _nullable(self.columns[name], schema[name])
        return pa.array(np.asarray(self.columns[name])).cast(schema[name])


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """A dictionary column as its values."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _ids(codes: np.ndarray, vocabulary: Vocabulary) -> pa.Array:
    codes = np.asarray(codes)
    missing = codes == UNKNOWN
    if vocabulary.is_integer and not missing.any():
        return pa.array(vocabulary.ids.to_numpy()[codes])
    indices = pa.array(codes, mask=missing if missing.any() else None)
    return pa.DictionaryArray.from_arrays(indices, vocabulary.ids)


def _nullable(values: np.ndarray, to: pa.DataType) -> pa.Array:
    values = np.asarray(values)
    missing = values == UNKNOWN
    return pa.array(values, to, mask=missing if missing.any() else None)
