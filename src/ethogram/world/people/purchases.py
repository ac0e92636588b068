"""A log of purchases as the models of a population read it: who took what on which day, items in groups.

One trip is all that a household took on one day; what was taken several times that day is one row with its values
summed. Items lie in groups, coarse to fine (department, category, type), read from columns of the log's side table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError, StepError, unknown
from ethogram.log import Log, Vocabulary
from ethogram.log.questions import behaviour

DAY = 86_400_000_000


@dataclass(frozen=True, eq=False)
class Purchases:
    """Distinct (household, day, item), sorted by household, then day, then item.

    Attributes
    ----------
    user : int64[N], places 0 ... U - 1. day : int64[N], from `start`. item : int64[N], codes of `items`.
    value : float64[N], what was paid; NaN where the log does not tell.
    users : ids of the households, in order of place. items : vocabulary of all items that the log knows.
    groups : name -> int64[I], group of each item, 0 where it is not known; coarse to fine.
    start : microseconds since 1970 of day 0. days : number of days, 0 ... days - 1.
    """

    user: np.ndarray
    day: np.ndarray
    item: np.ndarray
    value: np.ndarray
    users: pa.Array
    items: Vocabulary
    groups: dict[str, np.ndarray]
    start: int
    days: int

    @classmethod
    def of(cls, log: Log, levels: Sequence[str] = (), kind: str | None = None) -> Purchases:
        """Read a log; of one that tells what was shown (labelled events), only what was done.

        Parameters
        ----------
        levels : columns of the items' side table, coarse to fine. kind : only events of this kind.

        Raises
        ------
        StepError
            The log has no times or no events. OptionError: no such column or kind.
        """
        rows = behaviour(log.sequences())  # what was shown is not what was taken
        if "time" not in rows.columns:
            raise StepError("people are fitted on a log with times: open it with time=COLUMN.")
        kept = np.ones(len(rows), bool)
        if kind is not None:
            if "kind" not in rows.vocabularies:
                raise OptionError(f"kind='{kind}': the log has no kinds of events.")
            known = [str(k) for k in rows.vocabularies["kind"].ids.to_pylist()]
            if kind not in known:
                raise OptionError(unknown("kind", kind, known))
            kept = np.asarray(rows.columns["kind"]) == known.index(kind)
        if not kept.any():
            raise StepError(
                "people are fitted on what they did; the log holds no events" + (f" '{kind}'." if kind else ".")
            )
        place = rows.find(rows.user[kept])
        here, user = np.unique(place, return_inverse=True)
        time = np.asarray(rows.columns["time"])[kept]
        start = int(time.min() // DAY * DAY)
        day, item = (time - start) // DAY, np.asarray(rows.columns["item"])[kept].astype(np.int64)
        value = np.asarray(rows.columns["value"], float)[kept] if "value" in rows.columns else np.full(len(day), np.nan)
        vocabulary = log.vocabulary("item")
        users = rows.vocabularies["user"].ids.take(pa.array(rows.users[here]))
        made = cls(*merged(user, day, item, value), users, vocabulary, {}, start, int(day.max()) + 1)
        return replace(made, groups={name: made._group(log, name) for name in levels})

    def _group(self, log: Log, name: str) -> np.ndarray:
        columns = [] if log.items is None else log.items.column_names[1:]
        if log.items is None or name not in columns:
            raise OptionError("levels: " + unknown("column of the items", name, columns))
        ids, column = _whole(log.items.column(0)), _whole(log.items[name])
        codes = np.asarray(pc.fill_null(column.dictionary_encode().indices, -1)) + 1
        place = np.asarray(pc.fill_null(pc.index_in(_whole(self.items.ids), value_set=ids), -1))
        return np.where(place >= 0, codes[place], 0).astype(np.int64)

    def __len__(self) -> int:
        return len(self.user)

    @property
    def households(self) -> int:
        return len(self.users)

    @property
    def catalogue(self) -> int:
        """Number of items that the log knows, bought or not."""
        return len(self.items)

    def between(self, first: int, stop: int) -> Purchases:
        """Purchases of days `first` to `stop` - 1; households, items and the numbering of days stay."""
        kept = (self.day >= first) & (self.day < stop)
        return replace(
            self, user=self.user[kept], day=self.day[kept], item=self.item[kept], value=self.value[kept],
            days=min(self.days, stop),
        )  # fmt: skip

    @cached_property
    def trips(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(household, day, first row) of every trip, in order; its rows go on to the next trip's first."""
        first = np.flatnonzero(np.r_[True, (np.diff(self.user) != 0) | (np.diff(self.day) != 0)][: len(self)])
        return self.user[first], self.day[first], first

    @cached_property
    def sizes(self) -> np.ndarray:
        """Distinct items of each trip, int64[trips]."""
        return np.diff(np.append(self.trips[2], len(self)))


def merged(
    user: np.ndarray, day: np.ndarray, item: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sorted by household, day and item; equal rows are one, with the sum of their values."""
    order = np.lexsort((item, day, user))
    user, day, item, value = (np.asarray(c)[order] for c in (user, day, item, value))
    fresh = np.r_[True, (np.diff(user) != 0) | (np.diff(day) != 0) | (np.diff(item) != 0)][: len(user)]
    first = np.flatnonzero(fresh)
    total = np.add.reduceat(value.astype(np.float64), first) if len(first) else value.astype(np.float64)
    return user[first].astype(np.int64), day[first].astype(np.int64), item[first].astype(np.int64), total


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
