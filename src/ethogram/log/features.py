"""Features: which columns a model reads and how. `encode` is the only way from a log to numbers.

Declared once by inference from a log, edited by hand where the guess is wrong, saved with every model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, nearest
from ethogram.log import room
from ethogram.log.batch import UNSEEN, Batch, ItemColumn, Slices
from ethogram.log.columns import Column, split_lists
from ethogram.log.histories import Candidates, Histories, Questions
from ethogram.log.vocabulary import UNKNOWN, Vocabulary

if TYPE_CHECKING:
    from ethogram.log.log import Log


MANY = 64
"""Times that a catalogue has as many items as the histories that it is asked about, to be kept from call to call."""


@dataclass(frozen=True, eq=False)
class Features:
    """Columns, the vocabularies of their embedding tables, and the side tables that training saw.

    Attributes
    ----------
    columns : declarations; every item column is read for history and candidate alike.
    vocabularies : embedding table -> values seen in training (hashed tables have none).
    counts : embedding table -> int64[rows], occurrences in training (for frequency-aware regularisation).
    last : at most so many events of a history are read, cut between equal-time groups; None reads all.
    """

    columns: tuple[Column, ...]
    vocabularies: Mapping[str, Vocabulary]
    counts: Mapping[str, np.ndarray] = field(default_factory=dict)
    side: Mapping[str, pa.Table] = field(default_factory=dict)
    last: int | None = None
    sequences: Mapping[str, str | None] = field(default_factory=lambda: {"history": None})
    "Sequence name -> the event kind that it holds, None for all behaviour. Any number of sequences."
    _kept: dict[str, Any] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        lines = [
            f"{c.of:8}{c.name:22}{c.type:12}{c.table}" + (f" ({c.buckets} buckets)" if c.buckets else "")
            for c in self.columns
        ]
        return "\n".join(["Features", *lines])

    @property
    def tables(self) -> dict[str, int]:
        """Embedding table -> rows, with the rows for missing and unseen."""
        sizes: dict[str, int] = {}
        for c in self.columns:
            if c.type != "numeric":
                sizes[c.table] = (c.buckets or len(self.vocabularies[c.table])) + 2
        return sizes

    @property
    def items(self) -> Vocabulary:
        """The items that training saw."""
        return self.vocabularies["item"]

    def of(self, whose: str) -> tuple[Column, ...]:
        return tuple(c for c in self.columns if c.of == whose)

    def _find(self, name: str, of: str | None) -> int:
        found = [i for i, c in enumerate(self.columns) if c.name == name and of in (None, c.of)]
        if not found:
            names = [c.name for c in self.columns]
            raise OptionError(f"features: no column '{name}'.{nearest(name, names)} Columns: {', '.join(names)}.")
        return found[0]

    def with_(self, name: str, *, of: str | None = None, **changes: Any) -> Features:
        """Change a column's declaration: ``features.with_("price", type="numeric", scale="log")``."""
        at = self._find(name, of)
        changed = replace(self.columns[at], **changes)
        return replace(self, columns=(*self.columns[:at], changed, *self.columns[at + 1 :]), _kept={})

    def without(self, *names: str, of: str | None = None) -> Features:
        """Leave columns out."""
        gone = {self._find(n, of) for n in names}
        return replace(self, columns=tuple(c for i, c in enumerate(self.columns) if i not in gone), _kept={})

    def limit(self, last: int | None) -> Features:
        """Read at most the last so many events of each history."""
        return replace(self, last=last, _kept={})

    def encode(
        self,
        asked: Log | Questions | Histories,
        candidates: Candidates | None = None,
        context: Mapping[str, np.ndarray] | pa.Table | None = None,
    ) -> Batch:
        """Encode questions.

        Parameters
        ----------
        asked : Questions (label and weight come along), Histories, or a Log (all slates that it asks).
        candidates : what to judge, with `Histories`.
        context : columns of the asking event: a table with one row per question, or arrays beside the
            candidates.

        Raises
        ------
        OptionError
            A context table with a column that training did not see, where a model reads context at all.
        """
        from ethogram.log.log import Log

        if isinstance(asked, Log):
            asked = asked.questions("slates")
        if isinstance(asked, Questions):
            made = self.encode(asked.histories, asked.candidates, asked.context)
            return replace(made, label=asked.label, weight=asked.weight)
        n = len(asked)
        items = asked.vocabularies["item"]
        judged = None
        if candidates is not None:
            codes, offsets = candidates.flat(n)
            many = candidates.vocabulary
            if many.ids.type == items.ids.type and 0 < len(items) <= len(many) // MANY:
                # a few ids beside a catalogue that comes again with each request: what is known of it is kept
                union = many.extend(items.ids)
                asked, items = _recoded(asked, items.codes_in(union)), union
            elif many is not items:
                # both go into one code space: the histories' codes first, the candidates' behind them
                union = items.extend(many.ids) if len(items) else many
                moved = many.codes_in(union)
                codes = np.where(codes < 0, UNKNOWN, moved[np.maximum(codes, 0)]) if len(moved) else codes
                items = union
            columns, tables = self._context(asked, context, n, np.diff(offsets))
            judged = Slices(codes + 1, offsets[:-1], offsets[1:], columns, tables)
        sequences = {name: self._sequence(asked, kind) for name, kind in self.sequences.items()}
        users, user_tables = self._users(asked)
        known = self._items(items, asked.tables.get("items"))
        return Batch(known, sequences, judged, users, user_tables, asked.time, people=asked.users)

    def _sequence(self, asked: Histories, kind: str | None) -> Slices:
        if kind is not None and "kind" in asked.columns:
            code = asked.vocabularies["kind"].encode([kind])[0]
            # a kind that the asking log does not know has no events; -1 would find those without a kind
            asked = asked.only((np.asarray(asked.columns["kind"]) == code) & (code >= 0))
        if self.last is not None:
            asked = asked.last(self.last)
        columns: dict[str, np.ndarray] = {}
        tables: dict[str, str | None] = {}
        for c in self.of("event"):
            columns[c.name] = self._event(
                c, asked.columns.get(c.name), asked.vocabularies.get(c.name), len(asked.starts)
            )
            tables[c.name] = None if c.type == "numeric" else c.table
        time = asked.columns.get("time")
        item = np.asarray(asked.columns["item"], np.int32)
        return Slices(
            room.mapped(item, np.int32, lambda part: part + 1),
            asked.start,
            asked.stop,
            columns,
            tables,
            asked.starts,
            time,
        )

    def _event(self, c: Column, values: np.ndarray | None, coded: Vocabulary | None, n: int) -> np.ndarray:
        """A column of events: raw numbers, or codes of the asking log's own vocabulary."""
        if values is None:
            return room.zeros(n, np.float32 if c.type == "numeric" else np.int32)
        values = np.asarray(values)
        if c.type == "numeric":
            return room.mapped(values, np.float32, c.numbers)
        known = self.vocabularies.get(c.table)
        if coded is not None:
            rows = np.append(c.rows(coded.ids, known), 0).astype(np.int32)  # code -1 reads the last: missing
            return room.mapped(values, np.int32, lambda part: rows[part])

        def coded_(part: np.ndarray) -> np.ndarray:
            distinct, inverse = np.unique(part, return_inverse=True)
            mask = np.isnan(distinct) if distinct.dtype.kind == "f" else None
            return c.rows(pa.array(distinct, mask=mask), known)[inverse]

        return room.mapped(values, np.int32, coded_)

    def _context(
        self,
        asked: Histories,
        context: Mapping[str, np.ndarray] | pa.Table | None,
        n: int,
        counts: np.ndarray,
    ) -> tuple[dict[str, np.ndarray], dict[str, str | None]]:
        columns: dict[str, np.ndarray] = {}
        tables: dict[str, str | None] = {}
        known = [c.name for c in self.of("context")]
        if known and isinstance(context, pa.Table):  # given with the request, so every column of it is meant
            for name in context.column_names:
                if name not in known:
                    raise OptionError(
                        f"context: training saw no column '{name}'.{nearest(name, known)} "
                        f"Columns: {', '.join(known)}; leave '{name}' out, or fit on a log that has it."
                    )
        for c in self.of("context"):
            if isinstance(context, pa.Table) and c.name in context.column_names:
                raw = context.column(c.name).combine_chunks()
                made = c.numbers(raw) if c.type == "numeric" else c.rows(raw, self.vocabularies.get(c.table))
                made = np.repeat(made, counts) if len(made) == n else made
            else:
                values = context.get(c.name) if isinstance(context, Mapping) else None
                made = self._event(c, values, asked.vocabularies.get(c.name), int(counts.sum()))
            columns[c.name], tables[c.name] = made, None if c.type == "numeric" else c.table
        return columns, tables

    def _users(self, asked: Histories) -> tuple[dict[str, np.ndarray], dict[str, str | None]]:
        mine = self.of("user")
        if not mine:
            return {}, {}
        known = asked.vocabularies["user"]
        side = asked.tables.get("users", self.side.get("users"))
        if side is None:
            side = pa.table({"user": known.ids})
        place = (
            Vocabulary(side.column(0)).encode(known.ids)[asked.users] if len(known) else np.full(len(asked), UNKNOWN)
        )
        place = np.where(asked.users < 0, UNKNOWN, place)
        columns = {c.name: self._side(c, side)[place + 1] for c in mine}
        return columns, {c.name: None if c.type == "numeric" else c.table for c in mine}

    def _items(self, items: Vocabulary, side: pa.Table | None) -> dict[str, ItemColumn]:
        key = f"{id(items)}:{id(side)}"
        held = self._kept.get("items")
        if held is not None and held[0] == key:
            return held[3]
        if side is None:
            side = self.side.get("items")
        place = Vocabulary(side.column(0)).encode(items.ids) + 1 if side is not None else np.zeros(len(items), np.int64)
        place = np.append(0, place)
        made: dict[str, ItemColumn] = {}
        for c in self.of("item"):
            if c.name == "item":
                rows = c.rows(items.ids, self.vocabularies.get(c.table))
                made[c.name] = ItemColumn("categorical", np.append(np.int32(0), rows), c.table)
            elif c.type in ("multi", "text"):
                made[c.name] = self._multi(c, side, place)
            elif c.type == "numeric":
                made[c.name] = ItemColumn("numeric", self._side(c, side)[place])
            else:
                made[c.name] = ItemColumn("categorical", self._side(c, side)[place], c.table)
        self._kept["items"] = (key, items, side, made)
        return made

    def _side(self, c: Column, side: pa.Table | None) -> np.ndarray:
        """A side table's column encoded, with a first entry for whoever is not in the table."""
        if side is None or c.name not in side.column_names:
            return np.zeros(1 if side is None else len(side) + 1, np.float32 if c.type == "numeric" else np.int32)
        raw = side.column(c.name)
        made = c.numbers(raw) if c.type == "numeric" else c.rows(raw, self.vocabularies.get(c.table))
        return np.append(made[:0].dtype.type(0), made).astype(made.dtype)

    def _multi(self, c: Column, side: pa.Table | None, place: np.ndarray) -> ItemColumn:
        if side is None or c.name not in side.column_names:
            return ItemColumn("multi", np.zeros(0, np.int32), c.table, np.zeros(len(place) + 1, np.int64))
        offsets, flat = split_lists(side.column(c.name), c)
        rows = c.rows(flat, self.vocabularies.get(c.table))
        start, stop = np.append(0, offsets[:-1])[place], np.append(0, offsets[1:])[place]
        from ethogram.log.kernels import ragged_rows

        picked, spans = ragged_rows(start, stop)
        return ItemColumn("multi", rows[picked], c.table, spans)

    def saved(self) -> tuple[dict[str, pa.Table], dict[str, Any], dict[str, np.ndarray]]:
        """(tables, json, arrays) for a system's State."""
        tables = {f"vocabulary.{k}": pa.table({"id": v.ids}) for k, v in self.vocabularies.items()}
        tables |= {f"side.{k}": t for k, t in self.side.items()}
        json = {
            "columns": [asdict(c) for c in self.columns],
            "last": self.last,
            "sequences": dict(self.sequences),
        }
        return tables, json, {f"count.{k}": v for k, v in self.counts.items()}

    @classmethod
    def restored(
        cls, tables: Mapping[str, pa.Table], json: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Features:
        """The inverse of `saved`; other members of the three are ignored."""

        def named(prefix: str, members: Mapping[str, Any]) -> dict[str, Any]:
            return {k.removeprefix(prefix): v for k, v in members.items() if k.startswith(prefix)}

        return cls(
            tuple(Column(**c) for c in json["columns"]),
            {k: Vocabulary(t.column("id")) for k, t in named("vocabulary.", tables).items()},
            named("count.", arrays),
            named("side.", tables),
            json["last"],
            dict(json["sequences"]),
        )


def _recoded(asked: Histories, codes: np.ndarray) -> Histories:
    """Histories whose items have other codes."""
    to = np.append(codes, UNKNOWN).astype(np.int32)
    item = room.mapped(np.asarray(asked.columns["item"]), np.int32, lambda part: to[part])
    return replace(asked, columns={**asked.columns, "item": item})


def infer(log: Log) -> Features:
    """Guess the features of a log; see `ethogram.log.infer`."""
    from ethogram.log.infer import infer as guess

    return guess(log)


__all__ = ["UNSEEN", "Features", "infer"]
