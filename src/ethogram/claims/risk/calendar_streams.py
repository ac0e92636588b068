"""Real streams cut into calendar windows: purchases of CDs, shopping trips, sessions of ratings.

A person has one sequence in each window; who is judged is never learned from (`streaming.cut`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.claims.risk import streaming
from ethogram.claims.risk.streaming import Window

JUDGED = 0.4
CDNOW = ("1997-01-01", "1997-03-01", "1997-05-01", "1997-07-01", "1997-09-01", "1997-11-01", "1998-01-01",
         "1998-03-01", "1998-05-01", "1998-07-01")  # fmt: skip
RATINGS = ("1997-09-20", "1997-10-20", "1997-11-20", "1997-12-20", "1998-01-20", "1998-02-20", "1998-03-20",
           "1998-04-23")  # fmt: skip
TRIPS = ("2017-02-01", "2017-03-01", "2017-04-01", "2017-05-01", "2017-06-01", "2017-07-01")
PAUSE, LEAST, MOST = 1_800_000_000, 5, 40
"""Microseconds without a rating that end a session; ratings that a session needs, and first ones that are read."""


def instants(dates: Sequence[str]) -> list[int]:
    from ethogram.log.condition import micros

    return [micros(d) for d in dates]


def purchases(log: Any, people: int = 500) -> list[Window]:
    """CDNOW: windows of two months; a sample of those with three purchases or more."""
    table = log.table()
    counts = table.group_by("user").aggregate([("time", "count")])
    often = np.sort(counts.filter(pc.greater_equal(counts.column("time_count"), 3)).column("user").to_numpy())
    return _cut(_of(table, np.random.default_rng(0).permutation(often)[:people]), CDNOW)


def trips(log: Any, people: int = 250) -> list[Window]:
    """Complete Journey: months; an event is a trip, its value what was spent; a sample of households."""
    table = log.table()
    table = table.filter(pc.equal(table.column("kind"), "purchase")).select(["user", "slate", "time", "value"])
    made = table.group_by(["user", "slate"]).aggregate([("time", "min"), ("value", "sum")])
    made = pa.table({"user": made["user"], "time": made["time_min"], "value": made["value_sum"]})
    every = np.unique(made.column("user").to_numpy())
    return _cut(_of(made, np.random.default_rng(0).permutation(every)[:people]), TRIPS)


def sessions(log: Any, people: int = 300) -> tuple[list[Window], tuple[str, ...]]:
    """MovieLens: months; each person's first long enough session of a month, by the films' first genres; the genres.

    Of a sample of `people`.
    """
    table, films = log.table(), log.items
    genre = dict(zip(films.column("item").to_pylist(), films.column("genres").to_pylist(), strict=True))
    user, time = table.column("user").to_numpy(), table.column("time").cast(pa.int64()).to_numpy()
    kind = np.array([(genre[i] or ["none"])[0] for i in table.column("item").to_pylist()], object)
    order = np.lexsort((kind.astype(str), time, user))
    user, time, kind = user[order], time[order], kind[order]
    bounds = np.array(instants(RATINGS))
    month = np.searchsorted(bounds, time, side="right")
    begins = (np.diff(user, prepend=-1) != 0) | (np.diff(time, prepend=0) > PAUSE) | (np.diff(month, prepend=-1) != 0)
    session = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    long = np.bincount(session) >= LEAST
    # the first long session of each person and month
    _, chosen = np.unique(user[first[long]] * 100 + month[first[long]], return_index=True)
    wanted = np.zeros(len(first), bool)
    wanted[np.flatnonzero(long)[chosen]] = True
    kept = wanted[session] & (np.arange(len(user)) - first[session] < MOST)
    made = pa.table(
        {
            "user": user[kept],
            "time": pa.array(time[kept], pa.timestamp("us", "UTC")),
            "kind": pa.array(kind[kept].tolist()),
        }
    )
    every = np.unique(user)
    made = _of(made, np.random.default_rng(0).permutation(every)[:people])
    return _cut(made, RATINGS), tuple(sorted(set(kind.tolist())))


def _of(table: pa.Table, people: np.ndarray) -> pa.Table:
    return table.filter(pc.is_in(table.column("user"), pa.array(people)))


def _cut(table: pa.Table, dates: Sequence[str]) -> list[Window]:
    return streaming.cut(table, instants(dates), [-1] * (len(dates) - 1), JUDGED, 0)
