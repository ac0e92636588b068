"""What a fitted system shows to simulated people: their histories, and the best items for them.

Histories are the real past of a household and what it took in the simulation, one group of equal times per day.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Vocabulary
from ethogram.log.kernels import ragged_rows
from ethogram.world.people.past import Past
from ethogram.world.people.purchases import DAY, Purchases

POOL = 200
"""Popular items that a system which only scores is asked about, beside what the household took itself."""


class Adviser(Protocol):
    """Chooses what is shown."""

    def slates(self, past: Past, rows: np.ndarray, day: int) -> np.ndarray:
        """Items for each of `rows` on a day, int64[rows, k] of codes, -1 where there are no more."""
        ...


class Advice:
    """A fitted system as adviser: it recommends, or (where it only scores) ranks popular and own items.

    Parameters
    ----------
    purchases : what the people were fitted on. k : items on a slate. exclude_seen : leave out what was taken before;
        None leaves that to the system.
    """

    def __init__(self, system: Any, purchases: Purchases, k: int = 10, exclude_seen: bool | None = None):
        if not hasattr(system, "recommend") and not hasattr(system, "score"):
            raise OptionError(f"{type(system).__name__} neither recommends nor scores; it cannot advise.")
        if k < 1:
            raise OptionError(f"k = {k} is not a number of items; give 1 or more.")
        self.system, self.k, self.exclude_seen = system, k, exclude_seen
        self.purchases, self._users = purchases, Vocabulary(purchases.users)
        count = np.bincount(purchases.item, minlength=purchases.catalogue)
        self._popular = np.argsort(-count, kind="stable")[:POOL]

    def histories(self, past: Past, rows: np.ndarray, day: int) -> Histories:
        """What each of `rows` took before a day, oldest first; all at least one day before the question."""
        record, who = past.record, past.who[rows]
        old, first = ragged_rows(record.offsets[who], record.offsets[who + 1])
        new, second = ragged_rows(past.offsets[rows], past.offsets[rows + 1])
        place = np.arange(len(rows))
        owner = np.concatenate([np.repeat(place, np.diff(first)), np.repeat(place, np.diff(second))])
        item = np.concatenate([record.item[old], past.item[new]])
        when = np.concatenate([self.purchases.day[old], past.day[new]])
        order = np.argsort(owner, kind="stable")  # the real past lies before what was simulated; both are by day
        item, when, owner = item[order], when[order], owner[order]
        starts = np.r_[True, (np.diff(owner) != 0) | (np.diff(when) != 0)][: len(owner)]
        ends = np.searchsorted(owner, np.arange(len(rows) + 1))
        time = self.purchases.start + when * DAY
        return Histories(
            {"item": item.astype(np.int32), "time": time}, starts, ends[:-1], ends[1:], who.astype(np.int32),
            np.full(len(rows), self.purchases.start + day * DAY), {"user": self._users, "item": self.purchases.items},
        )  # fmt: skip

    def slates(self, past: Past, rows: np.ndarray, day: int) -> np.ndarray:
        """The best items for each of `rows`."""
        made = np.full((len(rows), self.k), -1, np.int64)
        if not len(rows):
            return made
        histories = self.histories(past, rows, day)
        if hasattr(self.system, "recommend"):
            told = self.system.recommend(histories, self.k, exclude_seen=self.exclude_seen)
            codes = self.purchases.items.encode(told["item"])
            made[told["question"].to_numpy(), told["rank"].to_numpy() - 1] = codes
            return made
        return self._scored(histories, made)

    def _scored(self, histories: Histories, made: np.ndarray) -> np.ndarray:
        rows, ends = histories.flat()
        join = np.setdiff1d if self.exclude_seen else np.union1d
        listed = [join(self._popular, histories.item[rows[a:b]]) for a, b in pairwise(ends)]
        offsets = np.r_[0, np.cumsum([len(c) for c in listed])]
        flat = np.concatenate(listed)
        scores = self.system.score(histories, Candidates(flat.astype(np.int32), self.purchases.items, offsets))
        for i, (a, b) in enumerate(pairwise(offsets)):
            best = np.argsort(-scores[a:b], kind="stable")[: self.k]
            made[i, : len(best)] = flat[a:b][best]
        return made
