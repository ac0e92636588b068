"""A log whose true probabilities are known, with sampled and weighted negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ethogram.log import Log, Questions
from ethogram.numeric.balance import sigmoid

CATEGORIES, ITEMS, SHOWN, KEEP = 6, 48, 16, 0.25
DAY = 86_400


@dataclass(frozen=True)
class Known:
    """`log` with sampled negatives, and the log-odds by (item, item is of the person's category)."""

    log: Log
    odds: np.ndarray
    taste: dict[str, int]

    def truth(self, asked: Questions) -> np.ndarray:
        """True probability of each candidate, from its ids alone."""
        codes, offsets = asked.candidates.flat(len(asked))
        item = np.array([int(i[1:]) for i in asked.candidates.vocabulary.decode(codes).to_pylist()])
        user = asked.histories.vocabularies["user"].decode(asked.histories.users).to_pylist()
        own = np.repeat([self.taste[u] for u in user], np.diff(offsets))
        return sigmoid(self.odds[item] + 2.0 * (item % CATEGORIES == own))


def known_rates(people: int = 400, slates: int = 6, early: int = 12, seed: int = 0) -> Known:
    """People buy `early` items, mostly of one category; slates of 16 items follow, taken by the known rates.

    Of what is not taken, a quarter is kept with weight 4, so that weighted sums are those of the full task.
    """
    rng = np.random.default_rng(seed)
    odds = rng.normal(-3.0, 0.8, ITEMS)
    rows: dict[str, list[object]] = {n: [] for n in ("user", "item", "time", "label", "weight", "slate", "place")}

    def add(*values: object) -> None:
        for name, value in zip(rows, values, strict=True):
            rows[name].append(value)

    taste = {}
    for u in range(people):
        own = taste[f"u{u}"] = int(rng.integers(CATEGORIES))
        for j in range(early):
            category = own if rng.random() < 0.7 else int(rng.integers(CATEGORIES))
            item = category + CATEGORIES * int(rng.integers(ITEMS // CATEGORIES))
            add(f"u{u}", f"i{item:02}", (1 + j) * DAY + u, None, None, None, None)
        for s in range(slates):
            when, place = (20 + s) * DAY + u, "ab"[int(rng.integers(2))]
            shown = rng.permutation(ITEMS)[:SHOWN]
            taken = rng.random(SHOWN) < sigmoid(odds[shown] + 2.0 * (shown % CATEGORIES == own))
            for item, t in zip(shown, taken, strict=True):
                if t or rng.random() < KEEP:
                    add(f"u{u}", f"i{item:02}", when, float(t), 1.0 if t else 1 / KEEP, f"s{u}.{s}", place)
    items = {"item": [f"i{i:02}" for i in range(ITEMS)], "kindred": [f"c{i % CATEGORIES}" for i in range(ITEMS)]}
    return Known(Log.open(pa.table(rows), items=pa.table(items)), odds, taste)
