"""The world that is controlled: people take a habit up, by themselves or after their friends, and give it up again.

    P(i takes it up)  = s_i (innovation + campaign_t) + imitation mean_{j friend of i} [j has it]     capped at 1
    P(i gives it up)  = abandonment
    campaign_t        = 0.8 campaign_{t-1} + strength of what was injected

(a Bass process on a random graph with leaving). s_i is a susceptibility that hangs on the person's groups. The norm is
a quota: how many may take the habit up in a tick; who comes too late is refused.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import OptionError, WorldError
from ethogram.lm import ScriptedLM
from ethogram.lm.messages import Message
from ethogram.simulate.human_control.scenario import Scenario
from ethogram.world import Action, Acts, Column, Decision, World, capacity
from ethogram.world.minds import Context
from ethogram.world.outside import Outside
from ethogram.world.state import Frozen, State
from ethogram.world.thinking import LMMind

FRIENDS, DECAY, ANY = 8, 0.8, 2**31 - 1
POLICY, RESIDENT, ACTOR = "neighbour", "resident", "actor"


def drawn(people: int, marginals: Mapping[str, Mapping[str, float]], seed: int = 0) -> dict[str, np.ndarray]:
    """A population with these marginals: attribute -> group of each person, int32[people].

    Numbers of each group are exact up to rounding (largest remainders); attributes are independent of each other.
    """
    made = {}
    for place, (name, shares) in enumerate(marginals.items()):
        wanted = np.array(list(shares.values()), float) * people
        count = np.floor(wanted).astype(int)
        rest = people - count.sum()
        count[np.argsort(count - wanted, kind="stable")[:rest]] += 1
        groups = np.repeat(np.arange(len(shares), dtype=np.int32), count)
        made[name] = np.random.default_rng([seed, 21, place]).permutation(groups)
    return made


def neighbour(rows: np.ndarray, seen: Frozen, luck: Any) -> list[Acts]:
    """Everybody by rule; see the module."""
    has = seen["has"][rows]
    around = seen["has"][seen["friends"][rows]].mean(1)
    chance = seen["open"][rows] * (seen["innovation"] + seen["campaign"]) + seen["imitation"] * around
    u = luck.uniform("habit")[:, 0]
    up, down = rows[~has & (u < chance)], rows[has & (u < seen["abandonment"])]
    return [Acts("take_up", up, object=np.zeros(len(up), np.int64)), Acts("give_up", down)]


def _taken(state: State, done: Any) -> None:
    state["has"][done.rows] = True
    state["since"][done.rows] = state.tick


def _given(state: State, done: Any) -> None:
    state["has"][done.rows] = False


def inject(state: State, strength: float) -> None:
    """A campaign begins; it wears off by a fifth with each tick."""
    if not 0 <= strength <= 1:
        raise WorldError(f"inject: strength = {strength}; give 0 to 1.")
    state["campaign"] += strength
    if strength:
        state.schedule("wear_off", after=1)


def wear_off(state: State) -> None:
    state["campaign"] *= DECAY
    if state["campaign"] > 1e-4:
        state.schedule("wear_off", after=1)
    else:
        state["campaign"] = 0.0


def quota(state: State, most: int | None = None) -> None:
    """How many may take the habit up in a tick from now on."""
    if most is not None and most < 0:
        raise WorldError(f"quota: {most}; give 0 or more, or null for everybody.")
    state["habit.room"] = [ANY if most is None else most]


def note(state: State, uid: int, text: str) -> None:
    """Put a memory into a person's mind."""
    found = np.flatnonzero(state["uid"] == uid)
    if not len(found) or not text.strip():
        raise WorldError(f"note: there is no person {uid}, or nothing is to be remembered.")
    state["note"][found[0]] = state.intern([text.strip()])[0]
    state["noted"][found[0]] = state.tick


class Resident(LMMind):
    """A mind with a memory that can be edited from outside (`note`)."""

    def __init__(self, persona: Mapping[str, Any]):
        super().__init__(persona, verbs=("take_up", "give_up"), purpose="resident: act")

    def _noted(self, seen: Context) -> str:
        """What was put into the memory since the last decision."""
        fresh = seen.state["noted"][seen.row] == seen.tick and seen.state["note"][seen.row] >= 0
        return seen.state.text(seen.state["note"][seen.row]) if fresh else ""

    def _asked(self, seen: Context) -> str:
        told = self._noted(seen)
        return (f"You remember:\n- {told}\n" if told else "") + super()._asked(seen)

    def remember(self, seen: Context, acts: Sequence[Decision]) -> None:
        if told := self._noted(seen):
            self.memory.add(told, time=seen.time, importance=9, kind="given")
        super().remember(seen, acts)


