"""A history folded into groups (one merchant, one category ...), ragged: cases hold groups, groups hold events.

What `Log.fold` says in a column of the log, this says in the order of the rows, so that models read each group's
events one behind the other. Nothing is padded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError, RolesError, nearest
from ethogram.log import kernels
from ethogram.log.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ethogram.log.log import Log

By = Literal["count", "amount", "recency"]


@dataclass(frozen=True, eq=False)
class Folded:
    """Groups of the events of n cases.

    Attributes
    ----------
    rows : int64[T], rows of the log's sequences, case by case, group by group, oldest first.
    groups : int64[G + 1]; group g holds ``rows[groups[g]:groups[g + 1]]``.
    cases : int64[n + 1]; case i holds the groups ``cases[i]:cases[i + 1]``, the highest in rank first.
    key : int64[G], the value that made the group, -1 where it was missing; of a pooled group the value that pools it.
    pooled : bool[G], groups of what did not make it among the first.
    """

    rows: np.ndarray
    groups: np.ndarray
    cases: np.ndarray
    key: np.ndarray
    pooled: np.ndarray

    def __len__(self) -> int:
        return len(self.cases) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Events of each group, int64[G]."""
        return np.diff(self.groups)

    @property
    def owner(self) -> np.ndarray:
        """Case of each group, int64[G]."""
        return np.repeat(np.arange(len(self)), np.diff(self.cases))

    def last(self, n: int, starts: np.ndarray) -> tuple[Folded, np.ndarray]:
        """The last n events of each group, and their places among `rows`.

        Parameters
        ----------
        starts : bool[T], the event is later than the one before it in its group; what straddles the cut is left out
            whole unless it is all that there is, so that the order of equal times says nothing.
        """
        if n < 1:
            raise OptionError(f"fold: the last {n} events of a group are none; give 1 or more.")
        begin = kernels.cut_at_group(self.groups[:-1], self.groups[1:], starts, n)
        places, offsets = kernels.ragged_rows(begin, self.groups[1:])
        return replace(self, rows=self.rows[places], groups=offsets), places


def folded(
    start: np.ndarray, stop: np.ndarray, key: np.ndarray, *, top: int, pool: np.ndarray | None = None,
    by: By = "count", amount: np.ndarray | None = None, time: np.ndarray | None = None,
) -> Folded:  # fmt: skip
    """Fold the rows ``start[i]:stop[i]`` of each case by `key`.

    Parameters
    ----------
    key : int64[N], the group of each row, at least -1. Keys in the order of their names make ties of rank stable.
    top : groups of their own in each case, those with most events, highest sum of absolute `amount`, or latest `time`.
    pool : int64[N], by which the other rows are pooled, at least -1; None pools them all in one.

    Returns
    -------
    Folded
        In each group the rows are in their order; own groups come by rank, then the pooled ones by their value.

    Examples
    --------
    >>> made = folded(np.array([0]), np.array([5]), np.array([7, 3, 7, 9, 3]), top=1)
    >>> made.rows.tolist(), made.groups.tolist(), made.key.tolist(), made.pooled.tolist()
    ([1, 4, 0, 2, 3], [0, 2, 5], [3, -1], [False, True])
    """
    if top < 1:
        raise OptionError(f"fold: {top} groups of their own; give 1 or more.")
    flat, offsets = kernels.ragged_rows(start, stop)
    n, case = len(start), np.repeat(np.arange(len(start)), np.diff(offsets))
    pair, inverse, owner, value = _pairs(case, key[flat])
    score: np.ndarray
    if by == "count":
        score = np.bincount(inverse, minlength=len(pair)).astype(np.float64)
    elif by == "amount":
        score = np.bincount(inverse, np.abs(np.nan_to_num(_needed(amount, by)[flat])), len(pair))
    elif by == "recency":
        score = np.full(len(pair), -np.inf)
        np.maximum.at(score, inverse, _needed(time, by)[flat].astype(np.float64))
    else:
        raise OptionError(f"fold: groups are ranked by count, amount or recency, not by '{by}'.")
    order = np.lexsort((value, -score, owner))
    rank = np.empty(len(pair), np.int64)
    first = np.searchsorted(owner, np.arange(n))  # pairs lie by case
    rank[order] = np.arange(len(pair)) - first[owner[order]]
    own = rank[inverse] < top
    behind = np.zeros(len(flat), np.int64) - 1 if pool is None else np.asarray(pool[flat], np.int64)
    # own groups by rank, pooled ones behind them by value
    place = np.where(own, rank[inverse], top + 1 + behind)
    group, at, holder, where = _pairs(case, place)
    counts = np.bincount(at, minlength=len(group))
    seen = np.zeros(len(group), np.int64)
    seen[at] = np.where(own, key[flat], behind)
    return Folded(
        flat[np.argsort(at, kind="stable")],
        np.append(0, np.cumsum(counts)),
        np.searchsorted(holder, np.arange(n + 1)),
        seen,
        where >= top,
    )


def _pairs(case: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct (case, value) in order, the pair of each row, and the case and value of each pair."""
    value = np.asarray(value, np.int64)
    width = int(value.max(initial=0)) + 2
    pair, inverse = np.unique(case * width + value + 1, return_inverse=True)
    return pair, inverse, pair // width, pair % width - 1


def _needed(values: np.ndarray | None, by: str) -> np.ndarray:
    if values is None:
        raise OptionError(f"fold: groups cannot be ranked by {by}, which the log does not have.")
    return np.asarray(values)


def keyed(log: Log, name: str) -> tuple[np.ndarray, Vocabulary]:
    """A column of the events, or of the items' side table, as codes in the order of its values: int64[N], -1 missing.

    Raises
    ------
    RolesError
        Neither has such a column, or it holds numbers that are not whole.
    """
    sequences, items = log.sequences(), log.items
    if name in sequences.vocabularies and name in sequences.columns:
        codes, ids = np.asarray(sequences.columns[name]), sequences.vocabularies[name].ids
    elif name in sequences.columns:
        held = np.asarray(sequences.columns[name])
        there = np.isfinite(held) if held.dtype.kind == "f" else np.ones(len(held), bool)
        if held.dtype.kind not in "iuf" or (held[there] % 1 != 0).any():
            raise RolesError(f"column '{name}' is not made of names or whole numbers; it cannot name groups.")
        values, inverse = np.unique(held[there].astype(np.int64), return_inverse=True)
        codes = np.full(len(held), -1, np.int64)
        codes[there] = inverse
        return codes, Vocabulary(pa.array(values))
    elif items is not None and name in items.column_names[1:]:
        column = pc.dictionary_encode(items[name].combine_chunks().cast(pa.string()))
        ids = column.dictionary
        of_item = np.full(len(log.vocabulary("item")) + 1, -1, np.int64)
        row = log.vocabulary("item").encode(items["item"])
        of_item[row[row >= 0]] = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)[row >= 0]
        codes = of_item[np.asarray(sequences.columns["item"])]  # an item without a code reads the last place, -1
    else:
        names = [*sequences.columns, *(items.column_names[1:] if items is not None else ())]
        raise RolesError(f"no column '{name}' in the events or the items.{nearest(name, names)} There: {names}.")
    order = pc.array_sort_indices(ids).to_numpy()
    place = np.full(len(ids) + 1, -1, np.int64)
    place[order] = np.arange(len(ids))
    return place[codes], Vocabulary(ids.take(pa.array(order)))
