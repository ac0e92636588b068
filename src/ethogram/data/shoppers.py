"""Shoppers who put the same columns together by different rules: a generator with known truth.

Items have a category and four numbers, price, quality, novelty and fame, each drawn from Normal(0, 1) on its own. Each
person is of one type, and a type is a rule of interaction:

    bargain    z = -price * quality          cheap and good, or dear and bad enough to show off
    trendy     z = novelty * fame
    loyal      z = price * fame
    curious    z = -novelty * quality

What a person took in the past was chosen among a few items of a category by exp(clarity * z), so behaviour tells the
type; the share `newcomers` of the people has a handful of events only. Then each searches (a category, column `query`)
and is shown items of that category, clicking with p = sigmoid(base + effect * z). No column alone, and no rule that is
the same for everybody, tells clicks: of all types together the rules nearly cancel.
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
BEHAVIOUR_DAYS, SLATE_DAYS = 240, 120
NUMBERS = ("price", "quality", "novelty", "fame")
TYPES = {
    "bargain": (-1.0, "price", "quality"),
    "trendy": (1.0, "novelty", "fame"),
    "loyal": (1.0, "price", "fame"),
    "curious": (-1.0, "novelty", "quality"),
}
"""Type -> sign and the two columns whose product its people go by."""


@data_set(
    "shoppers",
    what="generated: searches of people whose rule of choice differs by type, many of them newcomers",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Shoppers:
    """Behaviour in the first 240 days from 2024-01-01, searches in the 120 days after.

    Kinds of events: ``take`` (behaviour) and ``slate`` (shown, with its `query`; label = clicked). Items: category,
    price, quality, novelty, fame. Users are numbered 0 ...; the newcomers come last.
    """

    users: int = 1_500
    "People, of the four types in turn."
    items: int = 1_000
    "Items."
    categories: int = 10
    "Categories, each searched for as often."
    newcomers: float = 0.3
    "Share of the people who have few past events."
    few: tuple[int, int] = (1, 3)
    "Fewest and most past events of a newcomer."
    many: tuple[int, int] = (10, 40)
    "Fewest and most past events of the others."
    among: int = 8
    "Items of a category that each past event chose from."
    clarity: float = 1.5
    "How strictly past events follow the type's rule; 0 for not at all."
    slates: int = 12
    "Searches of each person."
    candidates: int = 10
    "Items drawn for each slate; one that is drawn twice is shown once."
    effect: float = 1.5
    "Log odds of a click that one standard deviation of the rule adds; 0 for no effect."
    base: float = -1.0
    "Log odds of a click where the rule says nothing."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        for wrong, text in (
            (
                min(self.users, self.categories, self.among, self.slates, self.candidates) < 1,
                "users, categories, among, slates, candidates: 1 or more",
            ),
            (self.items < self.categories, f"{self.items} items leave some of {self.categories} categories empty"),
            (not 0 <= self.newcomers <= 1, f"newcomers = {self.newcomers} does not lie in [0, 1]"),
            (not 0 <= self.few[0] <= self.few[1], f"few = {self.few} is not (fewest, most)"),
            (not 0 <= self.many[0] <= self.many[1], f"many = {self.many} is not (fewest, most)"),
        ):
            if wrong:
                raise OptionError(f"shoppers: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    def _random(self, part: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, part])

    @property
    def established(self) -> int:
        """Number of people who are no newcomers: users 0 ... established - 1."""
        return self.users - round(self.newcomers * self.users)

    @cached_property
    def number(self) -> dict[str, np.ndarray]:
        """The numbers of each item, float64[items] by name."""
        return dict(zip(NUMBERS, self._random(0).standard_normal((len(NUMBERS), self.items)), strict=True))

    @cached_property
    def category(self) -> np.ndarray:
        """Category of each item, int64[items]."""
        return np.arange(self.items) % self.categories

    @cached_property
    def type(self) -> np.ndarray:
        """Type of each person, number in `TYPES`, int64[users]."""
        return np.arange(self.users) % len(TYPES)

    @cached_property
    def rule(self) -> np.ndarray:
        """z of each type for each item, float64[types, items]; variance about 1."""
        return np.stack([sign * self.number[a] * self.number[b] for sign, a, b in TYPES.values()])

    def _items_of(self, category: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """An item of each category, uniformly."""
        count = np.bincount(self.category)[category]
        return category + self.categories * (uniform * count).astype(np.int64)

    @cached_property
    def past(self) -> dict[str, np.ndarray]:
        """Behaviour: user, item, time (microseconds)."""
        random, n = self._random(1), self.established
        length = np.concatenate(
            [
                random.integers(self.many[0], self.many[1] + 1, n),
                random.integers(self.few[0], self.few[1] + 1, self.users - n),
            ]
        )
        user = np.repeat(np.arange(self.users), length)
        category = random.integers(0, self.categories, len(user))
        choice = self._items_of(category[:, None], random.random((len(user), self.among)))
        wish = self.clarity * self.rule[self.type[user][:, None], choice] + random.gumbel(size=choice.shape)
        item = choice[np.arange(len(user)), wish.argmax(1)]
        time = START + (random.random(len(user)) * BEHAVIOUR_DAYS * DAY).astype(np.int64)
        return {"user": user, "item": item, "time": time}

    @cached_property
    def shown(self) -> dict[str, np.ndarray]:
        """Slates: user, slate, query, item, time, probability, label (1.0 for a click)."""
        random, o = self._random(2), self
        moment = np.sort(random.random((o.users, o.slates)), axis=1).ravel()
        time = START + ((BEHAVIOUR_DAYS + moment * SLATE_DAYS) * DAY).astype(np.int64)
        query = random.integers(0, o.categories, o.users * o.slates)
        slate = np.repeat(np.arange(o.users * o.slates), o.candidates)
        item = self._items_of(query[slate], random.random(len(slate)))
        slate, item = np.divmod(np.unique(slate * o.items + item), o.items)
        user = slate // o.slates
        probability = 1 / (1 + np.exp(-(o.base + o.effect * self.rule[self.type[user], item])))
        label = (random.random(len(user)) < probability).astype(np.float32)
        return {
            "user": user, "slate": slate, "query": query[slate], "item": item, "time": time[slate],
            "probability": probability, "label": label,
        }  # fmt: skip

    def read(self) -> Reading:
        past, shown = self.past, self.shown
        n, m = len(past["user"]), len(shown["user"])
        is_past = np.repeat([True, False], [n, m])
        names = [f"c{c:02d}" for c in range(self.categories)]
        kind = pa.DictionaryArray.from_arrays(np.repeat(np.array([0, 1], np.int8), [n, m]), ["take", "slate"])
        query = pa.array(np.concatenate([np.zeros(n, np.int32), shown["query"]]).astype(np.int32), mask=is_past)

        def only_shown(name: str, kind: type) -> pa.Array:
            return pa.array(np.concatenate([np.zeros(n, kind), shown[name]]), mask=is_past)

        time = np.concatenate([past["time"], shown["time"]])
        events = pa.table(
            {
                "user": np.concatenate([past["user"], shown["user"]]),
                "item": np.concatenate([past["item"], shown["item"]]),
                "time": pa.array(time, pa.timestamp("us", "UTC")),
                "kind": kind,
                "slate": only_shown("slate", np.int64),
                "label": only_shown("label", np.float32),
                "query": pa.DictionaryArray.from_arrays(query, names),
            }
        )
        items = pa.table({"item": np.arange(self.items), "category": np.array(names)[self.category], **self.number})
        return Reading(events, {name: name for name in events.column_names if name != "query"}, items)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``types``: user, type, newcomer. ``exposures``: user, slate, query, item, time, probability, label.
        """
        name = np.array(list(TYPES))[self.type]
        user = np.arange(self.users)
        exposures = {**self.shown, "time": pa.array(self.shown["time"], pa.timestamp("us", "UTC"))}
        return {
            "types": pa.table({"user": user, "type": name, "newcomer": user >= self.established}),
            "exposures": pa.table(exposures),
        }
