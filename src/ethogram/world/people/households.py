"""Simulated households, fitted on a real log of purchases.

    a trip today?    a daily hazard                               `visits`
    how many items?  the household's own distribution             `sizes`
    which?           its past, its tastes, people alike, fashion  `tastes`
    at what price?   what a sale of the item was worth            here

What is shown to a household (a slate of recommendations) multiplies the odds of each shown item by `response` r. In a
trip of n items that would not have held it, shown item i is bought with probability

    1 - exp(-n (r - 1) p_i / (1 + d (r - 1) sum_j p_j))        j over the slate

The share d (`displacement`) of what is bought so takes the place of something else, the rest comes on top; d = 1 is a
multinomial logit over the whole assortment with a fixed size of the basket. Neither r nor d can be read from a log
without recommendations; `ethogram.world.people.displays` measures what displays in a store do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ethogram.errors import OptionError
from ethogram.log import Log
from ethogram.world.draws import Draws, Luck
from ethogram.world.people.past import Past
from ethogram.world.people.purchases import Purchases
from ethogram.world.people.sizes import Sizes
from ethogram.world.people.tastes import Tastes
from ethogram.world.people.visits import Visits

LEAST_DAYS = 28
SHRUNK = 50
"""Items after which a household's own level of spending counts as much as that of all."""


class Bought(NamedTuple):
    """What was bought on a day: row, item, value, whether the item was on the row's slate."""

    row: np.ndarray
    item: np.ndarray
    value: np.ndarray
    shown: np.ndarray


