"""Fitted households as a `gymnasium.Env` for a recommender: an episode is a household, a step is one of its trips.

observation   how the household's last `last` purchases fall on the coarsest groups, the share of them that were new
              to it, the size of its last basket (log), days since, and the weekday
action        `k` items of `pool`, as places in it (MultiDiscrete); twice the same counts once
reward        what the slate brought on the trip: purchases with it less those without it under the same luck
              ("incremental"), or the shown items that were bought ("bought"), each by number or by value
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ethogram.errors import MissingExtra, OptionError
from ethogram.world.draws import Draws
from ethogram.world.people.households import Bought, Households
from ethogram.world.people.purchases import DAY

try:
    import gymnasium
except ImportError:
    raise MissingExtra("ethogram.world.people.gym needs gymnasium: pip install 'ethogram[world]'") from None


class ShoppingEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """See the module.

    Parameters
    ----------
    people : fitted households. k : items on a slate. pool : codes of the items to choose from; None takes the `size`
        most bought.
    days : length of an episode. household : whom to serve; None draws one for each episode. last : purchases observed.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012 - gymnasium's own form

    def __init__(
        self, people: Households, *, k: int = 5, pool: np.ndarray | None = None, size: int = 200, days: int = 90,
        household: int | None = None, response: float = 2.0, displacement: float = 0.5, last: int = 50,
        reward: Literal["incremental", "bought"] = "incremental", by: Literal["number", "value"] = "number",
        render_mode: str | None = None,
    ):  # fmt: skip
        if k < 1 or days < 1 or last < 1 or response < 1 or not 0 <= displacement <= 1:
            raise OptionError(
                f"ShoppingEnv: k = {k}, days = {days}, last = {last} must be 1 or more, response = {response} too, and "
                f"displacement = {displacement} lie in 0 to 1."
            )
        if reward not in ("incremental", "bought") or by not in ("number", "value"):
            raise OptionError(f"ShoppingEnv: reward = '{reward}' by '{by}'; incremental or bought, by number or value.")
        if household is not None and not 0 <= household < len(people):
            raise OptionError(f"ShoppingEnv: household {household}; there are 0 to {len(people) - 1}.")
        p = people.purchases
        sold = np.argsort(-np.bincount(p.item, minlength=p.catalogue), kind="stable")
        self.pool = np.asarray(sold[:size] if pool is None else pool, np.int64)
        if not len(self.pool) or self.pool.min() < 0 or self.pool.max() >= p.catalogue:
            raise OptionError(f"ShoppingEnv: the pool must hold item codes from 0 to {p.catalogue - 1}.")
        self.people, self.k, self.days, self.household, self.last = people, k, days, household, last
        self.response, self.displacement, self.reward, self.by = response, displacement, reward, by
        self.render_mode = render_mode
        self.group = next(iter(p.groups.values()), np.zeros(p.catalogue, np.int64))
        width = int(self.group.max()) + 1 + 4
        self.action_space = gymnasium.spaces.MultiDiscrete(np.full(k, len(self.pool)))
        self.observation_space = gymnasium.spaces.Box(0.0, np.inf, (width,), np.float32)
        self._said = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """A household's next trip; without a seed, luck is drawn from the environment's own."""
        super().reset(seed=seed)
        drawn = self.np_random.integers(2**31, size=2)
        who = int(drawn[0] % len(self.people)) if self.household is None else self.household
        self._draws, self._day = Draws(int(drawn[1])), self.people.now - 1
        self._past = self.people.tastes.past(np.array([who]))
        self._last_trip = self.people.visits.last[[who]].copy()
        p = self.people.purchases
        own = p.user == who
        self._taken, self._fresh = p.item[own][-self.last :], np.zeros(min(int(own.sum()), self.last))
        self._basket = float((p.day[own] == p.day[own].max()).sum()) if own.any() else 0.0
        self._next()
        return self._seen(), {"household": p.users[who].as_py(), "day": self._day}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Show a slate on this trip, and go on to the next one; the episode is cut after `days`."""
        places = np.asarray(action, np.int64).reshape(-1)
        if len(places) != self.k or places.min() < 0 or places.max() >= len(self.pool):
            raise OptionError(f"an action is {self.k} places of the pool, 0 to {len(self.pool) - 1}; not {action!r}.")
        _, first = np.unique(places, return_index=True)
        slate = np.full((1, self.k), -1, np.int64)
        slate[0, : len(first)] = self.pool[places[np.sort(first)]]
        row, luck = np.zeros(1, np.int64), self._draws.at([0], self._day - self.people.now)
        bought = self.people.buy(self._past, row, luck, slate, response=self.response, displacement=self.displacement)
        worth = self._worth(bought, bought.shown if self.reward == "bought" else np.ones(len(bought.item), bool))
        if self.reward == "incremental":
            without = self.people.buy(self._past, row, luck)
            worth -= self._worth(without, np.ones(len(without.item), bool))
        fresh = ~self._past.taken(bought.row, bought.item)
        self._taken = np.concatenate([self._taken, bought.item])[-self.last :]
        self._fresh = np.concatenate([self._fresh, fresh])[-self.last :]
        self._past.add(bought.row, bought.item, self._day)
        self._basket, self._last_trip = float(len(bought.item)), np.array([self._day])
        ids = self.people.purchases.items.decode(bought.item).to_pylist()
        info = {"day": self._day, "bought": ids, "shown": int(bought.shown.sum()), "new": int(fresh.sum())}
        self._said = f"day {self._day}: bought {len(ids)}, {info['shown']} of them shown; reward {worth:g}"
        self._next()
        return self._seen(), worth, False, self._day >= self.people.now + self.days, info

    def _next(self) -> None:
        """Go on to the day of the next trip."""
        who, end = self._past.who, self.people.now + self.days
        self._day += 1
        while self._day < end:
            luck = self._draws.at([0], self._day - self.people.now)
            if len(self.people.going(who, self._last_trip, self._day, luck)):
                return
            self._day += 1

    def _worth(self, bought: Bought, counted: np.ndarray) -> float:
        return float(bought.value[counted].sum() if self.by == "value" else counted.sum())

    def _seen(self) -> np.ndarray:
        m = int(self.group.max()) + 1
        share = np.bincount(self.group[self._taken], minlength=m) / max(len(self._taken), 1)
        fresh = float(self._fresh.mean()) if len(self._fresh) else 0.0
        since = float(max(self._day - self._last_trip[0], 0))
        rest = [fresh, np.log1p(self._basket), since, float((self.people.purchases.start // DAY + self._day) % 7)]
        return np.concatenate([share, rest]).astype(np.float32)

    def render(self) -> str:
        """What happened on the last trip."""
        return self._said
