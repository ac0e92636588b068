"""What a household takes: a mixture of its own past, its tastes, people alike, and what is popular.

    P_h(item) = sum_k w_hk P_hk(item)

The parts (`ethogram.world.people.components`) are counts; only their weights are fitted, by EM, on purchases that came
after those counted: parts as of day T - v explain what happened from T - v to T (each day given the household's own
purchases of the days before), then parts as of T take the weights over. A household's weights have a Dirichlet prior
around those of all, of the strength under which odd weeks of the window were most probable given even ones.

A basket holds different items: it is drawn item by item, and what is drawn twice counts once. So a favourite was drawn
more often than it is seen. Given that an item of probability p is in a basket of N draws it was drawn

    E[draws | in the basket] = N p / (1 - (1 - p)^N)        N = sum of these over the basket

times, and EM counts it as often.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ethogram.world.draws import Luck
from ethogram.world.people.components import Component, Own, parts
from ethogram.world.people.past import Past, Record
from ethogram.world.people.purchases import Purchases

WINDOW = 56
"""Days on which the weights are fitted."""
STRENGTHS = (10.0, 30.0, 100.0, 1000.0)
MOST = 300_000
"""Purchases that the weights are fitted on, a sample where there are more."""
ROUNDS = 8
"""How often a basket is drawn until its items differ."""


@dataclass
class Tastes:
    """Fitted tastes.

    Attributes
    ----------
    parts : the components. weight : float64[U, K], rows of sum 1. record : the real past. shared : weights of all.
    """

    parts: list[Component]
    weight: np.ndarray
    record: Record
    shared: np.ndarray
    chosen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ends = np.cumsum(self.weight, 1)

    @classmethod
    def fit(cls, past: Purchases, *, neighbours: int = 50, seed: int = 0) -> Tastes:
        """Fit on all days of `past`; `neighbours` 0 leaves households alike out."""
        window = min(WINDOW, past.days // 3)
        cut = past.days - window
        old, new = past.between(0, cut), past.between(cut, past.days)
        some = np.ones(len(new), bool)
        if len(new) > MOST:
            some = np.random.default_rng(seed).random(past.households)[new.user] < MOST / len(new)
        user, item, day = new.user[some], new.item[some], new.day[some] - cut
        trip = np.unique(user * (window + 1) + day, return_inverse=True)[1]
        record = Record(old)
        made = parts(old, record, neighbours)
        chance = ahead(made, Past(record, np.arange(past.households)), user, item, new.day[some])
        personal = np.array([c.personal for c in made])
        shared = weights(chance, trip)
        odd = day // 7 % 2 == 1
        scored = []
        for strength in STRENGTHS:
            weight = weights(chance[~odd], trip[~odd], user[~odd], shared, strength, past.households)
            scored.append(float(np.log((chance[odd] * weight[user[odd]]).sum(1)).mean()) if odd.any() else 0.0)
        strength = STRENGTHS[int(np.argmax(scored))]
        weight = weights(chance, trip, user, shared, strength, past.households)
        record = Record(past)
        weight = weight * ~(personal & ~(record.total[-1] > 0)[:, None])
        return cls(
            parts(past, record, neighbours),
            weight / weight.sum(1, keepdims=True),
            record,
            shared,
            {"strength": strength},
        )

    def past(self, who: np.ndarray) -> Past:
        """The past of simulated rows that stand for households `who`; nothing taken since."""
        return Past(self.record, np.asarray(who, np.int64))

    def chance(self, past: Past, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Probability of each item for each row, float64 of the shape of `items`; `rows` broadcasts to it."""
        rows = np.broadcast_to(rows, items.shape)
        weight = self.weight[past.who[rows]]
        total = np.zeros(items.shape)
        for k, part in enumerate(self.parts):
            total += weight[..., k] * part.share(past, rows, items)
        return total

    def draw(self, past: Past, rows: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """An item for each of `rows` from numbers float64[n, 3]."""
        ends = self._ends[past.who[rows]]
        which = np.minimum((ends <= uniform[:, :1] * ends[:, -1:]).sum(1), len(self.parts) - 1)
        made = np.empty(len(rows), np.int64)
        for k, part in enumerate(self.parts):
            mine = which == k
            if mine.any():
                made[mine] = part.draw(past, rows[mine], uniform[mine, 1:])
        return made

    def baskets(self, past: Past, rows: np.ndarray, sizes: np.ndarray, luck: Luck) -> tuple[np.ndarray, np.ndarray]:
        """Different items for each of `rows`, as many as `sizes` says: (place in `rows`, item), by place.

        A basket larger than what a household can think of in a few rounds ends smaller.
        """
        owner, item = np.zeros(0, np.int64), np.zeros(0, np.int64)
        for turn in range(ROUNDS):
            missing = sizes - np.bincount(owner, minlength=len(rows))
            short = np.flatnonzero(missing > 0)
            if not len(short):
                break
            # a few more than are missing, since some will be there already
            want = missing[short] + (missing[short] + 3) // 4
            most = int(want.max())
            uniform = luck[short].uniform(f"pick {turn}", 3 * most).reshape(len(short), most, 3)
            asked = np.arange(most) < want[:, None]
            who = np.repeat(short, want)
            fresh = self.draw(past, rows[who], uniform[asked])
            owner, item = _distinct(np.concatenate([owner, who]), np.concatenate([item, fresh]), sizes)
        return owner, item


def ahead(parts: list[Component], past: Past, user: np.ndarray, item: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Probability float64[n, K] of each purchase under each part, given what was taken on the days before."""
    chance = np.empty((len(user), len(parts)))
    for k, part in enumerate(parts):
        if not isinstance(part, Own):
            chance[:, k] = part.share(past, user, item)
    for now in np.unique(day):
        today = day == now
        for k, part in enumerate(parts):
            if isinstance(part, Own):
                chance[today, k] = part.share(past, user[today], item[today])
        past.add(user[today], item[today], int(now))
    return chance


def _distinct(owner: np.ndarray, item: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first `most` different items of each owner, by owner and in their order."""
    order = np.argsort(owner, kind="stable")
    owner, item = owner[order], item[order]
    _, first = np.unique(owner * (int(item.max()) + 2) + item, return_index=True)
    first.sort()
    owner, item = owner[first], item[first]
    start = np.searchsorted(owner, owner)
    kept = (np.arange(len(owner)) - start < most[owner]) & (item >= 0)
    return owner[kept], item[kept]


def weights(
    chance: np.ndarray, trip: np.ndarray, user: np.ndarray | None = None, shared: np.ndarray | None = None,
    strength: float = 0.0, households: int = 1, rounds: int = 40,
) -> np.ndarray:  # fmt: skip
    """Weights by EM: of all float64[K], or with `user` of each household [U, K], with a Dirichlet prior of `strength`
    pseudo-draws around `shared`.

    Parameters
    ----------
    chance : float64[n, K], of each purchase under each part. trip : int[n], in which basket it is.
    """
    n, parts = chance.shape
    who = np.zeros(n, np.int64) if user is None else user
    weight = np.full((1, parts), 1 / parts) if shared is None else np.repeat(shared[None], households, 0)
    drawn = np.ones(n)
    for _ in range(rounds):
        part = chance * weight[who]
        p = part.sum(1)
        times = np.bincount(trip, drawn)[trip]
        drawn = times * p / -np.expm1(times * np.log1p(-np.minimum(p, 1 - 1e-9)))
        part *= (drawn / p)[:, None]
        total = np.stack([np.bincount(who, c, len(weight)) for c in part.T], 1)
        weight = total if shared is None else total + strength * shared
        weight /= np.maximum(weight.sum(1, keepdims=True), 1e-300)
    return weight[0] if user is None else weight
