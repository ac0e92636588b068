"""Which events happened at home and which on a trip, and the trips of a log.

An event is of a trip where its kind says so (`trip`). In a log without that kind it is one where its item lies in
another town than the person's home, which is what the users' table says (`home`), else where most of the person's
events lie (ties by the name of the town). Without towns nothing tells: a person's last group of equal times stands for
the trip then, as far as there is an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ethogram.log import Histories, Vocabulary, facts
from ethogram.log.kernels import last_groups

HOME = "home"
"""Column of the users' table that names a person's own town."""


@dataclass(frozen=True, eq=False)
class Travel:
    """How a log tells home from away.

    Attributes
    ----------
    items : vocabulary of the log, then those that only its items' table names. towns : names of the towns, sorted.
    town : int32[items + 1], the town of each item, -1 unknown (also of item -1).
    kind : name of the kind of events that are of trips.
    how : what tells: ``kind``, ``town`` or ``last``.
    """

    items: Vocabulary
    towns: Vocabulary
    town: np.ndarray
    kind: str
    how: str

    @classmethod
    def of(cls, histories: Histories, column: str, kind: str) -> Travel:
        """From the whole histories of a log; `column` of its items' table names towns."""
        items, table = histories.vocabularies["item"], histories.tables.get("items")
        if table is not None:
            items = items.extend(table.column(0))
        towns, town = Vocabulary(pa.array([], pa.string())), np.full(len(items) + 1, -1, np.int32)
        if table is not None and column in table.column_names:
            named = table.column(column).combine_chunks().cast(pa.string())
            towns = Vocabulary(pa.array(sorted(set(named.drop_null().to_pylist())), pa.string()))
            own = items.encode(table.column(0))
            town[own[own >= 0]] = towns.encode(named)[own >= 0]
        how = "kind" if _kind(histories, kind) is not None else "town" if len(towns) else "last"
        return cls(items, towns, town, kind, how)

    def towns_of(self, histories: Histories) -> np.ndarray:
        """Town of each shared row, int32[N]."""
        place = np.append(histories.vocabularies["item"].codes_in(self.items), np.int32(-1))
        return self.town[place[np.asarray(histories.item)]]

    def away(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        """(bool of each row of ``histories.flat()``: whether it is of a trip; those rows' offsets, int64[n + 1]).

        What is asked about a history is never of it, so without kinds and towns all of it is at home.
        """
        rows, offsets = histories.flat()
        if self.how == "kind" and "kind" in histories.columns:
            kind = _kind(histories, self.kind)
            mine = np.asarray(histories.columns["kind"])[rows]
            return np.zeros(len(rows), bool) if kind is None else mine == kind, offsets
        if not len(self.towns) or self.how == "last":
            return np.zeros(len(rows), bool), offsets
        town = self.towns_of(histories)[rows]
        home = np.repeat(self._homes(histories, town, offsets), np.diff(offsets))
        return (town >= 0) & (home >= 0) & (town != home), offsets

    def _homes(self, histories: Histories, town: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Town in which each asking person lives, int64[n], -1 where nothing tells."""
        n, width = len(histories), len(self.towns)
        owner = np.repeat(np.arange(n), np.diff(offsets))[town >= 0]
        pair, count = np.unique(owner * width + town[town >= 0], return_counts=True)
        order = np.lexsort((pair, -count, pair // width))
        most, first = np.unique(pair[order] // width, return_index=True)
        home = np.full(n, -1, np.int64)
        home[most] = pair[order][first] % width
        table = histories.tables.get("users")
        if table is None or HOME not in table.column_names:
            return home
        told = np.full(len(histories.vocabularies["user"]) + 1, -1, np.int32)
        own = histories.vocabularies["user"].encode(table.column(0))
        told[own[own >= 0]] = self.towns.encode(table.column(HOME))[own >= 0]
        told = told[histories.users]
        return np.where(told >= 0, told, home)

    def at_home(self, histories: Histories) -> Histories:
        """The same questions with the events at home only."""
        rows, offsets = histories.flat()
        away, _ = self.away(histories)
        before = np.concatenate([[0], np.cumsum(~away)])
        return histories.taken(rows[~away], before[offsets])

    def trips(self, histories: Histories) -> Trips:
        """The trips of whole histories: what a person did in one other town, with what they did at home before.

        A trip before which nothing happened at home teaches nothing, and is only counted.
        """
        rows, offsets = histories.flat()
        if self.how == "last":
            last = last_groups(offsets, _starts(histories, rows, offsets))[0]
            away = np.arange(len(rows)) >= np.repeat(last, np.diff(offsets))
        else:
            away, _ = self.away(histories)
        owner = np.repeat(np.arange(len(histories)), np.diff(offsets))
        place = np.flatnonzero(away)
        town = self.towns_of(histories)[rows[place]].astype(np.int64) + 1
        key, first, mine = np.unique(
            owner[place] * (len(self.towns) + 1) + town, return_index=True, return_inverse=True
        )
        begin = np.full(len(key), len(rows))
        np.minimum.at(begin, mine, place)
        group = facts.numbered(_starts(histories, rows, offsets))
        traveller = key // (len(self.towns) + 1)
        # the events at home before the group in which the trip begins
        homes = np.flatnonzero(~away)
        low = np.searchsorted(homes, offsets[traveller])
        high = np.searchsorted(homes, np.searchsorted(group, group[begin]))
        kept = np.flatnonzero(high > low)
        spans = np.concatenate([[0], np.cumsum(high[kept] - low[kept])])
        before = homes[np.arange(spans[-1]) + np.repeat(low[kept] - spans[:-1], np.diff(spans))]
        number = np.full(len(key), -1)
        number[kept] = np.arange(len(kept))
        order = np.argsort(mine, kind="stable")
        order = order[number[mine[order]] >= 0]
        sizes = np.bincount(number[mine[order]], minlength=len(kept))
        asked = histories[traveller[kept]].taken(rows[before], spans)
        visited = np.asarray(histories.item)[rows[place[order]]]
        ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return Trips(asked, visited, ends, (town[first] - 1)[kept], len(key) - len(kept))


@dataclass(frozen=True, eq=False)
class Trips:
    """m trips.

    Attributes
    ----------
    before : m histories, the events at home before each. items : int32[visits], codes of what was visited, repeats
        kept; trip i is ``items[offsets[i]:offsets[i + 1]]``. town : int64[m], -1 unknown.
    without : trips left out because nothing was known before them.
    """

    before: Histories
    items: np.ndarray
    offsets: np.ndarray
    town: np.ndarray
    without: int

    def __len__(self) -> int:
        return len(self.offsets) - 1


def _kind(histories: Histories, kind: str) -> int | None:
    """Code of the kind, None where the histories have none so called."""
    if "kind" not in histories.columns:
        return None
    code = int(histories.vocabularies["kind"].encode([kind])[0])
    return code if code >= 0 else None


def _starts(histories: Histories, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    starts = histories.starts[rows].copy()
    starts[offsets[:-1][np.diff(offsets) > 0]] = True
    return starts
