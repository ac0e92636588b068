"""Feeds whose worth is known and is more than that of their items: relevance, tiredness of a topic, and variety.

A person watches item j of a feed for

    v_j = relevance(u, j) * tired^(earlier items of its topic) + bonus * [its topic is new to the feed, j > 0]

with relevance = sigmoid(2 (taste_u . e_j - 1)), so that the best feed is not the five best items. Feeds were chosen by
a policy that draws items by exp(`sharpness` * relevance), none twice, blind to the feed as a whole; what is logged is
v_j with noise. Feeds of a person are days apart, items of a feed a minute.
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
DAY, MINUTE = 86_400_000_000, 60_000_000
WIDTH = 8


@data_set(
    "feeds",
    what="generated: feeds of items with how long each was watched; a feed's worth is more than its items'",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Feeds:
    """Events: user, item, time, value (time watched). Items: topic."""

    users: int = 600
    "People."
    items: int = 400
    "Items, spread evenly over the topics."
    topics: int = 16
    "Topics."
    feeds: int = 20
    "Feeds of each person."
    size: int = 5
    "Items of a feed."
    sharpness: float = 4.0
    "How strictly the logging policy goes by relevance."
    tired: float = 0.4
    "Factor by which each earlier item of a topic makes the next less worth."
    bonus: float = 0.25
    "Worth of a topic that is new to the feed."
    noise: float = 0.1
    "Standard deviation of what is logged."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        for wrong, text in (
            (min(self.users, self.topics, self.feeds, self.size) < 1, "users, topics, feeds, size: 1 or more"),
            (self.items < max(self.topics, self.size), f"{self.items} items are fewer than topics or a feed"),
            (not 0 <= self.tired <= 1, f"tired = {self.tired} does not lie in [0, 1]"),
            (min(self.noise, self.bonus) < 0, "noise, bonus: 0 or more"),
        ):
            if wrong:
                raise OptionError(f"feeds: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def topic(self) -> np.ndarray:
        """Topic of each item, int64[items]."""
        return np.arange(self.items) % self.topics

    @cached_property
    def relevance(self) -> np.ndarray:
        """Of each item to each person, float64[users, items], in (0, 1)."""
        rng = np.random.default_rng([self.seed, 0])
        centre = rng.standard_normal((self.topics, WIDTH))
        vector = centre[self.topic] + 0.5 * rng.standard_normal((self.items, WIDTH))
        vector /= np.linalg.norm(vector, axis=1, keepdims=True)
        liked = rng.random((self.users, self.topics)).argsort(1)[:, :3]
        taste = centre[liked].sum(1) + 0.3 * rng.standard_normal((self.users, WIDTH))
        taste *= 2 / np.linalg.norm(taste, axis=1, keepdims=True)
        return np.asarray(1 / (1 + np.exp(-2 * (taste @ vector.T - 1))))

    def worth(self, user: np.ndarray, feed: np.ndarray) -> np.ndarray:
        """v of each item of feeds int[n, m] for these users, float64[n, m]; -1 in a feed is no item and worth nothing.

        The true utility of a feed is the sum of its row.
        """
        topic = np.where(feed >= 0, self.topic[feed], -1 - np.arange(feed.shape[1]))
        same = np.tril(topic[:, :, None] == topic[:, None, :], -1).sum(2)
        relevant = np.where(feed >= 0, self.relevance[user[:, None], feed], 0.0)
        fresh = (same == 0) & (feed >= 0) & (np.arange(feed.shape[1]) > 0)
        return np.asarray(relevant * self.tired**same + self.bonus * fresh)

    @cached_property
    def shown(self) -> dict[str, np.ndarray]:
        """Feeds: user [f], feed [f, size], time [f], value [f, size]."""
        rng = np.random.default_rng([self.seed, 1])
        user = np.repeat(np.arange(self.users), self.feeds)
        feed = np.empty((len(user), self.size), np.int64)
        for at in range(0, len(user), 4_096):
            wish = self.sharpness * self.relevance[user[at : at + 4_096]]
            wish += rng.gumbel(size=wish.shape)
            feed[at : at + 4_096] = np.argsort(-wish, axis=1, kind="stable")[:, : self.size]
        day = np.tile(np.arange(self.feeds), self.users) + rng.random(len(user)) * 0.5
        value = np.maximum(self.worth(user, feed) + self.noise * rng.standard_normal(feed.shape), 0)
        return {"user": user, "feed": feed, "time": START + (day * DAY).astype(np.int64), "value": value}

    def read(self) -> Reading:
        made = self.shown
        time = made["time"][:, None] + np.arange(self.size) * MINUTE
        events = pa.table(
            {
                "user": np.repeat(made["user"], self.size),
                "item": made["feed"].ravel(),
                "time": pa.array(time.ravel(), pa.timestamp("us", "UTC")),
                "value": made["value"].ravel().astype(np.float32),
            }
        )
        items = pa.table({"item": np.arange(self.items), "topic": self.topic})
        return Reading(events, {name: name for name in events.column_names}, items)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``relevance``: user, item, relevance. `Feeds.worth` gives the worth of any feed.
        """
        user, item = np.divmod(np.arange(self.users * self.items), self.items)
        return {"relevance": pa.table({"user": user, "item": item, "relevance": self.relevance.ravel()})}
