"""Rows that cannot be events: set aside with the reason, the line they came from and what they said."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import StrictError
from ethogram.log.delimited import unmarked

if TYPE_CHECKING:
    from ethogram.log.sources import Raw

REPEATED = 255


class Quarantine:
    """Collects, for the rows of one source, why each cannot be kept. The first reason found stays.

    Parameters
    ----------
    raw : the source as it was read; its `broken` lines are counted from the start.
    """

    def __init__(self, raw: Raw):
        self.raw = raw
        self.reasons: list[str] = []
        self.reason = np.zeros(len(raw), np.uint8)
        "For each row 0 or 1 + the place of its reason in `reasons`."
        self.repeated = 0

    def reject(self, rows: np.ndarray | None, reason: str) -> None:
        """Set aside `rows` (bool[N], None for no row)."""
        if rows is None or not rows.any():
            return
        if reason not in self.reasons:
            self.reasons.append(reason)
        self.reason[rows & (self.reason == 0)] = 1 + self.reasons.index(reason)

    def repeat(self, rows: np.ndarray | None) -> None:
        """Leave out `rows` (bool[N], None for no row) that say again what an earlier row said."""
        if rows is not None and rows.any():
            self.repeated += int((rows & (self.reason == 0)).sum())
            self.reason[rows & (self.reason == 0)] = REPEATED

    @property
    def clear(self) -> bool:
        """Whether every row of the source is kept."""
        return not (self.reasons or self.repeated or self.raw.broken)

    @property
    def kept(self) -> np.ndarray | None:
        """Rows without a reason, int64 ascending; None where that is all of them."""
        return np.flatnonzero(self.reason == 0) if self.reasons or self.repeated else None

    def counts(self) -> dict[str, int]:
        """Reason -> rows, most frequent first."""
        if self.clear:
            return {}
        found = Counter(dict(zip(self.reasons, np.bincount(self.reason, minlength=256)[1:].tolist(), strict=False)))
        found.update(b.reason for b in self.raw.broken)
        return {reason: n for reason, n in found.most_common() if n}

    def table(self) -> pa.Table | None:
        """The rows set aside, in order of their lines; None if there are none."""
        if self.clear:
            return None
        rows = np.flatnonzero((self.reason > 0) & (self.reason < REPEATED))
        if not len(rows) and not self.raw.broken:
            return None
        file, line = self.raw.where(rows)
        broken = self.raw.broken
        said = [self.reasons[r - 1] for r in self.reason[rows].tolist()] + [b.reason for b in broken]
        raw = _json(self.raw.table.take(pa.array(rows)), self.raw.marked)
        table = pa.table(
            {
                "file": pa.array([*file, *(b.file or self.raw.name for b in broken)], pa.string()),
                "line": pa.array(np.concatenate([line, [b.line for b in broken]]).astype(np.int64)),
                "reason": pa.array(said, pa.string()),
                "row": pa.chunked_array([raw, pa.array([b.text for b in broken], pa.string())], pa.string()),
            }
        )
        return table.sort_by([("file", "ascending"), ("line", "ascending")])

    def told(self) -> str:
        """One line: how many rows are set aside, why, and the first of them."""
        counts, table = self.counts(), self.table()
        said = f"{self.raw.name}: {sum(counts.values()):,} of {self.raw.total:,} rows cannot be events: "
        said += ", ".join(f"{n:,} {reason}" for reason, n in counts.items())
        if table is not None and len(table):
            first = table.slice(0, 1).to_pylist()[0]
            said += f"; first: line {first['line']}, {first['reason']}: {first['row'][:200]}"
        return said

    def refuse(self) -> None:
        """Raise StrictError if anything is set aside."""
        if self.counts():
            raise StrictError(f"{self.told()}. Nothing was imported (strict).")


def _json(table: pa.Table, marked: bool) -> pa.Array:
    """Each row as a JSON object of text and null, without a loop over rows."""
    if not len(table):
        return pa.array([], pa.string())
    parts = []
    for name in table.column_names:
        text = _text(table[name])
        if marked:
            text = pa.array([None if t is None else unmarked(t) for t in text.to_pylist()], pa.string())
        quoted = pc.binary_join_element_wise('"', _escaped(text), '"', "")
        value = pc.if_else(text.is_null(), "null", quoted)
        parts.append(pc.binary_join_element_wise(json.dumps(name, ensure_ascii=False) + ": ", value, ""))
    return pc.binary_join_element_wise("{", pc.binary_join_element_wise(*parts, ", "), "}", "")


def _text(column: pa.ChunkedArray) -> pa.Array:
    """A column as text; bytes that are no UTF-8 in the notation ``\\xff``."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        if pa.types.is_string(column.type):
            column = column.cast(pa.binary())  # only a cast looks whether the bytes are text
        made = column.cast(pa.string()).combine_chunks()
        return made.chunk(0) if isinstance(made, pa.ChunkedArray) else made
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([_said(v) for v in column.to_pylist()], pa.string())


def _said(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return None if value is None else str(value)


def _escaped(text: pa.Array) -> pa.Array:
    for sign, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = pc.replace_substring(text, sign, escaped)
    return pc.replace_substring_regex(text, r"[\x00-\x1f]", "\ufffd")
