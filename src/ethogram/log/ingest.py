"""Import of a source that is larger than memory: one reading, then sorting on disk; the log is that of `importer`.

1. The source is read in blocks. Each is judged on its own and what is kept waits on disk; what only the whole column
   tells (are all ids whole numbers? do all texts hold numbers? has a value stood there twice?) is noted meanwhile.
2. Vocabularies are made of the ids that were met, users are coded and their events counted.
3. Blocks are coded and dealt out to parts, each the users of a range of codes with at most `PART` events together.
4. Each part is sorted by (user, clock, event) in memory and appended to the arrays and to the Parquet block.

Memory: a block and a part, with the vocabularies and eight bytes for each user; a user's events are always together.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import SourceError
from ethogram.log import blocks, payload, times, twins, typed
from ethogram.log.casting import ROW
from ethogram.log.coding import code
from ethogram.log.deal import Dealt, write
from ethogram.log.distinct import Distinct
from ethogram.log.events import Events
from ethogram.log.importer import CODED, LONGEST, MOST_DISTINCT
from ethogram.log.judge import IDS, TWICE, Clean, judge
from ethogram.log.quarantine import Quarantine
from ethogram.log.roles import ROLES
from ethogram.log.sides import side_table
from ethogram.log.sources import Raw
from ethogram.log.spill import Blocks
from ethogram.log.store import WAITING, building, open_stored

LARGE = 1 << 30
"""Bytes of a source from which it is imported on disk."""
PART = 1 << 22
"""Events that are sorted at once."""
SHOWN = 1 << 20
"""Rows set aside up to which they are put in order of file and line; more stay in the order in which they came."""


@dataclass
class _Column:
    """What is noted of a column while its blocks come."""

    form: int = 0
    nulls: bool = False
    length: int = 0
    count: int = 0
    types: set[pa.DataType] = field(default_factory=set)
    distinct: Distinct = field(default_factory=Distinct)


def ingest(
    source: Any,
    path: str | Path,
    /,
    *,
    strict: bool = False,
    items: Any = None,
    users: Any = None,
    header: bool = True,
    tz: str | None = None,
    rows: int = blocks.ROWS,
    piece: int = blocks.PIECE,
    part: int = PART,
    **roles: str | None,
) -> Events:
    """Read a source of any size into a new log at `path`; the events as they are stored, with what was guessed.

    The log is that which `importer.read` and `store.write` would make, if the first block tells roles and unit of time
    as the whole would. Of JSON lines, a key that the first block lacks becomes a further column.

    Parameters
    ----------
    rows, piece : rows (Parquet, Arrow) and bytes (text) of a block. part : events that are sorted at once.
    strict, items, users, header, tz, roles : see `importer.read`.

    Raises
    ------
    SourceError, RolesError, StrictError, LogFormatError
        Nothing is written.
    """
    with building(path) as writer:
        waiting = writer.root / WAITING
        waiting.mkdir()
        read = _Read(waiting)
        for raw in blocks.read(source, header=header, rows=rows, piece=piece):
            read.take(raw, roles, tz, strict)
        read.twins(source, header, rows, piece, strict)
        dealt = read.deal(part)
        events = write(writer, dealt, waiting)
        tables = {"quarantine": q} if (q := read.aside()) is not None else {}
        for name, given in (("items", items), ("users", users)):
            side = side_table(read.sides.get(name) if given is None else given, name[:-1], dealt.vocabularies)
            if side is not None:
                tables[name] = side
        events = replace(
            events, roles=read.roles, quarantined=dict(read.counts.most_common()), repeated=read.repeated,
            tables=tables, payload=payload.merge(read.payload), tz=tz, said=read.said,
        )  # fmt: skip
        shutil.rmtree(waiting)
        writer.whole(events, dealt.next_event)
    return replace(open_stored(path), said=read.said)


class _Read:
    """The first reading: rows that wait, and what they tell of the whole."""

    def __init__(self, folder: Path):
        self.kept = Blocks(folder, "kept")
        self._aside = Blocks(folder, "aside")
        self._folder = folder
        self.columns: dict[str, _Column] = {}
        self.counts: Counter[str] = Counter()
        self.payload: list[Mapping[str, Mapping[str, str]]] = []
        self.sides: Mapping[str, Raw] = {}
        self.said: dict[str, str] = {}
        self.repeated = self._rows = 0
        self._first: Clean | None = None
        self._text = False
        self._dropped: np.ndarray | None = None

    def take(self, raw: Raw, roles: Mapping[str, str | None], tz: str | None, strict: bool) -> None:
        """A block of the source."""
        given = dict(roles)
        if self._first is not None:
            known = self._first.roles
            given = {role: getattr(known, role) for role in ROLES}
            raw = replace(raw, table=_completed(raw.table, [c for c in given.values() if c not in (None, ROW)]))
            unit = self._first.unit
        else:
            unit = None
        clean = judge(raw, given, tz=tz, unit=unit, part=True)
        if strict:
            clean.quarantine.refuse()
        if self._first is None:
            self.roles, self.said, self.sides, self._text = clean.roles, clean.said, raw.sides, raw.text
            self._first = clean
        elif self._first.unit is None:
            self._first.unit, self.said = clean.unit, clean.said
        self.counts.update(clean.quarantine.counts())
        if (table := clean.quarantine.table()) is not None:
            self._aside.add(table)
        if clean.roles.order == ROW:
            clean.columns["order"] = pc.add(clean.columns["order"], self._rows)
        for name, column in clean.extra.items():
            told = self.columns.setdefault(name, _Column(distinct=Distinct(MOST_DISTINCT)))
            if typed.is_text(column.type) and raw.text and raw.types.get(name) != "token":
                told.form = max(told.form, typed.form(column))
        place = np.arange(self._rows, self._rows + len(raw))
        self._rows += len(raw)
        kept = clean.quarantine.kept
        if kept is not None:
            clean.keep(kept)
            place = place[kept]
        if len(clean):
            self._keep(clean, place)

    def _keep(self, clean: Clean, place: np.ndarray) -> None:
        if clean.factor > 1:
            clean.columns["time"] = clean.columns["time"] * clean.factor
        if clean.shape is not None:
            kinds = [None]
            codes = None
            if "kind" in clean.columns:
                codes, known = code(clean.columns["kind"])
                kinds = known.ids.to_pylist()
            self.payload.append(payload.schema(clean.shape, clean.shapes, codes, kinds))
        table = pa.table({**clean.content(), **({"@place": place} if "event" in clean.columns else {})})
        for name in clean.content():
            column = table[name]
            told = self.columns.setdefault(name, _Column())
            told.nulls |= column.null_count > 0
            told.types.add(column.type)
            if name in IDS and self._text and typed.is_text(column.type):
                told.form = max(told.form, 1 if typed.whole_text(column) is not None else 3)
            if "event" not in clean.columns:
                self._tally(name, column)
        self.kept.add(table)

    def _tally(self, name: str, column: pa.ChunkedArray) -> None:
        """Note the ids of a block."""
        told = self.columns[name]
        if name in ("user", *CODED):
            told.distinct.add(column)
        elif name not in ROLES and typed.is_text(column.type):
            told.length += pc.sum(pc.binary_length(column)).as_py() or 0
            told.count += len(column) - column.null_count
            told.distinct.add(column)

    def twins(self, source: Any, header: bool, rows: int, piece: int, strict: bool) -> None:
        """Leave out events whose id stood before, with equal content or another."""
        if "event" not in self.columns:
            return
        later, first = _again(self.kept)
        if len(later):
            content = self._gather(np.union1d(later, first))
            at = np.union1d(later, first)
            place = content["@place"].to_numpy()
            told = {c: content[c] for c in content.column_names if c != "@place"}
            mine, other = np.searchsorted(at, later), np.searchsorted(at, first)
            same = twins.equal(told, other, told, mine)
            self.repeated = int(same.sum())
            if not same.all():
                self.counts.update({TWICE: int((~same).sum())})
                self._set_aside(source, header, rows, piece, np.sort(place[mine[~same]]), strict)
            self._dropped = np.sort(later)
        for table in self._waiting():
            for name in table.column_names:
                if name != "@place":
                    self._tally(name, table[name])

    def _gather(self, rows: np.ndarray) -> pa.Table:
        """Some of the rows that wait, by their number."""
        found, at = [], 0
        for number, length in enumerate(self.kept.lengths):
            mine = rows[(rows >= at) & (rows < at + length)] - at
            if len(mine):
                found.append(self.kept[number].take(pa.array(mine)))
            at += length
        return pa.concat_tables(found, promote_options="permissive")

    def _set_aside(self, source: Any, header: bool, rows: int, piece: int, place: np.ndarray, strict: bool) -> None:
        """Tell the lines of events that have another's id; for their raw values the source is read again."""
        at = 0
        for raw in blocks.read(source, header=header, rows=rows, piece=piece):
            mine = place[(place >= at) & (place < at + len(raw))] - at
            at += len(raw)
            if len(mine):
                quarantine = Quarantine(replace(raw, broken=[]))
                chosen = np.zeros(len(raw), bool)
                chosen[mine] = True
                quarantine.reject(chosen, TWICE)
                if strict:
                    quarantine.refuse()
                table = quarantine.table()
                assert table is not None
                self._aside.add(table)

    def _waiting(self) -> Iterator[pa.Table]:
        """The rows that wait, block by block, without those that were dropped."""
        at = 0
        for number, length in enumerate(self.kept.lengths):
            table = self.kept[number]
            if self._dropped is not None:
                gone = self._dropped[(self._dropped >= at) & (self._dropped < at + length)] - at
                table = table.take(pa.array(np.delete(np.arange(length), gone))) if len(gone) else table
            at += length
            yield table

    def deal(self, part: int) -> Dealt:
        """Types of the whole columns, vocabularies, and a way to the rows in their final form."""
        if not sum(self.kept.lengths):
            assert self._first is not None
            hint = f" {times.FORMS}" if "unparsable time" in self.counts else ""
            said = ", ".join(f"{n:,} {reason}" for reason, n in self.counts.items()) or "no rows"
            raise SourceError(f"{self._first.quarantine.raw.name}: {said}. Nothing is left to import.{hint}")
        extra = tuple(n for n in self.columns if n not in ROLES)
        self.roles = replace(self.roles, extra=extra)
        names = [r for r in ROLES if r in self.columns] + list(extra)
        types = {n: self._type(n) for n in names}
        coded = [n for n in names if n == "user" or n in CODED or (n in extra and self._coded(n, types[n]))]
        vocabularies = {n: self.columns[n].distinct.vocabulary(types[n]) for n in coded}
        for n in coded:
            types[n] = vocabularies[n].ids.type
        nulls = {n: self.columns[n].nulls for n in names}
        return Dealt(types, vocabularies, nulls, self._waiting, part)

    def _type(self, name: str) -> pa.DataType:
        told = self.columns[name]
        if len(told.types) > 1 and all(typed.is_text(t) or pa.types.is_integer(t) for t in told.types):
            return pa.string()
        kind = next(iter(told.types))
        if typed.is_text(kind) and self._text:
            if name in IDS:
                return pa.int64() if told.form == 1 else kind
            if name not in ROLES:
                return {1: pa.int64(), 2: pa.float64()}.get(told.form, kind)
        return kind

    def _coded(self, name: str, kind: pa.DataType) -> bool:
        told = self.columns[name]
        return typed.is_text(kind) and not told.distinct.full and told.length <= LONGEST * max(told.count, 1)

    def aside(self) -> pa.Table | None:
        """The rows set aside."""
        if not len(self._aside):
            return None
        table = pa.concat_tables([self._aside[i] for i in range(len(self._aside))])
        return table.sort_by([("file", "ascending"), ("line", "ascending")]) if len(table) <= SHOWN else table


