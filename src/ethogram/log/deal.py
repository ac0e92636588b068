"""Coded rows dealt out to ranges of users, sorted range by range, and written as the arrays and the block of a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.log import kernels, room
from ethogram.log.events import TIME, Events, Rows
from ethogram.log.fingerprint import Streamed
from ethogram.log.importer import number
from ethogram.log.journal import ROW_GROUP, Member, array
from ethogram.log.judge import APART
from ethogram.log.roles import CLOCKS, Roles
from ethogram.log.sequences import Sequences
from ethogram.log.spill import Parts
from ethogram.log.store import Writer
from ethogram.log.vocabulary import Vocabulary

USER, EVENT = "@user", "event"
MOST_PARTS = 400
"""Files that are open at once; a log of more than 400 times `part` events has larger parts."""


@dataclass(eq=False)
class Dealt:
    """Rows that wait, and what they become.

    Attributes
    ----------
    types : type of each column of the table form, in the order of the columns; of coded ones that of the ids.
    nulls : which columns have nulls anywhere.
    waiting : the rows in the order of the source, block by block.
    part : events that are sorted at once.
    """

    types: dict[str, pa.DataType]
    vocabularies: dict[str, Vocabulary]
    nulls: dict[str, bool]
    waiting: Callable[[], Iterator[pa.Table]]
    part: int
    next_event: int = 0
    codes: list[np.ndarray] = field(default_factory=list)

    @property
    def schema(self) -> dict[str, pa.DataType]:
        """Columns of the table form."""
        made: dict[str, pa.DataType] = {EVENT: pa.int64(), "user": self.types["user"], "user_code": pa.int32()}
        for name, kind in self.types.items():
            if name not in ("user", EVENT):
                made[name] = TIME if name == "time" else kind
            if name == "item":
                made["item_code"] = pa.int32()
        return made

    def count(self, folder: Path) -> np.ndarray:
        """Code the users of all rows; events of each, int64[U]."""
        known = self.vocabularies["user"]
        counts = np.zeros(len(known), np.int64)
        for i, table in enumerate(self.waiting()):
            codes = known.encode(self._column(table, "user"))
            np.save(folder / f"user-{i:06d}.npy", codes)
            self.codes.append(np.load(folder / f"user-{i:06d}.npy", mmap_mode="r"))
            counts += np.bincount(codes, minlength=len(known))
        return counts

    def coded(self) -> Iterator[tuple[np.ndarray, pa.Table]]:
        """(codes of the users, the other columns coded, with event ids), block by block."""
        given = EVENT in self.types
        for user, table in zip(self.codes, self.waiting(), strict=True):
            made = {USER: pa.array(np.asarray(user))}
            ids = table[EVENT] if given else pa.array(np.arange(self.next_event, self.next_event + len(table)))
            self.next_event += 0 if given else len(table)
            made[EVENT] = ids
            for name in self.types:
                if name not in ("user", EVENT):
                    column = self._column(table, name)
                    known = self.vocabularies.get(name)
                    made[name] = column if known is None else pa.array(known.encode(column))
            yield np.asarray(user), pa.table(made)

    def _column(self, table: pa.Table, name: str) -> pa.ChunkedArray:
        """A column in its final type; null where a block did not have it."""
        if name not in table.column_names:
            return pa.chunked_array([pa.nulls(len(table), self.types[name])])
        column = table[name]
        return column if name == "time" or column.type == self.types[name] else column.cast(self.types[name])


def write(writer: Writer, dealt: Dealt, folder: Path) -> Events:
    """Write arrays and block of a log; the events, mapped from there."""
    offsets = np.concatenate([[0], np.cumsum(dealt.count(folder))])
    bounds = _bounds(offsets, max(dealt.part, -(-int(offsets[-1]) // MOST_PARTS)))
    parts: Parts | None = None
    for user, table in dealt.coded():
        parts = parts or Parts(folder, len(bounds) - 1, table.schema)
        parts.deal(table, (np.searchsorted(bounds, user, side="right") - 1).astype(np.int16))
    assert parts is not None
    there = np.flatnonzero(np.diff(offsets))
    users, ends = there.astype(np.int32), np.append(offsets[there], offsets[-1])
    schema, total = dealt.schema, int(offsets[-1])
    files = _Files(writer, total)
    path = "blocks/000001.parquet"
    with writer.rowgroups(path, schema) as groups:
        waiting: list[Rows] = []
        for low, high, table in zip(bounds[:-1], bounds[1:], parts, strict=True):
            rows, starts = _sorted(dealt, table, int(low), int(high))
            files.add(rows, starts)
            waiting.append(rows)
            while sum(map(len, waiting)) >= ROW_GROUP:
                head, waiting = _head(waiting, ROW_GROUP)
                groups.add(head.table(schema, dealt.vocabularies))
        if sum(map(len, waiting)):
            groups.add(_head(waiting, ROW_GROUP)[0].table(schema, dealt.vocabularies))
    members = files.close(users, ends, folder)
    if EVENT in dealt.types:
        dealt.next_event = files.last + 1
    columns = {n: _mapped(writer.root / m.path) for n, m in members.items()}
    apart = files.apart
    return Events(
        Roles(),
        Sequences(users, ends, columns, dealt.vocabularies),
        dealt.vocabularies,
        schema,
        apart=_Apart(writer.root / path, {n: schema[n] for n in apart}) if apart else None,
    )


def _bounds(offsets: np.ndarray, part: int) -> np.ndarray:
    """Codes at which parts of at most `part` events begin (a single user's may be more), and the number of users."""
    cuts = [0]
    while cuts[-1] < len(offsets) - 1:
        reach = int(np.searchsorted(offsets, offsets[cuts[-1]] + part, side="right")) - 1
        cuts.append(max(reach, cuts[-1] + 1))
    return np.array(cuts, np.int64)


def _sorted(dealt: Dealt, table: pa.Table, low: int, high: int) -> tuple[Rows, np.ndarray]:
    """(rows of the users from `low` to `high` in their order, which of them begin a group)."""
    user = table[USER].to_numpy()
    event = table[EVENT].to_numpy()
    clocks = [table[c].to_numpy() for c in CLOCKS if c in table.column_names]
    keys = [*clocks, event] if EVENT in dealt.types else clocks
    order, offsets = kernels.sort_events(user - low, keys, high - low)
    columns: dict[str, np.ndarray] = {EVENT: event[order]}
    apart: dict[str, pa.ChunkedArray] = {}
    taken = pa.array(order)
    for name in dealt.types:
        if name in ("user", EVENT):
            continue
        if name == "time" or name in dealt.vocabularies:
            columns[name] = table[name].to_numpy()[order]
            continue
        found, exact = (None, False) if name in APART else number(table[name], name, dealt.nulls[name])
        if found is not None:
            columns[name] = found[order]
        if not exact:
            apart[name] = table[name].take(taken)
    starts = kernels.group_starts(offsets, [columns[c] for c in CLOCKS if c in columns])
    return Rows(user[order], columns, pa.table(apart) if apart else None), starts


def _head(waiting: list[Rows], n: int) -> tuple[Rows, list[Rows]]:
    """(the first n rows, what is left)."""
    taken, left = [], n
    rest = list(waiting)
    while rest and left:
        first = rest.pop(0)
        some = min(left, len(first))
        taken.append(first.slice(slice(0, some)))
        if some < len(first):
            rest.insert(0, first.slice(slice(some, len(first))))
        left -= some
    columns = {c: np.concatenate([t.columns[c] for t in taken]) for c in taken[0].columns}
    apart = [t.apart for t in taken if t.apart is not None]
    return Rows(np.concatenate([t.user for t in taken]), columns, pa.concat_tables(apart) if apart else None), rest


class _Files:
    """The arrays of a log, growing; groups wait in a file because nobody knows how many there will be."""

    def __init__(self, writer: Writer, total: int):
        self._writer, self._total = writer, total
        self._stack, self._put = ExitStack(), {}  # type: ignore[var-annotated]
        self._members: dict[str, list[Member]] = {}
        self._starts = room.empty(total, bool)
        self._at = 0
        self.last = -1
        self.apart: list[str] = []

    def add(self, rows: Rows, starts: np.ndarray) -> None:
        for name, column in rows.columns.items():
            if name not in self._put:
                self._members[name] = []
                path = self._writer.array_path(1, name)
                opened = array(self._writer.root, path, column.dtype, self._total, self._members[name])
                self._put[name] = self._stack.enter_context(opened)
            self._put[name](column)
        self._starts[self._at : self._at + len(rows)] = starts
        self._at += len(rows)
        self.last = max(self.last, int(rows.columns[EVENT].max(initial=-1)))
        if rows.apart is not None:
            self.apart = rows.apart.column_names

    def close(self, users: np.ndarray, offsets: np.ndarray, folder: Path) -> dict[str, Member]:
        """Finish all arrays, in the order in which `Writer.arrays` writes them; name -> file of each column."""
        self._stack.close()
        frame = Sequences(users, offsets, {}, {}, {"starts": self._starts})
        self._writer.arrays(1, frame, None)
        found = {name: members[0] for name, members in self._members.items()}
        self._writer.members["array"].extend(found.values())
        return found


class _Apart:
    """Columns that arrays cannot hold, read from the block row group by row group."""

    def __init__(self, path: Path, types: dict[str, pa.DataType]):
        self._path, self._types = path, types
        self.column_names = list(types)

    def __getitem__(self, name: str) -> Streamed:
        import pyarrow.parquet as pq

        def chunks() -> Iterator[pa.Array]:
            file = pq.ParquetFile(self._path, memory_map=True)
            for i in range(file.num_row_groups):
                column = file.read_row_group(i, columns=[name])[name].cast(self._types[name])
                yield from column.chunks

        return Streamed(self._types[name], chunks)


def _mapped(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r").view(np.ndarray)
