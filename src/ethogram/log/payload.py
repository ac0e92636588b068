"""Payloads: JSON of whatever is not a column. Each kind of event has keys of its own; they are told, not forced."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.log.coding import distinct_values
from ethogram.log.typed import is_text, some

BROKEN, NO_OBJECT = "broken JSON (payload)", "wrong type (payload)"
NO_KIND = ""
"""Stands for the kind where an event has none."""
MOST_KEYS, ANY_KEY = 256, "*"
"""A kind with more keys uses ids as keys, which are no schema; its types are then told for `ANY_KEY`."""

Schema = Mapping[str, Mapping[str, str]]
"""Kind -> key -> type as JSON Schema names it; several types are joined by ``|``."""

_TYPES = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


class Payloads(NamedTuple):
    """A column of payloads as JSON text, and the shape of each: int32[N] places in `shapes`, -1 where there is none.

    `broken` and `no_object` are bool[N], or None for no row: text that is no JSON, and JSON that is no object.
    """

    text: pa.ChunkedArray
    shape: np.ndarray
    shapes: list[tuple[tuple[str, str], ...]]
    broken: np.ndarray | None
    no_object: np.ndarray | None


def read(column: pa.ChunkedArray) -> Payloads:
    """Parse a column of JSON text, or of structures, which become JSON text. Empty text is missing.

    Numbers that JSON does not know (NaN, Infinity) break it, as they would break whoever reads the log next.
    """
    if not is_text(column.type):
        column = pa.chunked_array([_as_text(column)])
    places, distinct = distinct_values(column)
    known: dict[tuple[tuple[str, str], ...], int] = {}
    shape = np.full(len(distinct) + 1, -1, np.int32)
    broken, no_object = np.zeros(len(distinct) + 1, bool), np.zeros(len(distinct) + 1, bool)
    for i, text in enumerate(distinct.to_pylist()):
        if not text:
            continue
        try:
            value = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            broken[i] = True
            continue
        if not isinstance(value, dict):
            no_object[i] = True
            continue
        found = tuple(sorted((key, _TYPES[type(v)]) for key, v in value.items()))
        shape[i] = known.setdefault(found, len(known))
    # place -1, of a missing payload, reads the last entry
    return Payloads(column, shape[places], list(known), some(broken[places]), some(no_object[places]))


def _as_text(column: pa.ChunkedArray) -> pa.Array:
    values = column.to_pylist(maps_as_pydicts="lossy") if pa.types.is_nested(column.type) else column.to_pylist()
    return pa.array(
        [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values], pa.string()
    )


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def schema(
    shape: np.ndarray, shapes: list[tuple[tuple[str, str], ...]], kind: np.ndarray | None, kinds: list[Any]
) -> dict[str, dict[str, str]]:
    """Which keys the payloads of each kind have, and of which type.

    Parameters
    ----------
    kind : int32[N] places in `kinds`, -1 where an event has none; None where no event has one.
    """
    rows = np.flatnonzero(shape >= 0)
    of = np.full(len(rows), -1, np.int64) if kind is None else kind[rows].astype(np.int64)
    pairs = np.unique((of + 1) * max(len(shapes), 1) + shape[rows])
    parts = (
        {NO_KIND if k == 0 else str(kinds[k - 1]): dict(shapes[s])}
        for k, s in (divmod(int(p), max(len(shapes), 1)) for p in pairs)
    )
    return merge(parts)


def merge(schemas: Iterable[Schema]) -> dict[str, dict[str, str]]:
    """The union: every key of any of them, with all types that it has there. A number may be whole."""
    found: dict[str, dict[str, set[str]]] = {}
    for part in schemas:
        for kind, keys in part.items():
            types = found.setdefault(kind, {})
            for key, said in keys.items():
                types.setdefault(key, set()).update(said.split("|"))
    return {kind: _told(types) for kind, types in sorted(found.items())}


def _told(types: dict[str, set[str]]) -> dict[str, str]:
    if len(types) > MOST_KEYS or ANY_KEY in types:
        types = {ANY_KEY: set().union(*types.values())}
    return {
        key: "|".join(sorted(names - {"integer"} if "number" in names else names))
        for key, names in sorted(types.items())
    }
