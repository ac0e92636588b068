"""People who travel for a purpose that their life at home hints at: a generator with known truth.

At home somebody visits places of a few kinds: each purpose has kinds of its own, and a person's mix of purposes is
drawn from a Dirichlet. Each trip has one purpose, drawn from that mix to the power `lean`, one destination, and
`visits` different places there: with probability `sights` one that everybody visits, else one of the purpose, the
popular before the rare. Places of one purpose lie about a centre of their own in each town.
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
HOUR = 3_600_000_000
PURPOSES = ("business", "family", "nightlife", "culture", "sport", "nature")
SIGHT = "sight"
HOMETOWN = "home"
DEGREE = 0.009
"""About a kilometre, in degrees of latitude."""


@data_set(
    "travellers",
    what="generated: people whose visits at home hint at what they will travel for",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Travellers:
    """Visits of kind `home` and `trip`; all of a trip have one time. Items: category, town, lat, lon. Users: home,
    destination."""

    users: int = 1_500
    "People, each with one trip."
    purposes: int = 3
    "Purposes, 1 to 6."
    kinds: int = 6
    "Categories of each purpose, at home and away alike."
    homes: int = 40
    "Places at home of each category, all in one town."
    towns: int = 1
    "Destinations."
    places: int = 60
    "Places of each purpose in a destination, spread over its categories."
    common: int = 30
    "Places in a destination that everybody visits."
    stays: tuple[int, int] = (6, 20)
    "Fewest and most visits at home."
    visits: tuple[int, int] = (3, 7)
    "Fewest and most places of a trip."
    sights: float = 0.2
    "Share of a trip's visits that are of sights."
    mix: float = 0.3
    "Concentration of a person's mix of purposes; small ones have one purpose each."
    lean: float = 3.0
    "How much more surely the trip follows the largest purpose of the mix; 0 makes home tell nothing."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        for wrong, text in (
            (min(self.users, self.kinds, self.homes, self.towns) < 1, "users, kinds, homes, towns: 1 or more"),
            (not 1 <= self.purposes <= len(PURPOSES), f"purposes = {self.purposes}; there are 1 to {len(PURPOSES)}"),
            (not 1 <= self.stays[0] <= self.stays[1], f"stays = {self.stays} is not (fewest, most)"),
            (not 1 <= self.visits[0] <= self.visits[1], f"visits = {self.visits} is not (fewest, most)"),
            (min(self.places, self.common) < self.visits[1], "places, common: at least the most visits of a trip"),
            (not 0 <= self.sights <= 1, f"sights = {self.sights} is no share"),
            (self.mix <= 0 or self.lean < 0, "mix above 0, lean 0 or more"),
        ):
            if wrong:
                raise OptionError(f"travellers: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def items(self) -> dict[str, np.ndarray]:
        """Every place: purpose (its number, or that of sights), category, town (0: home), lat, lon."""
        rng = np.random.default_rng([self.seed, 0])
        size = self.places * self.purposes + self.common
        away = np.append(np.repeat(np.arange(self.purposes), self.places), np.full(self.common, self.purposes))
        purpose = np.append(np.arange(self.purposes).repeat(self.kinds * self.homes), np.tile(away, self.towns))
        at_home = self.purposes * self.kinds * self.homes
        town = np.append(np.zeros(at_home, int), np.repeat(1 + np.arange(self.towns), size))
        kind = np.arange(len(purpose)) % self.kinds
        named = [*PURPOSES[: self.purposes], SIGHT]
        words = [named[p] + (f" {k}" if p < self.purposes else "") for p, k in zip(purpose, kind, strict=True)]
        centre = rng.normal(0, 4 * DEGREE, (1 + self.towns, self.purposes + 1, 2))
        at = np.stack([30.0 + town, -90.0 + np.zeros(len(town))], 1) + centre[town, purpose]
        at += rng.normal(0, 0.5 * DEGREE, at.shape)
        return {"purpose": purpose, "category": np.array(words), "town": town, "lat": at[:, 0], "lon": at[:, 1]}

    @cached_property
    def people(self) -> dict[str, np.ndarray]:
        """Of each person: mix [users, purposes], purpose of the trip, destination."""
        rng = np.random.default_rng([self.seed, 1])
        mix = rng.dirichlet(np.full(self.purposes, self.mix), self.users)
        sure = np.maximum(mix, 1e-12) ** self.lean
        chance = np.cumsum(sure / sure.sum(1, keepdims=True), 1)
        purpose = np.minimum((rng.random(self.users)[:, None] > chance).sum(1), self.purposes - 1)
        return {"mix": mix, "purpose": purpose, "destination": 1 + rng.integers(0, self.towns, self.users)}

    @cached_property
    def _visited(self) -> dict[str, np.ndarray]:
        rng, who = np.random.default_rng([self.seed, 2]), self.people
        counts = rng.integers(self.stays[0], self.stays[1] + 1, self.users)
        owner = np.repeat(np.arange(self.users), counts)
        chance = np.cumsum(who["mix"], 1)[owner]
        purpose = np.minimum((rng.random(len(owner))[:, None] > chance).sum(1), self.purposes - 1)
        block = self.kinds * self.homes
        at_home = purpose * block + rng.integers(0, block, len(owner))
        step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        # different places of a trip, the popular before the rare (Gumbel's trick draws without replacement)
        length = rng.integers(self.visits[0], self.visits[1] + 1, self.users)
        sights = rng.binomial(length, self.sights)
        first = self.purposes * block + (who["destination"] - 1) * (self.places * self.purposes + self.common)
        drawn = []
        for size, begin, many in (
            (self.places, first + who["purpose"] * self.places, length - sights),
            (self.common, first + self.purposes * self.places, sights),
        ):
            appeal = -0.8 * np.log(np.arange(1, size + 1)) + rng.gumbel(size=(self.users, size))
            order = np.argsort(-appeal, axis=1)
            user, rank = np.nonzero(np.arange(size) < many[:, None])
            drawn.append((user, begin[user] + order[user, rank]))
        user = np.concatenate([owner, *(u for u, _ in drawn)])
        item = np.concatenate([at_home, *(i for _, i in drawn)])
        away = np.arange(len(user)) >= len(owner)
        hour = np.append(step * 30, np.full(len(user) - len(owner), 30 * (self.stays[1] + 1)))
        return {"user": user, "item": item, "time": START + hour * HOUR, "away": away}

    def read(self) -> Reading:
        made, places, who = self._visited, self.items, self.people
        names = np.array([HOMETOWN, *(f"town {t}" for t in range(1, self.towns + 1))])
        events = pa.table(
            {
                "user": made["user"],
                "item": made["item"],
                "time": pa.array(made["time"], pa.timestamp("us", "UTC")),
                "kind": np.where(made["away"], "trip", "home"),
            }
        )
        more = {"town": names[places["town"]], **{n: places[n] for n in ("category", "lat", "lon")}}
        items = pa.table({"item": np.arange(len(places["town"])), **more})
        homes = np.full(self.users, HOMETOWN)
        users = pa.table({"user": np.arange(self.users), "home": homes, "destination": names[who["destination"]]})
        return Reading(events, {n: n for n in events.column_names}, items, users)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``people``: user, purpose (number, of the trip), mix (list). ``places``: item, purpose (that behind the last
            is of sights).
        """
        who = self.people
        people = pa.table({"user": np.arange(self.users), "purpose": who["purpose"], "mix": list(who["mix"])})
        purpose = self.items["purpose"]
        return {"people": people, "places": pa.table({"item": np.arange(len(purpose)), "purpose": purpose})}