def _completed(table: pa.Table, names: list[str]) -> pa.Table:
    """With the columns that play a role; a block of JSON lines need not have them all."""
    for name in names:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), pa.string()))
    return table


def _again(kept: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """(rows whose event id stood in an earlier row, the first row of each such id), int64, by ascending id."""
    last, rising = -1, True
    for number in range(len(kept)):
        ids = kept[number]["event"].to_numpy()
        rising = rising and bool(ids[0] > last and (np.diff(ids) > 0).all())
        last = ids[-1]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    turns = 0 if rising else max(1, -(-sum(kept.lengths) // PART))
    for turn in range(turns):  # ids by their remainder, so that few are held at once
        ids, rows, at = [], [], 0
        for number, length in enumerate(kept.lengths):
            column = kept[number]["event"].to_numpy()
            mine = np.flatnonzero(column % turns == turn)
            ids.append(column[mine])
            rows.append(mine + at)
            at += length
        event, row = np.concatenate(ids), np.concatenate(rows)
        order = np.argsort(event, kind="stable")
        event, row = event[order], row[order]
        new = np.concatenate([[True], event[1:] != event[:-1]])
        if not new.all():
            found.append((row[~new], row[np.flatnonzero(new)[np.cumsum(new) - 1]][~new]))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])
