"""Rows of a source put in the order of a log: by user, clock and event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.log import kernels
from ethogram.log.coding import code
from ethogram.log.roles import CLOCKS
from ethogram.log.vocabulary import Vocabulary


class Arranged(NamedTuple):
    """Where the rows of a source go.

    `users` int32[U] codes, `offsets` int64[U + 1]; `order` int64[N] the source's row of each row, None where
    nothing moves; `placed` the columns that are in place already: ``event``, perhaps ``time`` and ``item``.
    """

    users: np.ndarray
    offsets: np.ndarray
    order: np.ndarray | None
    placed: dict[str, np.ndarray]
    vocabularies: dict[str, Vocabulary]


def arrange(found: Mapping[str, Any], known: Mapping[str, Vocabulary], first: int, factor: int = 1) -> Arranged:
    """Code users (and items, where both are done in one pass) and sort the rows.

    Parameters
    ----------
    found : columns by role.
    known : vocabularies whose codes stay.
    first : event id of the first row, where the source names none.
    factor : microseconds in one of ``time``.
    """
    user, vocabulary = code(found["user"], known.get("user"))
    vocabularies = {"user": vocabulary}
    clocks = [np.asarray(found[c]) for c in CLOCKS if c in found]
    n = len(user)
    order: np.ndarray | None
    if found.keys() >= {"time", "item"} and not found.keys() & {"order", "event"} and _rises(clocks[0]):
        item, vocabularies["item"] = code(found["item"], known.get("item"))
        offsets, times, items, order = kernels.deal(user, clocks[0], factor, item, len(vocabulary))
        placed = {"event": order + first if first else order, "time": times, "item": items}
    else:
        event = pc.cast(found["event"], pa.int64()).to_numpy() if "event" in found else np.arange(first, first + n)
        keys = [*clocks, event] if "event" in found else clocks
        order, offsets = kernels.sort_events(user, keys, len(vocabulary))
        order = None if (np.diff(order) == 1).all() else order
        placed = {"event": event if order is None else event[order]}
        if factor > 1:
            time = clocks[0] * factor
            placed["time"] = time if order is None else time[order]
    there = np.flatnonzero(np.diff(offsets))
    return Arranged(there.astype(np.int32), np.append(offsets[there], n), order, placed, vocabularies)


def _rises(clock: np.ndarray) -> bool:
    """Whether the rows stand in the order of time, as in nearly every source: then none has to be compared."""
    return len(clock) < 1 << 31 and bool(kernels.rises(clock))
