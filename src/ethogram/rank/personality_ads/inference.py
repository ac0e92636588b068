"""Traits guessed from pictures and from what a person rated high: what a platform could know of people unasked.

    x_u = [pictures of u ; mean residual of u in each category]      trait = ridge regression on x_u

with the penalty of least error on people left out; `r2` is what is explained of them. It is here so that the risk can
be measured, and is off unless it is switched on (`infer`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from ethogram.data.big_five import TRAITS
from ethogram.errors import OptionError
from ethogram.log import Batch, Histories
from ethogram.rank.personality_ads.design import DISLIKED, LIKED, Design

if TYPE_CHECKING:
    from ethogram.rank.personality_ads.fitted import Fitted

GRID = tuple(10.0**e for e in range(-1, 6))
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Ridge:
    """Weights float64[d, traits], constants, means of x, r2 on people left out, for each of `places` in TRAITS."""

    weights: np.ndarray
    constant: np.ndarray
    centre: np.ndarray
    r2: np.ndarray
    places: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """For a system's State."""
        return {f"infer.{n}": getattr(self, n) for n in self.__dataclass_fields__}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Self | None:
        """The inverse of `arrays`; None where nothing was learned."""
        if "infer.weights" not in arrays:
            return None
        return cls(**{n: np.asarray(arrays[f"infer.{n}"]) for n in cls.__dataclass_fields__})


def means(residual: np.ndarray, person: np.ndarray, category: np.ndarray, people: int, categories: int) -> np.ndarray:
    """Mean residual of each person in each category, drawn to 0 by an answer's worth, float64[people, categories]."""
    known = category >= 0
    cell = person[known] * categories + category[known]
    n = np.bincount(cell, minlength=people * categories)
    total = np.bincount(cell, residual[known], people * categories)
    return np.asarray((total / (n + 1.0)).reshape(people, categories))


def fit(design: Design, batch: Batch, rated: np.ndarray, seed: int) -> Ridge:
    """Learn from people whose traits are known.

    Raises
    ------
    OptionError
        The log has no column of a trait: there is nothing to learn from.
    """
    places = [j for j, n in enumerate(TRAITS) if n in batch.users]
    if not places:
        raise OptionError(
            "personality_ads: infer = true needs people whose traits are known; the log has no such column."
        )
    of = {c.name: c for c in design.features.of("user")}
    y = np.column_stack([batch.users[TRAITS[j]] * of[TRAITS[j]].deviation + of[TRAITS[j]].mean for j in places])
    x = np.column_stack([_pictures(batch), rated])
    fold = np.random.default_rng(seed).permutation(len(x)) % FOLDS
    best, kept = np.full(len(places), np.inf), np.zeros(len(places))
    for penalty in GRID:
        lost = np.zeros(len(places))
        for k in range(FOLDS):
            held = fold == k
            weights, constant, centre = _solve(x[~held], y[~held], np.full(len(places), penalty))
            lost += ((y[held] - constant - (x[held] - centre) @ weights) ** 2).sum(0)
        kept, best = np.where(lost < best, penalty, kept), np.minimum(lost, best)
    weights, constant, centre = _solve(x, y, kept)
    return Ridge(weights, constant, centre, 1 - best / ((y - y.mean(0)) ** 2).sum(0), np.array(places))


def inferred(fitted: Fitted, histories: Histories, purpose: str) -> pa.Table:
    """The table of `infer_traits`."""
    from ethogram.rank.personality_ads.learners import Catalogue, People

    design, ridge = fitted.design, fitted.traits
    assert ridge is not None
    batch = design.features.encode(histories)
    who, catalogue = People(design.people(batch), design.favourites(batch)), Catalogue.of(design, batch)
    left = fitted.residuals(histories, who, catalogue)
    rows, offsets = histories.flat()
    person = np.repeat(np.arange(len(histories)), np.diff(offsets))
    there = ~np.isnan(left[rows])
    past = catalogue.category[np.asarray(histories.item)[rows] + 1]
    rated = means(left[rows][there], person[there], past[there], len(histories), design.categories)
    said = ridge.constant + (np.column_stack([_pictures(batch), rated]) - ridge.centre) @ ridge.weights
    n, width = said.shape
    users = histories.vocabularies["user"].decode(np.repeat(histories.users, width))
    return pa.table(
        {
            "question": np.repeat(np.arange(n), width),
            "user": users,
            "trait": np.tile(np.array(TRAITS)[ridge.places], n),
            "estimate": said.ravel(),
            "r2": np.tile(ridge.r2, n),
            "purpose": [purpose] * (n * width),
        }
    )


def _pictures(batch: Batch) -> np.ndarray:
    names = sorted(n for n in batch.users if n.startswith((LIKED, DISLIKED)) and batch.user_tables.get(n) is None)
    return np.column_stack([batch.users[n] for n in names]) if names else np.zeros((len(batch), 0))


def _solve(x: np.ndarray, y: np.ndarray, penalty: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    centre, constant = x.mean(0), y.mean(0)
    u, s, v = np.linalg.svd(x - centre, full_matrices=False)
    told = u.T @ (y - constant)
    return v.T @ (told * (s[:, None] / (s[:, None] ** 2 + penalty))), constant, centre
