"""The generator's world, part by part, each with random numbers of its own: changing one leaves the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ethogram.data.interests import Interests

START = int(np.datetime64("2024-01-01", "us").astype(np.int64))
DAY = 86_400_000_000
BEHAVIOUR_DAYS, SLATE_DAYS = 240, 120


@dataclass(frozen=True)
class World:
    """Catalogue, people, what they did and what they were shown."""

    o: Interests

    def _random(self, part: int) -> np.random.Generator:
        return np.random.default_rng([self.o.seed, part])

    @cached_property
    def popularity(self) -> np.ndarray:
        """Share of each category in what everybody looks at, float64[categories]; a power law in random order."""
        law = np.arange(1, self.o.categories + 1) ** -self.o.zipf
        return self._random(0).permutation(law / law.sum())

    @cached_property
    def category(self) -> np.ndarray:
        """Category of each item, int64[items]; each has one item at least, popular ones have more."""
        random = self._random(1)
        sizes = 1 + random.multinomial(self.o.items - self.o.categories, self.popularity)
        return random.permutation(np.repeat(np.arange(self.o.categories), sizes))

    @cached_property
    def appeal(self) -> np.ndarray:
        """q_i in log odds, float64[items]."""
        return self.o.quality * self._random(2).standard_normal(self.o.items)

    @cached_property
    def chosen(self) -> np.ndarray:
        """Interests of each user, int64[users, most]: categories of different pairs, -1 behind the last.

        Drawn by the root of popularity: what people like differs more than what they look at.
        """
        random, (few, most) = self._random(3), self.o.interests
        appeal = np.log(self._taste) + random.gumbel(size=(self.o.users, self.o.categories // 2))
        pair = np.argsort(-appeal, axis=1)[:, :most]
        own = 2 * pair + random.integers(0, 2, pair.shape)
        count = random.integers(few, most + 1, self.o.users)
        return np.where(np.arange(most) < count[:, None], own, -1)

    @cached_property
    def strength(self) -> np.ndarray:
        """s_uc of each interest, uniform in [0.5, 1.5], 0 where there is none; float64[users, most]."""
        return np.where(self.chosen >= 0, self._random(4).uniform(0.5, 1.5, self.chosen.shape), 0.0)

    @cached_property
    def past(self) -> dict[str, np.ndarray]:
        """Behaviour, by user and time: user, item, time (microseconds), own (drawn from an interest)."""
        random, o = self._random(5), self.o
        short, long = o.length
        length = np.exp(random.uniform(np.log(short), np.log(long + 1), o.users)).astype(np.int64)
        length = np.minimum(length, long)  # exp(log(long + 1)) may round up
        user = np.repeat(np.arange(o.users), length)
        n = len(user)
        left = np.repeat(np.cumsum(length), length) - np.arange(n)
        own = (left > o.recent) & (random.random(n) < o.old_share)
        share = np.cumsum(self.strength, axis=1)
        pick = (random.random(n) * share[user, -1])[:, None] >= share[user]
        category = self.chosen[user, pick.sum(axis=1)]
        category = np.where(own, category, random.choice(o.categories, n, p=self.popularity))
        return {
            "user": user,
            "item": self._item(category, random.random(n)),
            "time": START + (_sorted(random.random(n), user) * BEHAVIOUR_DAYS * DAY).astype(np.int64),
            "own": own,
        }

    @cached_property
    def shown(self) -> dict[str, np.ndarray]:
        """Slates, by user, time and item: user, slate, item, time, probability, label (1.0 for a click)."""
        random, o = self._random(6), self.o
        slate = np.arange(o.users * o.slates)
        moment = _sorted(random.random(len(slate)), slate // o.slates)
        time = START + ((BEHAVIOUR_DAYS + moment * SLATE_DAYS) * DAY).astype(np.int64)
        slate = np.repeat(slate, o.candidates)
        n, user = len(slate), slate // o.slates
        count = (self.chosen >= 0).sum(axis=1)
        own = self.chosen[user, random.integers(0, count[user])]
        if o.complement:
            own = np.where(random.random(n) < 0.5, own, own ^ 1)
        # the others are drawn as interests are, so that a category alone does not tell whose candidate it is
        other = 2 * random.choice(len(self._taste), n, p=self._taste) + random.integers(0, 2, n)
        category = np.where(random.random(n) < o.own_share, own, other)
        item = self._item(category, random.random(n))
        _, first = np.unique(slate * o.items + item, return_index=True)
        slate, user, item = slate[first], user[first], item[first]
        logit = o.base + o.effect * self.affinity(user, self.category[item]) + self.appeal[item]
        probability = 1 / (1 + np.exp(-logit))
        return {
            "user": user,
            "slate": slate,
            "item": item,
            "time": time[slate],
            "probability": probability,
            "label": (random.random(len(first)) < probability).astype(np.float32),
        }

    def affinity(self, user: np.ndarray, category: np.ndarray) -> np.ndarray:
        """a_uc, float64[n], of users and categories beside each other."""
        chosen, strength = self.chosen[user], self.strength[user]
        category = category[:, None]
        return ((chosen == category) * strength + self.o.complement * (chosen == category ^ 1) * strength).sum(axis=1)

    @cached_property
    def _taste(self) -> np.ndarray:
        """Share of each pair of categories among interests, float64[categories / 2]."""
        root = np.sqrt(self.popularity.reshape(-1, 2).sum(axis=1))
        return root / root.sum()

    @cached_property
    def _shelves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(items by category, first place of each category, category + share of the items up to a place)."""
        order = np.argsort(self.category, kind="stable")
        first = np.searchsorted(self.category[order], np.arange(self.o.categories + 1))
        weight = (np.arange(self.o.items) - first[self.category[order]] + 1.0) ** -self.o.zipf
        before = np.concatenate([[0], np.cumsum(weight)])
        within = before[1:] - before[first[self.category[order]]]
        total = before[first[1:]] - before[first[:-1]]
        return order, first, self.category[order] + within / total[self.category[order]]

    def _item(self, category: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """An item of each category, by a power law within it."""
        order, first, shelf = self._shelves
        place = np.searchsorted(shelf, category + uniform, side="right")
        return order[np.clip(place, first[category], first[category + 1] - 1)]


def _sorted(uniform: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Each (ascending) group's numbers in [0, 1) in ascending order."""
    return uniform[np.lexsort((uniform, group))]
