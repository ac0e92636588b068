"""People who follow purposes: a generator of sequences whose hidden intents are known.

A user works through tasks, one after another. A task has one of `intents` purposes and takes a few steps; a step takes
an item of the purpose's shelf, popular ones more often, or, with probability `noise`, any item. The item that ends a
task is one of the purpose's few goals, which nothing else leads to: sequences with the same goal share a purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError


@data_set(
    "intents",
    what="generated: people who work through tasks, each of a hidden purpose that its last item gives away",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Intents:
    """Events in order, without a clock."""

    users: int = 2_000
    "People."
    items: int = 800
    "Items on the shelves, divided evenly among the intents."
    intents: int = 8
    "Hidden purposes."
    goals: int = 5
    "Items that end a task, of each intent; they come on top of `items`."
    tasks: int = 3
    "Tasks of a user."
    steps: tuple[int, int] = (3, 6)
    "Fewest and most steps before a task's goal."
    noise: float = 0.2
    "Share of the steps that take any item."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        few, most = self.steps
        if not (1 <= few <= most and 0 <= self.noise <= 1 and min(self.users, self.tasks, self.goals) >= 1):
            raise OptionError(f"intents: steps = {self.steps}, noise = {self.noise}, users, tasks, goals of 1 or more.")
        if not 1 <= self.intents <= self.items:
            raise OptionError(f"intents: {self.intents} intents for {self.items} items; give each an item at least.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def _made(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        tasks = self.users * self.tasks
        purpose = rng.integers(0, self.intents, tasks)
        steps = rng.integers(self.steps[0], self.steps[1] + 1, tasks)
        task = np.repeat(np.arange(tasks), steps + 1)
        last = np.append(task[1:] != task[:-1], True)
        shelf = self.items // self.intents
        ladder = np.cumsum(np.arange(1, shelf + 1) ** -0.7)
        place = np.searchsorted(ladder, rng.random(len(task)) * ladder[-1])
        item = purpose[task] * shelf + place
        stray = rng.random(len(task)) < self.noise
        item = np.where(stray, rng.integers(0, shelf * self.intents, len(task)), item)
        goal = shelf * self.intents + purpose[task] * self.goals + rng.integers(0, self.goals, len(task))
        user = task // self.tasks
        first = np.searchsorted(user, np.arange(self.users))
        return {
            "user": user, "item": np.where(last, goal, item), "order": np.arange(len(task)) - first[user],
            "intent": purpose[task], "task": task, "goal": last,
        }  # fmt: skip

    def read(self) -> Reading:
        events = pa.table({name: self._made[name] for name in ("user", "item", "order")})
        return Reading(events, {"user": "user", "item": "item", "order": "order"})

    def truth(self) -> dict[str, pa.Table]:
        """`events`: user, order, intent of the task, whether the event is its goal."""
        return {"events": pa.table({n: self._made[n] for n in ("user", "order", "item", "intent", "goal")})}
