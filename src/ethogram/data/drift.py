"""People whose interests change at known times: a generator for what has to forget.

A user is in one interest (a category) at a time. Each of the `changes` instants of change, everybody's own or the same
for all (`together`), replaces it by another. An event is, with probability `own_share`, of the category that the user
is interested in at that time, otherwise of any category by popularity; items within a category follow a power law. What
was done before the last change tells nothing of what will be done after it, but for the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError

START = int(np.datetime64("2024-01-01", "us").astype(np.int64))
DAY = 86_400_000_000


@data_set(
    "drift",
    what="generated: people whose one interest changes at known times",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Drift:
    """Events over `days` days from 2024-01-01. Items: category."""

    users: int = 1_000
    "People."
    items: int = 1_000
    "Items, spread evenly over the categories."
    categories: int = 20
    "Categories, 2 or more."
    events: tuple[int, int] = (40, 160)
    "Fewest and most events of a user, log-uniform."
    days: int = 200
    "Length of the log in days."
    changes: int = 2
    "Changes of interest of each user; 0 for interests that stay."
    together: bool = False
    "Everybody changes at the same instants."
    own_share: float = 0.8
    "Share of the events that are of the interest of the time."
    zipf: float = 1.0
    "Exponent of the power laws: categories by popularity, items within a category."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        few, most = self.events
        for wrong, text in (
            (min(self.users, self.days) < 1, "users, days: 1 or more"),
            (self.categories < 2, f"categories = {self.categories}; there must be another to change to"),
            (self.items < self.categories, f"{self.items} items leave some of {self.categories} categories empty"),
            (not 1 <= few <= most, f"events = {self.events} is not (fewest, most)"),
            (self.changes < 0, f"changes = {self.changes}; give 0 or more"),
            (not 0 <= self.own_share <= 1, f"own_share = {self.own_share} does not lie in [0, 1]"),
        ):
            if wrong:
                raise OptionError(f"drift: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def change(self) -> np.ndarray:
        """Instants of change, int64[users, changes], ascending: microseconds since 1970 UTC."""
        random = np.random.default_rng([self.seed, 0])
        drawn = random.random((1 if self.together else self.users, self.changes))
        at = START + (np.sort(drawn, axis=1) * self.days * DAY).astype(np.int64)
        return np.broadcast_to(at, (self.users, self.changes))

    @cached_property
    def interest(self) -> np.ndarray:
        """Category of each user before the first change, between changes and after the last; int64[users, changes + 1].

        Never the same twice in a row: each step adds 1 to categories - 1, modulo the number of categories.
        """
        random = np.random.default_rng([self.seed, 1])
        first = random.integers(0, self.categories, (self.users, 1))
        steps = random.integers(1, self.categories, (self.users, self.changes))
        return np.cumsum(np.concatenate([first, steps], axis=1), axis=1) % self.categories

    @cached_property
    def category(self) -> np.ndarray:
        """Category of each item, int64[items]."""
        return np.arange(self.items) % self.categories

    def read(self) -> Reading:
        random = np.random.default_rng([self.seed, 2])
        few, most = self.events
        length = np.minimum(np.exp(random.uniform(np.log(few), np.log(most + 1), self.users)).astype(np.int64), most)
        user = np.repeat(np.arange(self.users), length)
        time = START + (random.random(len(user)) * self.days * DAY).astype(np.int64)
        order = np.lexsort((time, user))
        time = time[order]
        regime = (time[:, None] >= self.change[user]).sum(axis=1)
        law = np.arange(1, self.categories + 1) ** -self.zipf
        other = random.choice(self.categories, len(user), p=law / law.sum())
        own = random.random(len(user)) < self.own_share
        category = np.where(own, self.interest[user, regime], other)
        # items of category c are c, c + categories ...; the k-th is met in proportion to 1 / k^zipf
        counts = np.bincount(self.category)
        rank = np.cumsum(np.arange(1, counts.max() + 1) ** -self.zipf)
        place = np.searchsorted(rank, random.random(len(user)) * rank[counts[category] - 1], side="right")
        item = category + self.categories * np.minimum(place, counts[category] - 1)
        events = pa.table({"user": user, "item": item, "time": pa.array(time, pa.timestamp("us", "UTC"))})
        items = pa.table({"item": np.arange(self.items), "category": self.category})
        return Reading(events, {name: name for name in events.column_names}, items)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``interests``: user, category, since and until (null where the log begins and ends).
        """
        count = self.changes + 1
        user = np.repeat(np.arange(self.users), count)
        turn = np.tile(np.arange(count), self.users)
        bounds = np.concatenate(
            [np.zeros((self.users, 1), np.int64), self.change, np.zeros((self.users, 1), np.int64)], 1
        )
        micros = pa.timestamp("us", "UTC")
        table = {
            "user": user,
            "category": self.interest.reshape(-1),
            "since": pa.array(bounds[:, :-1].reshape(-1), pa.int64(), mask=turn == 0).cast(micros),
            "until": pa.array(bounds[:, 1:].reshape(-1), pa.int64(), mask=turn == count - 1).cast(micros),
        }
        return {"interests": pa.table(table)}
