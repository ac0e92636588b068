"""Worlds that answer back: people as columns, what they can do, who decides, and the log of what happened.

    from ethogram.world import Acts, Action, Column, World, capacity

    def wander(rows, seen, luck):                       # a policy: many people at once, on the frozen state
        tired = seen["energy"][rows] < 0.5
        return Acts("sit", rows[tired], object=luck[tired].integers("bench", 3)[:, 0])

    def sit(state, done):                               # an effect: all granted acts of the verb at once
        state["energy"][done.rows] = 1.0
        state["bench.free"] -= np.bincount(done.object, minlength=3)

    world = World(
        1_000,                                          # people; or their names
        columns={"energy": Column(initial=lambda luck: luck.uniform("energy")[:, 0])},
        things={"bench": {"free": [2, 1, 3]}},          # seen["bench.free"]
        facts={"rain": 0.0},                            # seen["rain"]
        actions=[Action("sit", on="bench", rule=capacity("bench.free"), apply=sit)],
        policies={"wander": wander},                    # bind={"wander": rows} where there are several
        seed=1, start="2024-01-01", length="10m",       # a tick is ten minutes
    )
    world.run(100)                                      # all ticks before 100
    world.log()                                         # ethogram.Log: user, item, time, kind, value, actor, cause ...
    world.intervene("set", column="rain", value=1.0)    # a logged command; at=120 for later
    branch = world.fork(50, do=Command("set", {"column": "rain", "value": 1.0}))   # paired: same random numbers
    world.at(50).state["energy"]                        # the state at a tick that has happened
    World(..., folder="runs/a", resume=True)            # kept on disk; killed, it continues with the same result

**A step** is: commands that are due -> freeze -> everybody who is awake decides on the frozen state -> claims of one
thing are settled by the rule of the verb (`everyone`, `first_wins`, `capacity`, `merge`) in the order (priority,
person, number of the act) -> effects -> one record on the tape, chained by its hash. `world.fingerprint` is the last
link: equal where all that happened is equal. It does not hang on `batch`, `workers`, the latency of models, kills,
or the order of rows (`permuting.relabelled` tests the last).

**A vector policy** is a function or an object with `act(rows, seen, luck) -> Acts | list[Acts] | None`; with `every`
or `wait(rows, seen, luck)` it says after how many ticks its people are awake again (1). `luck` draws by counting:
`uniform`, `chance`, `integers`, `normal`, `gumbel`, `among`; `choosing.tasted` and `choosing.drawn` choose by utility.
An effect wakes people with `state.wake(rows, ticks)` and plans commands with `state.schedule(name, after=3, ...)`.

**A mind** is laid over a row: `World(minds={"townsman": LMMind}, lm=LM.connect("local"))`, then
`world.promote(7, "townsman", {"name": "Ann"})`, `world.demote(7)`. It is anything with `async act(seen: Context) ->
Decision` (`minds`); `thinking.LMMind` asks a language model under a schema, with memory. Without an answer in time, or
with one that is none, the policy named by `fallback=` decides, and the log says why. `world.context(7)` is its prompt,
`world.ask(7, Question("...", options=(...)))` and `world.survey` interview without a trace.

For many: `archetypes.Archetypes` (one call per class, a draw per person), `surrogate.Surrogate` (learned from answers,
audited). `master.GameMaster` turns free words into acts. `outside.Outside` lets a human or a learning agent lead a
person; `gym.WorldEnv` and `zoo.WorldParallelEnv` are its faces for gymnasium and PettingZoo. `runahead.Reach` lets
minds that cannot meet run ahead of each other. `world.costs()` and `world.shares()` say what was spent, and who
decided.

Errors: `WorldError` (a declaration, an act, a command, an instant that is none of this world's), `StateError` (a run
on disk that is damaged or of another world), and the errors of `ethogram.lm` where they are not degraded to the
fallback.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ethogram.world.actions import Action, Done
    from ethogram.world.acts import NOTHING, Acts, Decision
    from ethogram.world.agenda import Command
    from ethogram.world.asking import Question
    from ethogram.world.columns import Column
    from ethogram.world.minds import Context
    from ethogram.world.rules import Rule, capacity, everyone, first_wins, merge
    from ethogram.world.state import NEVER, Frozen, State
    from ethogram.world.world import World

_HOMES = {
    "NEVER": "state", "NOTHING": "acts", "Action": "actions", "Acts": "acts", "Column": "columns", "Command": "agenda",
    "Context": "minds", "Decision": "acts", "Done": "actions", "Frozen": "state", "Question": "asking", "Rule": "rules",
    "State": "state", "World": "world", "capacity": "rules", "everyone": "rules", "first_wins": "rules",
    "merge": "rules",
}  # fmt: skip

__all__ = [
    "NEVER",
    "NOTHING",
    "Action",
    "Acts",
    "Column",
    "Command",
    "Context",
    "Decision",
    "Done",
    "Frozen",
    "Question",
    "Rule",
    "State",
    "World",
    "capacity",
    "everyone",
    "first_wins",
    "merge",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ethogram.world' has no attribute '{name}'")
    return getattr(importlib.import_module(f"ethogram.world.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
