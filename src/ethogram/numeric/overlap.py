"""How much two kinds of examples overlap in a number, over everybody and inside each person.

    overlap = sum over bins of min(share of one kind, share of the other)          0: apart, 1: alike

Inside one person there are few examples, and few examples in many bins overlap little whatever they are. So the
overlap inside people is to be read beside `matched`: the same numbers of examples, drawn from everybody's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BINS = 10
LEAST = 3
"""Fewest examples of each kind that a person must have to be counted."""


class Overlaps(NamedTuple):
    """Means over the people that were counted, except `whole`, which is over all examples at once."""

    whole: float
    personal: float
    matched: float
    people: int


def overlap(one: np.ndarray, other: np.ndarray, bins: int = BINS) -> float:
    """Overlap of two samples in equally wide bins over their common range."""
    low, high = min(one.min(), other.min()), max(one.max(), other.max())
    if low == high:
        return 1.0
    shares = [np.histogram(x, bins, (low, high))[0] / len(x) for x in (one, other)]
    return float(np.minimum(*shares).sum())


def overlaps(value: np.ndarray, kind: np.ndarray, owner: np.ndarray, *, bins: int = BINS, seed: int = 0) -> Overlaps:
    """Overlap of the values of two kinds (bool[n]) over all, and inside each owner (int[n])."""
    rng, personal, matched = np.random.default_rng(seed), [], []
    two = value[~kind], value[kind]
    order = np.argsort(owner, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1):
        mine = kind[rows]
        counts = int((~mine).sum()), int(mine.sum())
        if min(counts) >= LEAST:
            personal.append(overlap(value[rows][~mine], value[rows][mine], bins))
            matched.append(overlap(rng.choice(two[0], counts[0]), rng.choice(two[1], counts[1]), bins))
    return Overlaps(overlap(*two, bins=bins), float(np.mean(personal)), float(np.mean(matched)), len(personal))
