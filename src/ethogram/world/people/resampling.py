"""The floor of every simulator of people: each does again what it did before.

A week to come is one of the household's own weeks of the last `weeks`, drawn with replacement, with all its baskets
(and the empty ones). Nothing is ever bought for the first time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethogram.world.people.purchases import Purchases

WINDOWS = (8, 13, 26, 10_000)
"""Weeks that may be drawn from; the choice is made on validation."""


@dataclass(frozen=True)
class Weeks:
    """Sums by household and week.

    Attributes
    ----------
    items, value : float64[..., U, W], how many different items a day, and what was paid.
    group : float64[..., U, W, G], items by the coarsest group. fresh : float64[..., U, W], items that the household
        had never taken before.
    """

    items: np.ndarray
    value: np.ndarray
    group: np.ndarray
    fresh: np.ndarray


def weekly(bought: Purchases, rows: int, first: int, weeks: int, fresh: np.ndarray, copies: int = 1) -> Weeks:
    """Sums of weeks that begin on day `first`; rows ``copy * U + u`` become [copies, U, ...] where there are copies."""
    week = (bought.day - first) // 7
    inside = (week >= 0) & (week < weeks)
    at = bought.user[inside] * weeks + week[inside]
    group = next(iter(bought.groups.values()), np.zeros(bought.catalogue, np.int64))
    m = int(group.max()) + 1
    shape = (copies, rows // copies, weeks) if copies > 1 else (rows, weeks)

    def total(weight: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(at, weight, rows * weeks).astype(np.float64).reshape(shape)

    by = np.bincount(at * m + group[bought.item[inside]], minlength=rows * weeks * m).astype(np.float32)
    return Weeks(
        total(), total(np.nan_to_num(bought.value[inside])), by.reshape(*shape, m), total(fresh[inside].astype(float))
    )


def resampled(past: Purchases, weeks: int, window: int, copies: int, seed: int) -> Weeks:
    """`weeks` weeks of each household drawn `copies` times from its last `window` weeks before the end of `past`."""
    known = min(window, past.days // 7)
    history = weekly(past, past.households, past.days - 7 * known, known, np.zeros(len(past), bool))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, known, (copies, past.households, weeks))
    who = np.arange(past.households)[None, :, None]
    return Weeks(history.items[who, drawn], history.value[who, drawn], history.group[who, drawn], np.zeros(drawn.shape))
