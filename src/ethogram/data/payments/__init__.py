"""Payments of people whose hidden financial state shows in single merchants' stories: a generator with known truth.

    stable        what is owed is paid on its day; many have loans, some gamble, always the same amounts
    stressed      the rent comes a few days later every month, discretionary merchants fade
    gambling      at one operator the stakes grow and move into the night
    pre-default   repayments at one cash lender grow; the rent comes later, discretionary merchants fade

Sums and counts of a category give nothing away by design: amounts at a lender or an operator have the same total
whether they grow or not, many people in trouble leave a second lender or operator (whose amounts fall as the other's
grow), and merchants of no meaning lie in between. A state begins `onset` days before the decision; the outcome is drawn
with a probability that hangs on the state alone. With ``effect = 0`` everybody behaves as if stable, the probability is
the same for everybody, and nothing can be learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.data.payments.streams import CATEGORIES, CHANNELS, TEXTS, Drawn, draw
from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError

START = int(np.datetime64("2024-01-01", "us").astype(np.int64))
DAY = 86_400_000_000
STATES = ("stable", "stressed", "gambling", "pre-default")
SHARES = np.array([0.825, 0.085, 0.045, 0.045])
CHANCES = np.array([0.008, 0.03, 0.25, 0.45])
"""Probability of default by state."""
_IN = np.array([name in ("salary", "family") for name in CATEGORIES], np.int8)


@data_set(
    "payments",
    what="generated: months of payments before a credit decision, by people with a hidden financial state; defaults",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Payments:
    """An event is a payment: item = merchant, value = amount (above 0), `category`, `description`, `direction`
    (``out`` or ``in``), `channel`. All of a user's payments lie in the `days` before the decision.

    Users: `decided` (when the application was decided), `known` (when the outcome was; `lag` days later), `default`
    (1.0 or 0.0, null where it was not known yet when the data end), `age`, and `group`, a protected attribute ("a", or
    "b": 30%, in which trouble is 1.3 times as frequent and incomes are lower). About 4% default.
    """

    users: int = 20_000
    "People, each with one application."
    days: int = 180
    "Days before the decision from which payments are kept."
    payments: tuple[int, int] = (100, 1_500)
    "Fewest and most payments of a person in 180 days; the middle is near 300."
    applications: int = 240
    "Days over which decisions are spread, from `days` days after 2024-01-01."
    lag: int = 30
    "Days from a decision until its outcome is known."
    unknown: int = 10
    "Decisions of the last so many days have no outcome yet when the data end."
    lenders: float = 0.6
    "Share of those in trouble who also leave a second lender or operator."
    effect: float = 1.0
    "Strength of what a state does to behaviour; 0 for no effect, and then on the outcome neither."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        few, many = self.payments
        for wrong, text in (
            (min(self.users, self.days, self.applications, self.lag) < 1, "users, days, applications, lag: 1 or more"),
            (not 0 <= self.unknown < self.applications, f"unknown = {self.unknown} is not within the applications"),
            (not 1 <= few <= many, f"payments = {self.payments} is not (fewest, most)"),
            (not 0 <= self.lenders <= 1 or self.effect < 0, "lenders lies in [0, 1], effect is at least 0"),
        ):
            if wrong:
                raise OptionError(f"payments: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def people(self) -> dict[str, np.ndarray]:
        """Of each person: state (number in `STATES`), onset (days), group, age, income (factor), decided (day),
        count (of payments), probability, default."""
        random, n = np.random.default_rng([self.seed, 0]), self.users
        group = (random.random(n) < 0.3).astype(np.int8)
        trouble = np.where(group[:, None] == 1, 1.3, 0.87) * SHARES[1:]
        state = (random.random(n)[:, None] < np.cumsum(trouble[:, ::-1], 1)[:, ::-1]).sum(1)
        few, many = self.payments
        few, many = (max(1, round(c * self.days / 180)) for c in (few, many))
        middle = np.log(np.clip(300 * self.days / 180, few, many))
        chance = CHANCES[state] if self.effect > 0 else np.full(n, float(SHARES @ CHANCES))
        decided = np.sort(random.random(n)) * self.applications
        return {
            "state": state,
            "onset": random.uniform(60, 170, n),
            "group": group,
            "age": np.round(random.uniform(20, 70, n)),
            "income": np.exp(random.normal(0, 0.4, n) - 0.15 * group),
            "decided": START + ((self.days + decided) * DAY).astype(np.int64),
            "count": np.clip(np.exp(random.normal(middle, 0.6, n)), few, many).astype(np.int64),
            "probability": chance,
            "default": (random.random(n) < chance).astype(np.float32),
        }

    @cached_property
    def drawn(self) -> Drawn:
        """The payments, and the merchant in which each person's state shows."""
        return draw(self.people, self.days, self.lenders, self.effect, np.random.default_rng([self.seed, 1]))

    def read(self) -> Reading:
        who, made = self.people, self.drawn
        time = who["decided"][made.user] + (made.day * DAY).astype(np.int64)
        events = pa.table(
            {
                "user": made.user,
                "item": pa.DictionaryArray.from_arrays(made.merchant.astype(np.int32), pa.array(made.names)),
                "time": pa.array(np.minimum(time, who["decided"][made.user] - 1), pa.timestamp("us", "UTC")),
                "value": made.amount,
                "category": _coded(made.category, list(CATEGORIES)),
                "description": _coded(made.text, TEXTS),
                "direction": _coded(_IN[made.category], ["out", "in"]),
                "channel": _coded(made.channel, list(CHANNELS)),
            }
        )
        known = who["decided"] + self.lag * DAY
        end = START + (self.days + self.applications - self.unknown + self.lag) * DAY
        users = pa.table(
            {
                "user": np.arange(self.users),
                "decided": pa.array(who["decided"], pa.timestamp("us", "UTC")),
                "known": pa.array(known, pa.timestamp("us", "UTC"), mask=known > end),
                "default": pa.array(who["default"], mask=known > end),
                "group": _coded(who["group"], ["a", "b"]).cast(pa.string()),
                "age": who["age"],
            }
        )
        roles = {name: name for name in ("user", "item", "time", "value")}
        return Reading(events, roles, users=users)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``people``: user, state, onset (days before the decision, null for the stable), cause (the merchant in which
            the state shows: lender, operator or landlord; null for the stable), probability (of default), default
            (known to the generator for all).
        """
        who = self.people
        calm = (who["state"] == 0) | (self.effect == 0)
        people = {
            "user": np.arange(self.users),
            "state": np.array(STATES)[who["state"]],
            "onset": pa.array(who["onset"], mask=calm),
            "cause": pa.array(np.array(self.drawn.names, object)[self.drawn.cause], pa.string(), mask=calm),
            "probability": who["probability"],
            "default": who["default"],
        }
        return {"people": pa.table(people)}


def _coded(codes: np.ndarray, names: Any) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), pa.array(list(names)))
