"""How payments are drawn: each person has streams (one merchant each), each stream has its payments, all in arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CHANNELS = ("transfer", "card", "app")
CATEGORIES = {
    # name: (merchants that many people share, channel, hour of the day, descriptions)
    "rent": (40, 0, 9.0, ("monthly rent", "rent for the flat", "housing standing order")),
    "salary": (200, 0, 6.0, ("salary", "wages of the month", "payroll")),
    "utilities": (30, 0, 8.0, ("electricity and gas", "water bill", "phone contract")),
    "subscription": (40, 1, 3.0, ("streaming plan", "music plan", "gym membership")),
    "groceries": (60, 1, 17.5, ("groceries", "supermarket purchase", "weekly shopping")),
    "discretionary": (300, 1, 15.0, ("restaurant", "clothes", "cinema tickets", "online order")),
    "cash loan": (25, 2, 11.0, ("instalment of cash loan", "payday advance repaid", "short loan repayment")),
    "gambling": (15, 2, 20.0, ("deposit for bets", "casino credit", "lottery slips")),
    "family": (1, 0, 13.0, ("from my sister", "birthday present", "shared dinner")),
    "other": (3_000, 1, 14.0, ("kiosk", "parking", "card payment", "market stall", "vending machine")),
}
NAMES = list(CATEGORIES)
TEXTS = [text for made in CATEGORIES.values() for text in made[3]]
HOURS = np.array([made[2] for made in CATEGORIES.values()])
_CHANNEL = np.array([made[1] for made in CATEGORIES.values()])
_SHARED = np.array([made[0] for made in CATEGORIES.values()])
_FIRST = np.concatenate([[0], np.cumsum(_SHARED)])
_TEXT = np.concatenate([[0], np.cumsum([len(made[3]) for made in CATEGORIES.values()])])
REGULAR_SHARE = 0.75
"""Share of the payments without a schedule that goes to groceries and discretionary merchants; the rest is noise."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Payments in no order: user, merchant (place in `names`), category, day (before the decision, below 0), amount,
    text, channel; of each person the merchant `cause`."""

    user: np.ndarray
    merchant: np.ndarray
    category: np.ndarray
    day: np.ndarray
    amount: np.ndarray
    text: np.ndarray
    channel: np.ndarray
    cause: np.ndarray
    names: list[str]


@dataclass
class _Streams:
    """Streams as growing columns; what a stream does not name is 0."""

    random: np.random.Generator
    days: int
    held: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, user: np.ndarray, category: str, merchant: np.ndarray, **more: Any) -> None:
        made = {"user": user, "category": np.full(len(user), NAMES.index(category)), "merchant": merchant}
        blank = dict.fromkeys(("period", "jitter", "rate", "growth", "delay", "fade", "night"), 0.0)
        blank |= {"amount": 1.0, "sigma": 0.25}
        for name, value in {**made, **blank, **more}.items():
            self.held.setdefault(name, []).append(np.broadcast_to(value, len(user)))

    def columns(self) -> dict[str, np.ndarray]:
        return {name: np.concatenate(parts) for name, parts in self.held.items()}

    def shared(self, category: str, count: int) -> np.ndarray:
        """Merchants that many people share, the first of them most."""
        c = NAMES.index(category)
        return _FIRST[c] + (_SHARED[c] * self.random.random(count) ** 1.7).astype(np.int64)


def draw(who: Mapping[str, np.ndarray], days: int, lenders: float, effect: float, random: np.random.Generator) -> Drawn:
    """All payments of all people."""
    n = len(who["state"])
    streams = _Streams(random, days)
    cause = _regular(streams, who, n, lenders, effect)
    made = streams.columns()
    rows, day, amount = _scheduled(made, who["onset"], days, random)
    scheduled = np.bincount(made["user"][rows], minlength=n)
    often = _Streams(random, days)
    _frequent(often, who, np.maximum(who["count"] - scheduled, 0) * REGULAR_SHARE / days, n, effect)
    free = often.columns()
    more, when, much = _at_random(free, who["onset"], days, random)
    user = np.concatenate([made["user"][rows], free["user"][more]])
    merchant = np.concatenate([made["merchant"][rows], free["merchant"][more]])
    category = np.concatenate([made["category"][rows], free["category"][more]])
    night = np.concatenate([made["night"][rows], np.zeros(len(more))])
    day, amount = np.concatenate([day, when]), np.concatenate([amount, much])
    # merchants of no meaning bring everybody to the number of payments that was drawn
    left = np.maximum(who["count"] - np.bincount(user, minlength=n), 0)
    noise = np.repeat(np.arange(n), left)
    user, merchant = np.concatenate([user, noise]), np.concatenate([merchant, streams.shared("other", len(noise))])
    category = np.concatenate([category, np.full(len(noise), NAMES.index("other"))])
    day = np.concatenate([day, -days * random.random(len(noise))])
    amount = np.concatenate([amount, who["income"][noise] * np.exp(random.normal(2.0, 0.9, len(noise)))])
    night = np.concatenate([night, np.zeros(len(noise))])
    after = np.maximum(day + who["onset"][user], 0) / 30
    # the hour replaces the part of the day that was drawn
    hour = HOURS[category] + random.normal(0, 2, len(user)) + night * np.minimum(after, 4)
    day = np.floor(day) + np.clip(hour, 0, 27.9) / 24
    words = _TEXT[category] + (random.random(len(user)) * np.diff(_TEXT)[category]).astype(np.int64)
    channel = np.where(random.random(len(user)) < 0.9, _CHANNEL[category], random.integers(0, 3, len(user)))
    names = [f"{name} {i}" for name, count in zip(NAMES, _SHARED, strict=True) for i in range(count)]
    names += [f"landlord of {u}" for u in range(n)]
    kept = (day >= -days) & (day < 0)
    picked = (user, merchant, category, day, np.round(np.maximum(amount, 0.01), 2), words, channel)
    return Drawn(*(column[kept] for column in picked), cause, names)


def _regular(s: _Streams, who: Mapping[str, np.ndarray], n: int, lenders: float, effect: float) -> np.ndarray:
    """Rent, salary, bills, loans and gambling; the merchant in which each person's state shows."""
    random, income, everybody = s.random, who["income"], np.arange(n)
    state = who["state"] if effect > 0 else np.zeros(n, np.int64)
    landlord = np.where(random.random(n) < 0.6, _FIRST[-1] + everybody, s.shared("rent", n))
    late = np.where(state == 1, random.uniform(2, 5, n), np.where(state == 3, random.uniform(1.5, 4, n), 0)) * effect
    # some people always pay late, which means nothing
    s.add(everybody, "rent", landlord, period=30.0, jitter=np.where(random.random(n) < 0.2, 4.0, 0.7), delay=late,
          amount=700 * income, sigma=0.01)  # fmt: skip
    s.add(everybody, "salary", s.shared("salary", n), period=30.0, jitter=0.5, amount=2_400 * income, sigma=0.04)
    for category, most, amount in (("utilities", 3, 60.0), ("subscription", 4, 14.0)):
        user = np.repeat(everybody, random.integers(1, most + 1, n))
        s.add(user, category, s.shared(category, len(user)), period=30.0, jitter=1.0, amount=amount, sigma=0.15)
    family = everybody[random.random(n) < 0.5]
    s.add(family, "family", s.shared("family", len(family)), period=20.0, jitter=6.0, amount=40.0, sigma=0.7)
    cause = landlord.copy()
    for category, marked, share, period, amount in (
        ("cash loan", 3, 0.35, 14.0, 120.0), ("gambling", 2, 0.25, 6.0, 35.0),
    ):  # fmt: skip
        mine = state == marked
        user = everybody[mine | (random.random(n) < share)]
        inside, size = mine[user], len(user)
        night = 1.6 * effect * inside if category == "gambling" else 0.0
        growth = np.where(inside, random.uniform(0.35, 0.6, size), random.uniform(-0.05, 0.05, size)) * effect
        level = amount * income[user] * np.exp(random.normal(0, 0.5, size))
        first = s.shared(category, size)
        how = {"period": period, "jitter": 2.0}
        s.add(user, category, first, growth=growth, amount=level, night=night, **how)
        cause[user[inside]] = first[inside]
        second = random.random(size) < lenders
        other = s.shared(category, size)
        other = np.where(other == first, first + 1 - 2 * (first == _FIRST[NAMES.index(category) + 1] - 1), other)
        leaving = np.where(inside, -growth, growth)
        s.add(user[second], category, other[second], growth=leaving[second], amount=level[second], **how)
    return cause


