"""Impressions whose click rates change at known instants: a generator for what has to adapt while it is deployed.

Each impression shows one item i of category c to a person of segment s, who clicks with

    p = sigmoid(base + q_i + g_sc)

the appeal q_i ~ Normal(0, quality^2) of the item and the taste g_sc ~ Normal(0, taste^2) of the segment. At each of
the `shifts` the appeal of a share `flip` of the items and the taste of a share `turn` of the (segment, category) cells
change sign, and a share `fresh` of all items is shown for the first time. Without shifts nothing ever changes.

A click becomes behaviour a second later (an event without label); the impression carries the answer as its label. The
click probability is in `truth` and not in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.data.drift import DAY, START
from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError

SECOND = 1_000_000


@data_set(
    "drifting_clicks",
    what="generated: impressions and clicks; appeal of items and tastes of segments change at known instants",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class DriftingClicks:
    """Impressions (``shown``, with label) and clicks (``click``) over `days` days from 2024-01-01.

    Items: category. Users: segment.
    """

    impressions: int = 40_000
    "Items shown, one at a time."
    users: int = 400
    "People, spread evenly over the segments."
    items: int = 300
    "Items, spread evenly over the categories."
    segments: int = 6
    "Segments of people."
    categories: int = 12
    "Categories of items."
    days: int = 30
    "Length of the log in days."
    shifts: tuple[float, ...] = (0.5,)
    "Instants of change as shares of the time, ascending; none of them for a world that stays as it is."
    flip: float = 0.5
    "Share of the items whose appeal changes sign at a shift."
    turn: float = 0.3
    "Share of the (segment, category) cells whose taste changes sign at a shift."
    fresh: float = 0.1
    "Share of all items that enter at each shift."
    quality: float = 1.0
    "Standard deviation of the items' appeal, in log odds."
    taste: float = 1.0
    "Standard deviation of the segments' tastes, in log odds."
    base: float = -1.0
    "Log odds of a click where appeal and taste are 0."
    zipf: float = 0.6
    "Exponent of the power law by which items are shown."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        counts = (self.impressions, self.users, self.items, self.segments, self.categories, self.days)
        ordered = all(0 < a < 1 for a in self.shifts) and list(self.shifts) == sorted(set(self.shifts))
        for wrong, text in (
            (min(counts) < 1, "impressions, users, items, segments, categories, days: 1 or more"),
            (self.items < self.categories, f"{self.items} items leave some of {self.categories} categories empty"),
            (not ordered, f"shifts = {self.shifts} are not ascending shares in (0, 1)"),
            (not 0 <= min(self.flip, self.turn, self.fresh) <= max(self.flip, self.turn) <= 1, "shares lie in [0, 1]"),
            (self.fresh * len(self.shifts) >= 1, f"fresh = {self.fresh} at each shift leaves no item at the start"),
        ):
            if wrong:
                raise OptionError(f"drifting_clicks: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    def _random(self, part: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, part])

    @cached_property
    def instants(self) -> np.ndarray:
        """Instants of the shifts, int64, microseconds since 1970 UTC."""
        return START + (np.array(self.shifts) * self.days * DAY).astype(np.int64)

    @cached_property
    def category(self) -> np.ndarray:
        """Category of each item, int64[items]."""
        return np.arange(self.items) % self.categories

    @cached_property
    def segment(self) -> np.ndarray:
        """Segment of each user, int64[users]."""
        return np.arange(self.users) % self.segments

    @cached_property
    def entry(self) -> np.ndarray:
        """Regime in which each item is shown first, int64[items]."""
        entering = self._random(0).permutation(self.items)
        some = round(self.fresh * self.items)
        found = np.zeros(self.items, np.int64)
        for at in range(len(self.shifts)):
            found[entering[at * some : (at + 1) * some]] = at + 1
        return found

    @cached_property
    def appeal(self) -> np.ndarray:
        """q_i in each regime, float64[regimes, items]."""
        return self._regimes(1, self.quality, (self.items,), self.flip)

    @cached_property
    def tastes(self) -> np.ndarray:
        """g_sc in each regime, float64[regimes, segments, categories]."""
        return self._regimes(2, self.taste, (self.segments, self.categories), self.turn)

    def _regimes(self, part: int, scale: float, shape: tuple[int, ...], share: float) -> np.ndarray:
        random = self._random(part)
        found = [scale * random.standard_normal(shape)]
        for _ in self.shifts:
            found.append(np.where(random.random(shape) < share, -found[-1], found[-1]))
        return np.stack(found)

    @cached_property
    def shown(self) -> dict[str, np.ndarray]:
        """Impressions in the order of time: user, item, time (microseconds), regime, probability, label."""
        random, n = self._random(3), self.impressions
        time = np.sort(START + (random.random(n) * self.days * DAY).astype(np.int64))
        regime = np.searchsorted(self.instants, time, side="right")
        user = random.integers(0, self.users, n)
        law = random.permutation(np.arange(1, self.items + 1.0) ** -self.zipf)
        uniform, item = random.random(n), np.empty(n, np.int64)
        for r in range(len(self.shifts) + 1):
            there = np.cumsum(np.where(self.entry <= r, law, 0.0))
            item[regime == r] = np.searchsorted(there, uniform[regime == r] * there[-1], side="right")
        logit = self.base + self.appeal[regime, item] + self.tastes[regime, self.segment[user], self.category[item]]
        probability = 1 / (1 + np.exp(-logit))
        label = (random.random(n) < probability).astype(np.float32)
        return {
            "user": user, "item": item, "time": time, "regime": regime, "probability": probability, "label": label,
        }  # fmt: skip

    def read(self) -> Reading:
        shown = self.shown
        hit = shown["label"] > 0
        n, m = self.impressions, int(hit.sum())
        is_click = np.repeat([False, True], [n, m])

        def both(name: str) -> np.ndarray:
            return np.concatenate([shown[name], shown[name][hit]])

        kind = pa.DictionaryArray.from_arrays(is_click.astype(np.int8), ["shown", "click"])
        events = pa.table(
            {
                "user": both("user"),
                "item": both("item"),
                "time": pa.array(both("time") + np.where(is_click, SECOND, 0), pa.timestamp("us", "UTC")),
                "kind": kind,
                "label": pa.array(both("label"), mask=is_click),
            }
        )
        items = pa.table({"item": np.arange(self.items), "category": [f"c{c}" for c in self.category]})
        users = pa.table({"user": np.arange(self.users), "segment": [f"s{s}" for s in self.segment]})
        return Reading(events, {name: name for name in events.column_names}, items, users)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``exposures``: user, item, time, regime, probability (of a click), label.
            ``items``: item, category, entry (regime of its first showing).
            ``shifts``: regime, since.
        """
        micros = pa.timestamp("us", "UTC")
        items = {"item": np.arange(self.items), "category": self.category, "entry": self.entry}
        shifts = {"regime": np.arange(1, len(self.shifts) + 1), "since": pa.array(self.instants, micros)}
        exposures = {**self.shown, "time": pa.array(self.shown["time"], micros)}
        return {"exposures": pa.table(exposures), "items": pa.table(items), "shifts": pa.table(shifts)}