def talker(messages: Sequence[Message], luck: random.Random) -> str:
    """A resident by rule: keeps off what it remembers as bad, else follows its friends."""
    text = messages[-1].text
    if "You can:" not in text:
        bad = "harmful" in text.split("You see:")[0]
        return json.dumps({"answer": "I keep away from it." if bad else "I look at what my friends do."})
    remembered = text.split("You see:")[0]
    has, friends = "You do it" in text, int(text.partition(" of your ")[0].rsplit(" ", 1)[-1])
    if "harmful" in remembered:
        return json.dumps({"do": "give_up" if has else "nothing", "on": "", "say": ""})
    wants = luck.random() < friends / FRIENDS
    done = "take_up" if wants and not has else "give_up" if has and not friends else "nothing"
    return json.dumps({"do": done, "on": "habit" if done == "take_up" else "", "say": ""})


def world(
    scenario: Scenario, *, seed: int = 0, minds: int = 0, lm: Any = None, deadline: float | None = None, **more: Any
) -> World:  # fmt: skip
    """The world of a scenario; the first `minds` people are played by `lm` (by rule, if None).

    Parameters
    ----------
    deadline : seconds that a mind or an actor has for a decision; then the rule decides. more : of `World`.
    """
    n = scenario.people
    if not 0 <= minds <= n:
        raise OptionError(f"human_control: {minds} minds among {n} people; give 0 to {n}.")
    groups = drawn(n, scenario.marginals, seed)
    rng = np.random.default_rng([seed, 22])
    friends = (np.arange(n)[:, None] + rng.integers(1, n, (n, min(FRIENDS, n - 1)))) % n
    bent = sum((g % 2 * 0.4 - 0.2 for g in groups.values()), np.zeros(n))
    columns: dict[str, Any] = {
        "has": Column("bool"), "since": Column("int32", 0, -1), "friends": friends.astype(np.int32),
        "open": np.clip(rng.gamma(4.0, 0.25, n) * (1 + bent), 0, 5).astype(np.float32),
        "note": Column("int32", 0, -1), "noted": Column("int32", 0, -1), **groups,
    }  # fmt: skip

    def observe(seen: Frozen, row: int) -> str:
        doing = "You do it" if seen["has"][row] else "You do not do it"
        around = int(seen["has"][seen["friends"][row]].sum())
        loud = " A campaign speaks for it." if seen["campaign"] > 0 else ""
        return (
            f"The habit is {scenario.habit}. {doing}. {around} of your {seen['friends'].shape[1]} friends do it.{loud}"
        )

    made = World(
        n, columns=columns, things={"habit": {"room": [ANY if scenario.quota is None else scenario.quota]}},
        facts={c: float(getattr(scenario, c)) for c in ("innovation", "imitation", "abandonment")} | {"campaign": 0.0},
        actions=[
            Action(
                "take_up", on="habit", rule=capacity("habit.room", fair=True), apply=_taken,
                about=f"begin {scenario.habit}",
            ),
            Action("give_up", apply=_given, about="stop it"),
        ],
        policies={POLICY: neighbour}, minds={RESIDENT: Resident, ACTOR: Outside}, fallback=POLICY,
        names={"habit": ["habit"]},
        commands={"inject": inject, "wear_off": wear_off, "quota": quota, "note": note}, observe=observe,
        lm=lm or ScriptedLM(talker, name="residents", seed=seed), seed=seed, start="2024-01-01",
        length=scenario.length, deadline=deadline, run=f"{scenario.habit}, seed {seed}", **more,
    )  # fmt: skip
    for uid in range(minds):
        made.promote(uid, RESIDENT, {"name": f"Resident {uid}", "groups": {k: int(g[uid]) for k, g in groups.items()}})
    for shock in scenario.campaigns:
        made.intervene("inject", at=int(shock["at"]), by="scriptwriter", strength=float(shock["strength"]))
    return made
