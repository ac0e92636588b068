"""Which columns of a log the model reads as what, and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ethogram.data.big_five import TRAITS
from ethogram.errors import OptionError, nearest
from ethogram.log import Batch, Features

LIKED, DISLIKED, PREFERS = "liked_", "disliked_", "prefers_"
"""Beginnings of the columns of people: picture vectors of each polarity, stated favourites by value of the category."""
SIZE = (2, 1_000)
"""Number of values of an item column through which people may differ."""


@dataclass(frozen=True)
class Design:
    """Names of columns by their part.

    Attributes
    ----------
    by : item column through which people differ, or None. effects : other categorical item columns, `item` last.
    traits, pictures, facts : columns of people. stated : whether favourites are stated by value of `by`.
    """

    features: Features
    by: str | None
    effects: tuple[str, ...]
    traits: tuple[str, ...]
    pictures: tuple[str, ...]
    facts: tuple[str, ...]
    stated: bool

    @classmethod
    def of(
        cls,
        features: Features,
        *,
        by: str | None,
        adverts: bool,
        traits: str,
        pictures: bool,
        facts: bool,
        stated: bool,
    ) -> Design:
        """Choose columns as the options of the system say.

        Raises
        ------
        OptionError
            `by` is no categorical column of the items; traits are asked for that the log does not have.
        """
        sizes = features.tables
        known = {
            c.name: sizes[c.table] - 2 for c in features.of("item") if c.type == "categorical" and c.name != "item"
        }
        if by is not None and by not in known:
            told = f"{nearest(by, known)} Columns: {', '.join(known) or 'none'}."
            raise OptionError(f"personality_ads: by = '{by}' is no column of the items with categories.{told}")
        usable = [n for n, size in known.items() if SIZE[0] <= size <= SIZE[1]]
        chosen = by or ("category" if "category" in usable else next(iter(usable), None))
        people = {c.name: c.type for c in features.of("user") if c.type in ("numeric", "categorical")}
        own = [n for n in TRAITS if n in people]
        if traits == "given" and len(own) < len(TRAITS):
            lacking = [n for n in TRAITS if n not in people]
            near = nearest(lacking[0], people)
            raise OptionError(f"personality_ads: the table of people has no column {', '.join(lacking)}.{near}")
        seen = [n for n in people if n.startswith((LIKED, DISLIKED)) and people[n] == "numeric"]
        favoured = [n for n in people if n.startswith(PREFERS)]
        values = [] if chosen is None else cls._values(features, chosen)
        match = stated and any(f"{PREFERS}{v}" in people for v in values)
        rest = [n for n in people if n not in TRAITS and n not in seen and n not in favoured] if facts else []
        effects = [n for n in known if n != chosen and known[n] <= SIZE[1]] + (["item"] if adverts else [])
        if chosen is not None:
            effects = [chosen, *effects]
        shown = tuple(seen) if pictures else ()
        return cls(features, chosen, tuple(effects), tuple(own) if traits != "none" else (), shown, tuple(rest), match)

    @staticmethod
    def _values(features: Features, name: str) -> list[Any]:
        column = next(c for c in features.of("item") if c.name == name)
        known = features.vocabularies.get(column.table)
        return [] if known is None else [str(v) for v in known.ids.to_pylist()]

    @cached_property
    def values(self) -> list[Any]:
        """Values of the column `by`, in the order of their codes."""
        return [] if self.by is None else self._values(self.features, self.by)

    @property
    def categories(self) -> int:
        """Number of categories, 1 where the items have none."""
        return max(len(self.values), 1)

    def only(self, mean: str) -> Design:
        """The design of a mean: of its own effect alone (global and user have none)."""
        kept = {"item": ("item",), "category": () if self.by is None else (self.by,)}.get(mean, ())
        return replace(self, effects=kept)

    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each effect."""
        tables, of = self.features.tables, {c.name: c.table for c in self.features.of("item")}
        return tuple(tables[of[n]] - 2 for n in self.effects)

    def category(self, batch: Batch) -> np.ndarray:
        """Category of each row of the batch's items, int64[V + 1], -1 where unknown; 0 where the items have none."""
        if self.by is None:
            return np.zeros(len(batch.items["item"].values), np.int64)
        return np.maximum(batch.items[self.by].values.astype(np.int64) - 2, -1)

    def codes(self, batch: Batch) -> tuple[np.ndarray, ...]:
        """Code of each row of the batch's items in each effect, -1 where unknown."""
        return tuple(np.maximum(batch.items[n].values.astype(np.int64) - 2, -1) for n in self.effects)

    def people(self, batch: Batch, order: np.ndarray | None = None) -> np.ndarray:
        """Columns of whoever asks, float64[n, p]; `order` gives people each other's traits."""
        made = [self._one(batch, n) for n in self.traits]
        if order is not None:
            made = [one[order] for one in made]
        made += [self._one(batch, n) for n in (*self.pictures, *self.facts)]
        return np.concatenate(made, 1) if made else np.zeros((len(batch), 0))

    def favourites(self, batch: Batch) -> np.ndarray:
        """Whether each category is a stated favourite, float64[n, categories + 1]; the last column is of none."""
        out = np.zeros((len(batch), self.categories + 1))
        if self.stated:
            of = {c.name: c for c in self.features.of("user")}
            for j, value in enumerate(self.values):
                if (name := f"{PREFERS}{value}") in batch.users:
                    raw = batch.users[name].astype(np.float64)
                    column = of[name]
                    scaled = column.type == "numeric"
                    out[:, j] = raw * column.deviation + column.mean if scaled else raw > 2  # 0/1: the second value
        return out

    def _one(self, batch: Batch, name: str) -> np.ndarray:
        """Numbers of one column of people, [n, width]; a category is a 0 or 1 for each of its values."""
        values = batch.users[name]
        table = batch.user_tables.get(name)
        if table is None:
            return values.astype(np.float64)[:, None]
        size = self.features.tables[table] - 2
        return (values[:, None] == 2 + np.arange(size)).astype(np.float64)

    def names(self) -> Sequence[str]:
        """Names of the columns of people that are read, favourites aside."""
        return (*self.traits, *self.pictures, *self.facts)
