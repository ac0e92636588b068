"""The faces for gymnasium and PettingZoo, and the verb `simulate`."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from ethogram.errors import OptionError, WorldError
from ethogram.system import system
from ethogram.testing import check
from ethogram.verbs import State
from ethogram.world import Action, Acts, Column, World, first_wins
from ethogram.world.gym import WorldEnv, choices
from ethogram.world.outside import Outside
from ethogram.world.zoo import WorldParallelEnv


def rest(rows, seen, luck):
    return Acts("eat", rows[luck.chance("hungry", 0.3)], object=0)


def eat(state, done):
    state["hunger"][done.rows] -= 1


def kitchen(seed=0, people=5, **options):
    return World(
        people, columns={"hunger": Column(initial=lambda luck: 3 + luck.uniform("hunger")[:, 0])},
        things={"pot": {"size": [1, 2]}}, policies={"rest": rest}, minds={"player": Outside}, seed=seed,
        actions=[Action("eat", on="pot", rule=first_wins(), apply=eat), Action("sleep")], **options,
    )  # fmt: skip


HOW = {
    "observe": lambda seen, row: [seen["hunger"][row], seen["hunger"].mean(), seen.tick],
    "reward": lambda before, after, row: float(before["hunger"][row] - after["hunger"][row]),
    "horizon": 12,
}


def test_gymnasium_believes_the_face():
    from gymnasium.utils.env_checker import check_env

    env = WorldEnv(kitchen, uid=2, **HOW)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about bounds that are infinite
        check_env(env)
    assert env.choices == [("nothing", -1), ("eat", 0), ("eat", 1), ("sleep", -1)]
    first, _ = env.reset(seed=3)
    rewards, over = [], False
    while not over:
        seen, reward, _, over, told = env.step(2)
        rewards.append(reward)
    # pot 1 is nobody else's: every step eats
    assert rewards == pytest.approx([1.0] * 12)
    assert seen[0] == pytest.approx(first[0] - 12)
    assert told["tick"] == 12
    assert {r["actor"] for r in env.world.log().table().to_pylist() if r["user"] == 2} == {"outside:player"}
    again, _ = env.reset(seed=3)
    np.testing.assert_array_equal(again, first)
    assert "hunger" in env.render()
    with pytest.raises(OptionError, match="horizon"):
        WorldEnv(kitchen, **{**HOW, "horizon": 0})
    with pytest.raises(WorldError, match="no verb 'fly'"):
        choices(kitchen(), ["fly"])


def test_pettingzoo_believes_the_face():
    from pettingzoo.test import parallel_api_test

    env = WorldParallelEnv(kitchen, [0, 3], **HOW)
    parallel_api_test(env, num_cycles=20)
    env.reset(seed=1)
    # both claim pot 1: the first in the fixed order gets it
    _, rewards, ended, cut, _ = env.step({"person 0": 2, "person 3": 2})
    assert rewards == {"person 0": 1.0, "person 3": 0.0}
    assert not any(ended.values())
    assert not any(cut.values())
    with pytest.raises(OptionError, match="one or more uids"):
        WorldParallelEnv(kitchen, [], **HOW)


@dataclass(kw_only=True)
class Kitchen:
    """People who eat."""

    fitted = True

    def world(self, *, seed=0, minds=None, lm=None):
        made = kitchen(seed, lm=lm)
        for uid in range(minds or 0):
            made.promote(uid, "player")
        return made

    def plan(self, world):
        return None

    def example(self, *, seed=0):
        return self.world(seed=seed)

    def run(self, world, until, *, seed=0):
        return world.fork().run(until).log()

    def state(self):
        return State()

    def restore(self, state):
        return self


class Forgetful(Kitchen):
    """Runs the world that it is given itself."""

    def run(self, world, until, *, seed=0):
        return world.run(world.tick + until).log()


class Impatient(Kitchen):
    """Its people know when the run will end."""

    def run(self, world, until, *, seed=0):
        branch = world.fork()
        branch.intervene("set", column="hunger", value=float(until))
        return branch.run(until).log(own=True)


class Silent(Kitchen):
    """Does not say that it is a simulation."""

    def run(self, world, until, *, seed=0):
        from ethogram.log import Log

        return Log.open(super().run(world, until).table().drop_columns(["source"]))


class Mindless(Kitchen):
    """Plays nobody, however many minds are asked for."""

    def world(self, *, seed=0, minds=None, lm=None):
        return kitchen(seed, lm=lm)


SAID = {"paper": "none", "year": 2024, "area": "simulate", "verbs": ("simulate",)}
kitchen_system = system("kitchen", **SAID)(Kitchen)


def test_a_system_that_keeps_the_promises_of_simulate():
    check("kitchen")


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        (Forgetful, "simulate untouched"),
        (Impatient, "simulate continued"),
        (Silent, "simulate is_a_log"),
        (Mindless, "simulate worlds"),
    ],
)
def test_a_broken_promise_is_noticed(kind, broken):
    made = system(f"wrong_{kind.__name__.lower()}", **SAID)(dataclass(kw_only=True)(kind))
    with pytest.raises(AssertionError, match=f"breaks '{broken}'"):
        check(made())