@dataclass
class Households:
    """A fitted population; row u of everything is household ``purchases.users[u]``.

    Attributes
    ----------
    purchases : what they were fitted on; its last day is yesterday, `now` is today.
    typical : float64[I], what a sale of an item (or of its group) is worth. spends : float64[U], how much more than
        others a household spends on the same items.
    """

    purchases: Purchases
    visits: Visits
    sizes: Sizes
    tastes: Tastes

    @classmethod
    def fit(
        cls, log: Log | Purchases, *, levels: Sequence[str] = (), kind: str | None = None, neighbours: int = 50,
        seed: int = 0,
    ) -> Households:  # fmt: skip
        """Fit on a log of purchases.

        Parameters
        ----------
        levels : columns that group the items, coarse to fine. kind : only these events. neighbours : households alike
            that a household learns from, 0 for none. seed : of the sample of purchases that a large log is cut to.

        Raises
        ------
        OptionError, StepError
            The log is too short, has no times, or no such column or kind.
        """
        past = log if isinstance(log, Purchases) else Purchases.of(log, levels, kind)
        if past.days < LEAST_DAYS or past.households < 2 or not len(past):
            raise OptionError(
                f"people are fitted on {LEAST_DAYS} days of 2 households or more; here are {past.days} days of "
                f"{past.households}."
            )
        return cls(past, Visits.fit(past), Sizes.fit(past), Tastes.fit(past, neighbours=neighbours, seed=seed))

    def __post_init__(self) -> None:
        p = self.purchases
        order = np.argsort(p.item, kind="stable")
        self._values = np.nan_to_num(p.value[order])
        self._sales = np.searchsorted(p.item[order], np.arange(p.catalogue + 1))
        typical = np.full(p.catalogue, float(np.median(self._values)))
        if p.groups:
            group = list(p.groups.values())[-1]
            sold = np.bincount(group[p.item], minlength=group.max() + 1)
            mean = np.bincount(group[p.item], np.nan_to_num(p.value), len(sold)) / np.maximum(sold, 1)
            typical = np.where(sold[group] > 0, mean[group], typical)
        self.typical = typical
        # what a household pays for an item beside what others do (quantity, size of the pack), shrunk towards 1
        known = np.bincount(p.item, np.nan_to_num(p.value), p.catalogue) / np.maximum(
            np.bincount(p.item, minlength=p.catalogue), 1
        )
        paid = np.bincount(p.user, np.nan_to_num(p.value), p.households)
        usual = np.bincount(p.user, known[p.item], p.households)
        prior = SHRUNK * usual.sum() / max(len(p), 1)
        self.spends = (paid + prior) / np.maximum(usual + prior, 1e-12)

    @property
    def now(self) -> int:
        """The first day that is simulated."""
        return self.purchases.days

    def __len__(self) -> int:
        return self.purchases.households

    def worth(self, who: np.ndarray, items: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """What each purchase is worth: that of a past sale of the item (of its group, where it was never sold), times
        how much more than others the household spends on the same items."""
        first, stop = self._sales[items], self._sales[items + 1]
        at = np.minimum(first + (uniform * (stop - first)).astype(np.int64), len(self._values) - 1)
        return self.spends[who] * np.where(stop > first, self._values[at], self.typical[items])

    def going(self, who: np.ndarray, last: np.ndarray, day: int, luck: Luck) -> np.ndarray:
        """Places of those who go shopping on a day, int64; `last` is the day of each one's last trip."""
        return np.flatnonzero(luck.chance("trip", self.visits.chance(who, last, day)))

    def buy(
        self, past: Past, rows: np.ndarray, luck: Luck, slates: np.ndarray | None = None, *, response: float = 1.0,
        displacement: float = 1.0,
    ) -> Bought:  # fmt: skip
        """One trip of each of `rows`.

        Parameters
        ----------
        luck : of these rows, in their order. slates : int64[rows, k] of item codes, -1 for none.
        response : by what a shown item's odds are multiplied. displacement : share of the purchases that come of it
            which take the place of another, 0 to 1.
        """
        sizes = self.sizes.draw(past.who[rows], luck.uniform("size")[:, 0])
        place, item = self.tastes.baskets(past, rows, sizes, luck)
        number = np.arange(len(place)) - np.searchsorted(place, place)
        most = int(number.max()) + 1 if len(number) else 0
        value = self.worth(past.who[rows[place]], item, luck.uniform("value", most)[place, number])
        if slates is not None and slates.shape[1] and response != 1.0:
            whom, column, kept = self._advised(past, rows, sizes, luck, slates, place, item, response, displacement)
            more = slates[whom, column]
            extra = self.worth(past.who[rows[whom]], more, luck.uniform("value shown", slates.shape[1])[whom, column])
            place, item = np.concatenate([place[kept], whom]), np.concatenate([item[kept], more])
            value = np.concatenate([value[kept], extra])
        order = np.lexsort((item, place))
        place, item = place[order], item[order]
        return Bought(rows[place], item, value[order], _listed(slates, place, item))

    def _advised(
        self, past: Past, rows: np.ndarray, sizes: np.ndarray, luck: Luck, slates: np.ndarray, place: np.ndarray,
        item: np.ndarray, response: float, displacement: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """(place, column of the slate) of what is bought because it was shown, and which items of the baskets stay:
        what is displaced would have come last."""
        k = slates.shape[1]
        p = np.where(slates >= 0, self.tastes.chance(past, rows[:, None], np.maximum(slates, 0)), 0.0)
        gain = (response - 1.0) * p / (1.0 + displacement * (response - 1.0) * p.sum(1, keepdims=True))
        whom, column = np.nonzero(luck.uniform("shown", k) < -np.expm1(-sizes[:, None] * gain))
        catalogue = self.purchases.catalogue
        fresh = ~np.isin(whom * catalogue + slates[whom, column], place * catalogue + item)
        whom, column = whom[fresh], column[fresh]
        replaces = luck.uniform("replaced", k)[whom, column] < displacement
        room = np.bincount(place, minlength=len(rows)) - np.bincount(whom, replaces, len(rows)).astype(np.int64)
        kept = np.arange(len(place)) - np.searchsorted(place, place) < room[place]
        return whom, column, kept

    def run(
        self, days: int, *, seed: int = 0, copies: int = 1, who: np.ndarray | None = None
    ) -> tuple[Purchases, np.ndarray]:
        """Simulate without a recommender, from `now` on: what a world of the same seed does, at less cost.

        Parameters
        ----------
        copies : how often each household is simulated, each time with luck of its own. who : households; default all.

        Returns
        -------
        Purchases of rows ``copy * len(who) + place``, and bool[N]: whether a row had taken the item before.
        """
        who = np.tile(np.arange(len(self)) if who is None else np.asarray(who, np.int64), copies)
        past, last, draws = self.tastes.past(who), self.visits.last[who].copy(), Draws(seed)
        rows = np.arange(len(who))
        made: list[Bought] = []
        again, when = [], []
        for day in range(self.now, self.now + days):
            luck = draws.at(rows, day - self.now)
            gone = self.going(who, last, day, luck)
            if not len(gone):
                continue
            bought = self.buy(past, gone, luck[gone])
            again.append(past.taken(bought.row, bought.item))
            past.add(bought.row, bought.item, day)
            last[gone] = day
            made.append(bought)
            when.append(np.full(len(bought.row), day))
        columns = ([b.row for b in made], [b.item for b in made], [b.value for b in made], when, again)
        row, item, value, on, old = (np.concatenate(c) if c else np.zeros(0) for c in columns)
        order = np.lexsort((item, on, row))
        p = self.purchases
        users = p.users.take(who)
        return Purchases(
            row[order].astype(np.int64), on[order].astype(np.int64), item[order].astype(np.int64), value[order], users,
            p.items, p.groups, p.start, self.now + days,
        ), old[order].astype(bool)  # fmt: skip


def _listed(slates: np.ndarray | None, place: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Whether an item was on the slate of its place."""
    if slates is None or not slates.shape[1]:
        return np.zeros(len(place), bool)
    return np.asarray((slates[place] == item[:, None]).any(1))
