"""Side tables: what is known of items and users beside their events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import SourceError
from ethogram.log import typed
from ethogram.log.roles import _NAMES, _plain
from ethogram.log.sources import load
from ethogram.log.vocabulary import Vocabulary, _cast


def side_table(source: Any, name: str, vocabularies: Mapping[str, Vocabulary]) -> pa.Table | None:
    """Read a side table; its id column comes first, is named `name` and has the type of the log's ids.

    Raises
    ------
    SourceError
        An id is missing or there twice with different content.
    """
    if source is None:
        return None
    raw = load(source)
    table = raw.table
    plain = {_plain(c): c for c in reversed(table.column_names)}
    key = next((plain[n] for n in _NAMES[name] if n in plain), table.column_names[0])
    ids = typed.ids(table[key])
    values = ids.values
    if raw.text and typed.is_text(values.type):
        whole = typed.whole_text(values)
        values = values if whole is None else whole
    if ids.missing is not None:
        raise SourceError(f"{raw.name}: {int(ids.missing.sum()):,} rows of the side table have no {name} ('{key}').")
    known = vocabularies.get(name)
    if known is not None and values.type != known.ids.type:
        values = _cast(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values, known.ids.type)
        if values.null_count:  # a table that also knows other ids than the log can hold
            table = table.filter(values.is_valid())
            values = values.drop_null()
    made = {name: values}
    for other in table.column_names:
        if other != key:
            own = other if other != name else f"{other}_"
            made[own] = _typed(typed.plain(table[other]), raw.types.get(other), raw.text)
    table = pa.table(made)
    counts = pc.value_counts(table[name])
    if len(counts) < len(table):
        table = pa.Table.from_batches(table.to_batches())
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0].as_py()
        raise SourceError(f"{raw.name}: {name} {twice!r} has more than one row in the side table; keep one.")
    return table.combine_chunks()


def _typed(column: pa.ChunkedArray, declared: str | None, text: bool) -> pa.ChunkedArray:
    if declared in ("token_seq", "float_seq") and typed.is_text(column.type):
        return typed.split(column, declared == "float_seq")
    if text and declared != "token" and typed.is_text(column.type):
        return typed.inferred(column)
    return column
