"""Cases of a log: the sessions before transactions, as steps of pages with seconds, and what is known of each.

A case is a session of a user. Its steps are its groups of equal time; the seconds of a step are those until the next
(the last has none), or a column of the log. What experts know (further columns of the log, the amount) is a case's last
known value of a column; so are its tag, and what the real-time engine said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import RolesError, nearest
from ethogram.log import Log
from ethogram.log.roles import ROLES

CODES = ("user_code", "item_code")
SECOND = 1e6


class Coded(NamedTuple):
    """Texts by number: text i is ``names[codes[i]]``; what is missing is the empty text."""

    names: np.ndarray
    codes: np.ndarray

    def places(self, known: Sequence[str], strange: int) -> np.ndarray:
        """Place of each text in `known`, int64; `strange` where it is not there."""
        place = {name: i for i, name in enumerate(known)}
        return np.array([place.get(n, strange) for n in self.names.tolist()], np.int64)[self.codes]

    def counts(self) -> dict[str, int]:
        """Text -> how often, without the empty one."""
        found = np.bincount(self.codes, minlength=len(self.names)).tolist()
        return {n: c for n, c in zip(self.names.tolist(), found, strict=True) if n and c}


@dataclass(frozen=True, eq=False)
class Cases:
    """n cases, by user and session.

    Attributes
    ----------
    user, session : ids, Arrow arrays [n]. began : int64[n], microseconds since 1970 (0 without a clock).
    offsets : int64[n + 1], events of each case. pages : what the log has of ``item`` and ``kind`` of each event, [N].
    places : int64[S + 1], events of each step. starts : int64[n + 1], steps of each case. seconds : float64[S].
    known : what experts know, by column: float64[n], or objects.
    tag, declined, money : float64[n], NaN where nothing is known.
    """

    user: pa.Array
    session: pa.Array
    began: np.ndarray
    offsets: np.ndarray
    pages: Mapping[str, Coded]
    places: np.ndarray
    starts: np.ndarray
    seconds: np.ndarray
    known: Mapping[str, np.ndarray]
    tag: np.ndarray
    declined: np.ndarray
    money: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def owner(self) -> np.ndarray:
        """Case of each event, int64[N]."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def total(self) -> np.ndarray:
        """Seconds of each case, float64[n]."""
        return np.add.reduceat(self.seconds, self.starts[:-1]) if len(self) else np.zeros(0)


def cases(
    log: Log, *, gap: str = "30m", features: Sequence[str] | None = None, declined: str = "declined",
    dwell: str = "dwell", longest: int = 60,
) -> Cases:  # fmt: skip
    """Read the cases of a log; of each the last `longest` events.

    Parameters
    ----------
    gap : silence that ends a session, where the log has no role `session`. features : columns that experts look at;
        None takes all further columns and the amount. declined, dwell : names of those columns, where the log has them.

    Raises
    ------
    RolesError
        The log has neither items nor kinds, an event lacks its session, a column is not there, or seconds are below 0.
    """
    table = log.table()
    if "session" not in table.column_names:
        table = log.sessions(gap).table()
    if not {"item", "kind"} & set(table.column_names):
        raise RolesError("the log has neither items nor kinds: an event must say which page or type of page it is.")
    session = table["session"]
    if session.null_count:
        raise RolesError(f"{session.null_count:,} of {table.num_rows:,} events have no session; give each its own.")
    codes = session.combine_chunks().dictionary_encode()
    user, visit = table["user_code"].to_numpy().astype(np.int64), np.asarray(codes.indices)
    clocks = [_whole(table[c]) for c in ("time", "order") if c in table.column_names]
    pages = {c: _coded(table[c]) for c in ("item", "kind") if c in table.column_names}
    # within a step the order says nothing, so the pages' names decide it
    within = [np.argsort(np.argsort(p.names, kind="stable"))[p.codes] for p in pages.values()]
    order = np.lexsort((table["event"].to_numpy(), *within, *reversed(clocks), visit, user))
    key = np.stack([user, visit, *clocks])[:, order]
    fresh = _changes(key[:2])
    place = np.arange(len(order)) - np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    counts = np.diff(np.append(np.flatnonzero(fresh), len(order)))
    cut = np.repeat(counts, counts) - place <= longest
    last = _Last(table, order, np.cumsum(fresh) - 1, len(counts))
    order, key = order[cut], key[:, cut]
    begins, steps = _changes(key[:2]), _changes(key)
    offsets = np.append(np.flatnonzero(begins), len(order))
    places = np.append(np.flatnonzero(steps), len(order))
    starts = np.append(np.flatnonzero(begins[steps]), int(steps.sum()))
    time = key[2] if "time" in table.column_names else np.zeros(len(order), np.int64)
    taken = table.take(pa.array(order[begins]))
    return Cases(
        taken["user"].combine_chunks(), taken["session"].combine_chunks(), time[begins], offsets,
        {c: p._replace(codes=p.codes[order]) for c, p in pages.items()}, places, starts,
        _seconds(table, order, time, places, starts, dwell),
        {c: last.known(c) for c in _features(log, table, features, declined, dwell)},
        last.number("label"), last.number(declined), last.number("value"),
    )  # fmt: skip


