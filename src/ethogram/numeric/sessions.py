"""Histories as sessions, each a set of items at one time: baskets, or what somebody played without a long pause.

Groups of equal times are never divided. Items inside a session are distinct, by ascending code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethogram.errors import OptionError
from ethogram.log import Histories
from ethogram.log.histories import FOREVER
from ethogram.numeric.traces import HOUR, hours


@dataclass(frozen=True, eq=False)
class Sessions:
    """Sessions of n histories, one after another.

    Attributes
    ----------
    items : int64[E]. offsets : int64[S + 1]; session s holds ``items[offsets[s]:offsets[s + 1]]``.
    bounds : int64[n + 1]; the sessions of history i are ``bounds[i]:bounds[i + 1]``.
    hour : float64[S], when each began; without a clock, its number.
    next : float64[S], when the following session of the history began; of the last one, when is asked.
    entry : int64[T], place in `items` of each event of ``histories.flat()``, -1 where it was left out.
    """

    items: np.ndarray
    offsets: np.ndarray
    bounds: np.ndarray
    hour: np.ndarray
    next: np.ndarray
    entry: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> np.ndarray:
        """Sessions of each history, int64[n]."""
        return np.diff(self.bounds)

    @classmethod
    def of(cls, histories: Histories, rows: np.ndarray, pause: float | None = None) -> Sessions:
        """Cut histories.

        Parameters
        ----------
        rows : int[V + 1], what each item code is called in `items`; -1 leaves it out (the last answers for code -1).
        pause : minutes between events above which a new session begins; None, or no clock: every group is one.

        Raises
        ------
        OptionError
            A pause below 0.

        Examples
        --------
        >>> made = Sessions.of(Histories.of([["b", "a"], [], ["b"]]), np.array([0, 1, -1]))
        >>> made.items.tolist(), made.bounds.tolist(), made.next.tolist()
        ([1, 0, 1], [0, 2, 2, 3], [2.0, 3.0, 4.0])
        """
        places, spans = histories.flat()
        n, owner = len(histories), np.repeat(np.arange(len(histories)), np.diff(spans))
        hour, first_rows = hours(histories)[places], begins(histories, pause)
        session = np.cumsum(first_rows) - 1
        item = rows[np.asarray(histories.item)[places]].astype(np.int64)
        kept = np.flatnonzero(item >= 0)
        order = kept[np.lexsort((item[kept], session[kept]))]
        item, session, owner = item[order], session[order], owner[order]
        fresh = np.ones(len(item), bool)
        fresh[1:] = (item[1:] != item[:-1]) | (session[1:] != session[:-1])
        entry = np.full(len(places), -1, np.int64)
        entry[order] = np.cumsum(fresh) - 1
        item, session, owner = item[fresh], session[fresh], owner[fresh]
        first = np.flatnonzero(np.r_[True, session[1:] != session[:-1]]) if len(session) else np.empty(0, np.int64)
        began = hour[first_rows][session[first]]
        bounds = np.searchsorted(owner[first], np.arange(n + 1))
        return cls(item, np.append(first, len(item)), bounds, began, _next(began, bounds, histories), entry)


def begins(histories: Histories, pause: float | None) -> np.ndarray:
    """Whether a session begins at each event of ``histories.flat()``, bool[T]; see `Sessions.of`."""
    if pause is not None and not pause >= 0:
        raise OptionError(f"sessions: a pause of {pause} minutes; give 0 or more.")
    places, spans = histories.flat()
    found = np.asarray(histories.starts)[places].copy()
    if pause is not None and "time" in histories.columns and len(found):
        found[1:] &= np.diff(hours(histories)[places]) * 60 > pause
    found[spans[:-1][np.diff(spans) > 0]] = True
    return found


def _next(began: np.ndarray, bounds: np.ndarray, histories: Histories) -> np.ndarray:
    later = np.append(began[1:], 0.0)
    full = np.diff(bounds) > 0
    last = bounds[1:][full] - 1
    asked = histories.time[full]
    known = (asked != FOREVER) & ("time" in histories.columns)
    later[last] = np.where(known, asked / HOUR, began[last] + 1)
    return later[: len(began)]
