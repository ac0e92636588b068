"""What the person of a case did, in order: the evidence that an analyst reads beside the reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.log import Log

COLUMNS = ("time", "order", "kind", "item", "value", "text", "session")


def timeline(log: Log, user: Any, session: Any = None) -> list[dict[str, Any]]:
    """Events of a user, of one session if it is named, oldest first, as rows by column name; empty for a stranger."""
    return timelines(log, [user], [session])[0]


def timelines(log: Log, users: list[Any], sessions: list[Any] | None = None) -> list[list[dict[str, Any]]]:
    """The same for several cases at once."""
    rows = log.sequences()
    place = rows.find(log.vocabulary("user").encode(users))
    made = []
    for case, at in enumerate(place):
        own = np.arange(rows.offsets[at], rows.offsets[at + 1]) if at >= 0 else np.zeros(0, np.int64)
        if sessions is not None and sessions[case] is not None and "session" in rows.columns:
            code = log.vocabulary("session").encode([sessions[case]])[0]
            own = own[np.asarray(rows.columns["session"])[own] == code]
        made.append(own)
    whole = _table(log, np.concatenate(made) if made else np.zeros(0, np.int64)).to_pylist()
    ends = np.cumsum([len(m) for m in made])
    return [whole[end - len(m) : end] for m, end in zip(made, ends, strict=True)]


def _table(log: Log, rows: np.ndarray) -> pa.Table:
    """Some rows of the log's sequences, in the source's ids."""
    held = log.sequences()
    found: dict[str, Any] = {}
    for name in (*COLUMNS, *(c for c in held.columns if c not in (*COLUMNS, "event"))):
        if name not in held.columns:
            continue
        values = np.asarray(held.columns[name])[rows]
        if name in held.vocabularies:
            found[name] = held.vocabularies[name].decode(values)
        elif name == "time":
            found[name] = pa.array(values, pa.timestamp("us", "UTC"))
        elif values.dtype.kind == "f":
            found[name] = pa.array(values.astype(np.float64), from_pandas=True)
        else:
            found[name] = pa.array(values)
    return pa.table(found) if found else pa.table({"event": held.columns["event"][rows]})
