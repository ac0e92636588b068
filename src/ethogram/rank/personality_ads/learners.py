"""What is expected of a person about an advert: the learners behind one face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.log import Batch
from ethogram.numeric import varying
from ethogram.rank.personality_ads.design import Design
from ethogram.rank.personality_ads.svm import Machine

Expects = varying.Varying | Machine


@dataclass(frozen=True, eq=False)
class People:
    """Columns float64[n, p] of whoever asks, and whether each category is a favourite, float64[n, categories + 1]."""

    columns: np.ndarray
    favourites: np.ndarray

    def take(self, place: np.ndarray) -> People:
        """Some of them."""
        return People(self.columns[place], self.favourites[place])


@dataclass(frozen=True, eq=False)
class Rows:
    """Pairs of a person and an advert: codes of -1 are unknown."""

    who: People
    person: np.ndarray
    category: np.ndarray
    codes: tuple[np.ndarray, ...]
    categories: int

    @property
    def extra(self) -> np.ndarray:
        """Whether the advert is of a favourite category, float64[N]."""
        return self.who.favourites[self.person, self.category]

    def flat(self) -> np.ndarray:
        """One vector per pair, for kernels: columns of the person, the category as 0 or 1 each, the favourite."""
        kinds = np.eye(self.categories + 1)[self.category]
        return np.column_stack([self.who.columns[self.person], kinds, self.extra])


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Category and effect codes by row of a batch's items."""

    category: np.ndarray
    codes: tuple[np.ndarray, ...]
    categories: int

    @classmethod
    def of(cls, design: Design, batch: Batch) -> Catalogue:
        """Of the items of a batch."""
        return cls(design.category(batch), design.codes(batch), design.categories)

    def rows(self, who: People, person: np.ndarray, item: np.ndarray) -> Rows:
        """Pairs; `item` are rows of the batch's items."""
        return Rows(who, person, self.category[item], tuple(c[item] for c in self.codes), self.categories)


def expected(model: Expects, rows: Rows) -> np.ndarray:
    """Rating, or logit of a click, of each pair, float64[N]."""
    if isinstance(model, varying.Varying):
        return model.predict(rows.who.columns, rows.person, rows.category, rows.codes, rows.extra)
    return model.predict(rows.flat())


def learned(
    options: Any, design: Design, rows: Rows, target: np.ndarray, weight: np.ndarray | None, seed: int
) -> Expects:
    """Fit a learner.

    Parameters
    ----------
    weight : float64[N] for clicks; None for ratings.
    """
    if options.learner == "svm":
        rng = np.random.default_rng(seed)
        some = np.sort(rng.permutation(len(target))[: options.max_rows])
        x, y = rows.flat()[some], target[some]
        if weight is None:
            return Machine.ratings(x, y, options.cost)
        return Machine.answers(x, y, options.cost, rows.person[some])
    sizes = tuple(size + 1 for size in design.sizes())  # the last is of values that are missing
    ones = np.ones(len(target)) if weight is None else weight
    given = varying.Rows(
        rows.who.columns, rows.person, np.where(rows.category < 0, rows.categories, rows.category),
        tuple(np.where(code < 0, size - 1, code) for code, size in zip(rows.codes, sizes, strict=True)),
        rows.extra, target, ones, rows.categories + 1, sizes,
    )  # fmt: skip
    scale = 1.0 if weight is None else 0.25  # a logit's curvature: the same number of answers' worth
    return varying.fit(
        given, "number" if weight is None else "answer", (options.shrink * scale,) * len(sizes), seed=seed
    )


def restored(name: str, arrays: Mapping[str, np.ndarray]) -> Expects:
    """A learner from its arrays."""
    made: Expects
    if f"{name}.vectors" in arrays:
        made = Machine.restored(name, arrays)
    else:
        made = varying.Varying.restored(name, arrays)
    return made
