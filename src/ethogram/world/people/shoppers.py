"""Fitted households as the people of a world: a day is a tick, what they do is a log.

    world = shopping(people, adviser=Advice(system, people.purchases), seed=1)
    world.run(30)
    log = simulated(world, people)          # visits, what was shown, what was bought, in the ids of the real log

What a household took in the simulation is kept in columns of the world (the last `memory` purchases), so that forks,
checkpoints and resumed runs need nothing else.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.log import Log
from ethogram.world.actions import Action, Done
from ethogram.world.acts import Acts
from ethogram.world.columns import Column
from ethogram.world.draws import Luck
from ethogram.world.people.advising import Adviser
from ethogram.world.people.households import Households
from ethogram.world.people.past import Past
from ethogram.world.people.purchases import DAY
from ethogram.world.rules import everyone
from ethogram.world.state import Frozen, State
from ethogram.world.world import World

VISIT, SHOW, BUY = "visit", "exposure", "purchase"
MEMORY = 512


class Shoppers:
    """The policy of fitted households.

    Parameters
    ----------
    adviser : what shows them items on a trip; None shows nothing. response, displacement : see `Households.buy`.
    """

    def __init__(
        self, people: Households, adviser: Adviser | None = None, *, response: float = 2.0, displacement: float = 0.5
    ):
        if response < 1 or not 0 <= displacement <= 1:
            raise OptionError(
                f"response = {response} must be 1 or more, and displacement = {displacement} lie in 0 to 1."
            )
        self.people, self.adviser, self.response, self.displacement = people, adviser, response, displacement
        self._lock, self._kept = threading.Lock(), _Day(-1, Past(people.tastes.record, np.zeros(0, np.int64)))

    def copy(self) -> Shoppers:
        """A branch's own: what is kept of a tick belongs to one run."""
        return Shoppers(self.people, self.adviser, response=self.response, displacement=self.displacement)

    def act(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> list[Acts]:
        today = self._today(seen)
        mine = np.isin(rows, today.going)
        going = rows[mine]
        if not len(going):
            return []
        slates = None if today.slates is None else today.slates[np.searchsorted(today.going, going)]
        bought = self.people.buy(
            today.past, going, luck[np.flatnonzero(mine)], slates, response=self.response,
            displacement=self.displacement,
        )  # fmt: skip
        made = [Acts(VISIT, going)]
        if slates is not None:
            place, position = np.nonzero(slates >= 0)
            made.append(Acts(SHOW, going[place], slates[place, position], position + 1.0))
        return [*made, Acts(BUY, bought.row, bought.item, bought.value)]

    def _today(self, seen: Frozen) -> _Day:
        """Who goes shopping and what they are shown: for all at once, so that no answer hangs on the batches."""
        with self._lock:
            if self._kept.tick != seen.tick:
                past, day = past_of(self.people, seen), self.people.now + seen.tick
                every = np.arange(seen.people)
                going = self.people.going(seen["household"], seen["last_trip"], day, seen.luck(every))
                slates = None if self.adviser is None else self.adviser.slates(past, going, day)
                self._kept = _Day(seen.tick, past, going, slates)
            return self._kept


@dataclass(frozen=True)
class _Day:
    tick: int
    past: Past
    going: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    slates: np.ndarray | None = None


def past_of(people: Households, seen: Frozen) -> Past:
    """The past of all rows of a state."""
    made = Past(people.tastes.record, seen["household"].astype(np.int64))
    row, slot = np.nonzero(seen["taken"] >= 0)
    item, day = seen["taken"][row, slot].astype(np.int64), seen["taken_on"][row, slot].astype(np.int64)
    order = np.lexsort((item, day, row))
    made.put(row[order].astype(np.int64), item[order], day[order])
    return made


def shopping(
    people: Households, adviser: Adviser | None = None, *, who: Any = None, response: float = 2.0,
    displacement: float = 0.5, memory: int = MEMORY, seed: int = 0, run: str = "", **options: Any,
) -> World:  # fmt: skip
    """A world of households from tomorrow on.

    Parameters
    ----------
    adviser : what is shown on each trip; None nothing. who : households (places) that rows stand for, several rows may
        stand for one; default each once. response, displacement : how what is shown acts. memory : simulated purchases
        that a household remembers. run : name of the run in the log. options : of `World`.
    """
    places = np.arange(len(people)) if who is None else np.asarray(who, np.int64)
    if len(places) and (places.min() < 0 or places.max() >= len(people)):
        raise OptionError(f"who: household {places.max()}; there are 0 to {len(people) - 1}.")
    if memory < 1:
        raise OptionError(f"memory = {memory} is not a number of purchases; give 1 or more.")

    def visit(state: State, done: Done) -> None:
        state["last_trip"][done.rows] = people.now + state.tick

    def buy(state: State, done: Done) -> None:
        order = np.lexsort((done.object, done.rows))
        row, item = done.rows[order], done.object[order]
        slot = (state["count"][row] + np.arange(len(row)) - np.searchsorted(row, row)) % memory
        state["taken"][row, slot] = item
        state["taken_on"][row, slot] = people.now + state.tick
        np.add.at(state["count"], row, 1)

    return World(
        len(places),
        columns={
            "household": Column("int32", initial=places),
            "last_trip": Column("int32", initial=people.visits.last[places]),
            "taken": Column("int32", memory, -1), "taken_on": Column("int16", memory, 0), "count": Column("int32"),
        },
        things={"item": {"price": people.typical.astype(np.float32)}},
        actions=[
            Action(VISIT, apply=visit, about="go shopping"),
            Action(SHOW, on="item", rule=everyone(), about="see an item on a slate; the value is its place, from 1"),
            Action(BUY, on="item", rule=everyone(), apply=buy, about="buy an item; the value is what was paid"),
        ],
        policies={"household": Shoppers(people, adviser, response=response, displacement=displacement)},
        seed=seed, start=people.purchases.start + people.now * DAY, length="1d", run=run, **options,
    )  # fmt: skip


def simulated(world: World, people: Households, kinds: tuple[str, ...] = (BUY,)) -> Log:
    """What happened, in the ids of the real log: rows of one household are one user, its copies are not told apart."""
    table = world.log(kinds=kinds).table()
    rows = table["user"].to_numpy().astype(np.int64)
    household = world.state["household"].astype(np.int64)
    users = people.purchases.users.take(pa.array(household[rows]))
    table = table.set_column(table.column_names.index("user"), "user", users)
    if "item" in table.column_names:
        codes = table["item"].to_numpy(zero_copy_only=False)
        items = people.purchases.items.decode(np.nan_to_num(codes, nan=-1).astype(np.int64))
        table = table.set_column(table.column_names.index("item"), "item", items)
    kept = [c for c in ("user", "item", "time", "kind", "value", "actor", "source") if c in table.column_names]
    roles: dict[str, Any] = {c: c for c in kept}
    return Log.open(table.select(kept), **roles)