def _frequent(s: _Streams, who: Mapping[str, np.ndarray], rate: np.ndarray, n: int, effect: float) -> None:
    """Groceries and discretionary merchants; `rate` is what both have a day, float[n]."""
    random, everybody = s.random, np.arange(n)
    fading = np.isin(who["state"], (1, 3)) * random.uniform(0.05, 0.3, n) * effect
    for category, share, most, amount in (("groceries", 0.45, 4, 30.0), ("discretionary", 0.55, 14, 28.0)):
        user = np.repeat(everybody, random.integers(1 + most // 4, most + 1, n))
        size = random.gamma(1.0, 1.0, len(user)) + 0.05
        own = share * rate[user] * size / np.bincount(user, size, n)[user]
        fade = fading[user] if category == "discretionary" else 0.0
        level = amount * who["income"][user] * np.exp(random.normal(0, 0.4, len(user)))
        s.add(user, category, s.shared(category, len(user)), rate=own, fade=fade, amount=level, sigma=0.5)


def _scheduled(
    made: Mapping[str, np.ndarray], onset: np.ndarray, days: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Payments that are due every `period` days: (stream, day, amount). What grows has the total of what does not."""
    period = made["period"]
    first = period * random.random(len(period))
    count = np.maximum(np.ceil((days - first) / period), 0).astype(np.int64)
    rows = np.repeat(np.arange(len(period)), count)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    due = first[rows] + number * period[rows] - days
    after = np.maximum(due + onset[made["user"][rows]], 0) / 30
    day = due + np.abs(random.normal(0, made["jitter"][rows])) + made["delay"][rows] * after
    trend = np.exp(made["growth"][rows] * after)
    level = np.bincount(rows, trend, len(period)) / np.maximum(count, 1)
    amount = made["amount"][rows] * trend / level[rows] * np.exp(random.normal(0, made["sigma"][rows]))
    return rows, day, amount


def _at_random(
    made: Mapping[str, np.ndarray], onset: np.ndarray, days: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Payments at any time, fewer and fewer where a stream fades: (stream, day, amount)."""
    rows = np.repeat(np.arange(len(made["rate"])), random.poisson(made["rate"] * days))
    day = -days * random.random(len(rows))
    after = np.maximum(day + onset[made["user"][rows]], 0) / 30
    kept = random.random(len(rows)) < np.exp(-made["fade"][rows] * after)
    rows, day = rows[kept], day[kept]
    return rows, day, made["amount"][rows] * np.exp(random.normal(0, made["sigma"][rows]))
