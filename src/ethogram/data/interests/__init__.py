"""People with several separate interests that only their older behaviour tells: a generator with known truth.

Each user u has K_u interests: categories c with a strength s_uc, others for other users. Older behaviour comes
mostly from them, by strength; the last `recent` events are what everybody looks at, drawn from popularity alone,
and say nothing of the user. Then the user is shown slates and clicks an item i of category c with

    p = sigmoid(base + effect * a_uc + q_i),    a_uc = s_uc                         if c is an interest of u,
                                                       complement * s_u,pair(c)    if the pair of c is one,
                                                       0                           otherwise,

with the item's own appeal q_i ~ Normal(0, quality^2). A model that reads recent events only can learn the appeal
of items and nothing of people; one that pools the whole history gets several interests blended with noise;
one that attends to the events that are like the candidate can find a_uc. With ``effect=0`` behaviour is
irrelevant, and nothing should beat the appeal.

The log holds what a platform would hold: behaviour (without label) and slates (with). What only the generator
knows is in `truth`. The click probability stands there and not in the log, where it would be a feature that
knows the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.data.interests.world import World
from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError


@data_set(
    "interests",
    what="generated: people with 3 to 6 disjoint interests that only events older than the last 50 tell",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Interests:
    """Behaviour in the first 240 days from 2024-01-01, slates in the 120 days after.

    Kinds of events: ``view`` (behaviour) and ``slate`` (shown; label = clicked). Items: category.
    Categories 2j and 2j + 1 are a pair, and no user has both as interests.
    """

    users: int = 2_000
    "People."
    items: int = 3_000
    "Items; how many a category has, and how popular each is, follow power laws."
    categories: int = 100
    "Categories, an even number."
    interests: tuple[int, int] = (3, 6)
    "Fewest and most interests of a user."
    length: tuple[int, int] = (60, 400)
    "Fewest and most past events of a user, log-uniform."
    recent: int = 50
    "So many last events of the past are drawn from popularity alone."
    old_share: float = 0.8
    "Share of the older events that come from the user's interests, the others from popularity."
    slates: int = 20
    "Slates shown to each user."
    candidates: int = 10
    "Items drawn for each slate; one that is drawn twice is shown once."
    own_share: float = 0.35
    "Share of the candidates that are drawn from the user's interests (and, with `complement`, their pairs)."
    effect: float = 2.5
    "Log odds that an interest of strength 1 adds to a click; 0 for no effect."
    quality: float = 0.3
    "Standard deviation of the items' own appeal, in log odds."
    complement: float = 0.0
    "Share of an interest's effect that the paired category has, too."
    base: float = -2.0
    "Log odds of a click on an item of average appeal in which the user has no interest."
    zipf: float = 1.0
    "Exponent of the power laws: categories by popularity, items within a category."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        (few, most), (short, long), pairs = self.interests, self.length, self.categories // 2
        for wrong, text in (
            (
                min(self.users, self.slates, self.candidates, self.recent) < 1,
                "users, slates, candidates, recent: 1 or more",
            ),
            (self.categories % 2 or pairs < 1, f"categories = {self.categories} is not an even number"),
            (self.items < self.categories, f"{self.items} items leave some of {self.categories} categories empty"),
            (not 1 <= few <= most <= pairs, f"interests = {self.interests} is not (fewest, most) of {pairs} pairs"),
            (
                not 1 <= self.recent <= short <= long,
                f"length = {self.length} is not (fewest, most) with recent = {self.recent}",
            ),
            (not (0 <= self.old_share <= 1 and 0 <= self.own_share <= 1), "old_share and own_share lie in [0, 1]"),
        ):
            if wrong:
                raise OptionError(f"interests: {text}.")

    @cached_property
    def world(self) -> World:
        """Everything drawn, part by part."""
        return World(self)

    def files(self) -> tuple[Path, ...]:
        return ()

    def read(self) -> Reading:
        past, shown = self.world.past, self.world.shown
        n, m = len(past["user"]), len(shown["user"])
        is_past = np.repeat([True, False], [n, m])
        kind = pa.DictionaryArray.from_arrays(np.repeat(np.array([0, 1], np.int8), [n, m]), ["view", "slate"])
        slate = np.concatenate([np.zeros(n, np.int64), shown["slate"]])
        label = np.concatenate([np.zeros(n, np.float32), shown["label"]])
        events = pa.table(
            {
                "user": np.concatenate([past["user"], shown["user"]]),
                "item": np.concatenate([past["item"], shown["item"]]),
                "time": _instants(np.concatenate([past["time"], shown["time"]])),
                "kind": kind,
                "slate": pa.array(slate, mask=is_past),
                "label": pa.array(label, mask=is_past),
            }
        )
        items = pa.table({"item": np.arange(self.items), "category": self.world.category})
        return Reading(events, {name: name for name in events.column_names}, items)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``interests``: user, category, strength.
            ``items``: item, category, appeal (log odds).
            ``exposures``: user, slate, item, time, label, probability (of a click), a row per item shown.
        """
        world = self.world
        user, place = np.nonzero(world.chosen >= 0)
        interests = {"user": user, "category": world.chosen[user, place], "strength": world.strength[user, place]}
        items = {"item": np.arange(self.items), "category": world.category, "appeal": world.appeal}
        exposures = {**world.shown, "time": _instants(world.shown["time"])}
        return {"interests": pa.table(interests), "items": pa.table(items), "exposures": pa.table(exposures)}


def _instants(micros: np.ndarray) -> pa.Array:
    return pa.array(micros, pa.timestamp("us", "UTC"))