def _changes(key: np.ndarray) -> np.ndarray:
    """bool[n]: the column differs from the one before."""
    return np.r_[True, (key[:, 1:] != key[:, :-1]).any(0)][: key.shape[1]]


def _whole(column: pa.ChunkedArray) -> np.ndarray:
    return (
        column.cast(pa.int64()).to_numpy()
        if pa.types.is_integer(column.type)
        else column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_numpy()
    )


def _coded(column: pa.ChunkedArray) -> Coded:
    held = column.combine_chunks().dictionary_encode()
    names = np.array([*map(str, held.dictionary.to_pylist()), ""])
    return Coded(names, np.asarray(held.indices.fill_null(len(names) - 1)).astype(np.int64))


def _seconds(
    table: pa.Table, order: np.ndarray, time: np.ndarray, places: np.ndarray, starts: np.ndarray, dwell: str
) -> np.ndarray:  # fmt: skip
    """Of each step: what the column says, else until the next step of the case."""
    first = places[:-1]
    if dwell in table.column_names:
        given = np.nan_to_num(_numbers(table[dwell])[order], nan=0.0, posinf=0.0)
        if (wrong := given < 0).any():
            raise RolesError(f"column '{dwell}': {int(wrong.sum()):,} events last less than 0 seconds, such as "
                             f"{given[wrong][0]:g}; leave empty what is not known.")  # fmt: skip
        return np.add.reduceat(given, first) / np.diff(places) if len(first) else np.zeros(0)
    found = np.append(np.diff(time[first]), 0) / SECOND
    found[starts[1:] - 1] = 0.0
    return np.asarray(found, np.float64)


def _features(
    log: Log, table: pa.Table, features: Sequence[str] | None, declined: str, dwell: str
) -> list[str]:  # fmt: skip
    if features is None:
        further = [c for c in table.column_names if c not in (*ROLES, *CODES, declined, dwell, "fold")]
        return [c for c in further if not c.startswith("label_")] + ["value"] * ("value" in table.column_names)
    for name in features:
        if name not in table.column_names:
            raise RolesError(f"no column '{name}'.{nearest(name, table.column_names)}")
    return list(features)


class _Last:
    """The last known value of a column in each case."""

    def __init__(self, table: pa.Table, order: np.ndarray, case: np.ndarray, count: int) -> None:
        self.table, self.order, self.case, self.count = table, order, case, count

    def known(self, name: str) -> np.ndarray:
        kind = self.table.schema.field(name).type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            return self.number(name)
        held, found = _coded(self.table[name]), np.full(self.count, None, object)
        codes = held.codes[self.order]
        there = held.names[codes] != ""
        found[self.case[there]] = held.names.astype(object)[codes[there]]  # of several the last stays
        return found

    def number(self, name: str) -> np.ndarray:
        found = np.full(self.count, np.nan)
        if name in self.table.column_names:
            held = _numbers(self.table[name])[self.order]
            there = ~np.isnan(held)
            found[self.case[there]] = held[there]
        return found


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)


def summaries(held: Cases, kinds: Sequence[str]) -> dict[str, np.ndarray]:
    """What people can say of a session without a network: pages, seconds, hour, visits and seconds by type of page."""
    n, width = len(held), len(kinds) + 1
    found = {"pages": np.diff(held.offsets).astype(np.float64), "seconds": held.total}
    if held.began.any():
        found["hour"] = held.began // (3600 * int(SECOND)) % 24 * 1.0
    place = held.owner * width + (held.pages.get("kind") or held.pages["item"]).places(kinds, len(kinds))
    sizes = np.diff(held.places)
    each = np.repeat(held.seconds / sizes, sizes)  # events of one step share its seconds
    visits = np.bincount(place, minlength=n * width).reshape(n, width)
    spent = np.bincount(place, each, minlength=n * width).reshape(n, width)
    for i, kind in enumerate(kinds):
        found[f"visits {kind}"], found[f"seconds {kind}"] = visits[:, i].astype(np.float64), spent[:, i]
    return found
