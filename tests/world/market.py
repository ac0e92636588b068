"""A market: people with tastes buy at stalls whose stock is short; some of them have minds."""

import asyncio
import json
import random

import numpy as np

from ethogram.lm import ScriptedLM
from ethogram.world import Action, Acts, Column, World, capacity, merge
from ethogram.world.choosing import tasted
from ethogram.world.thinking import LMMind

STALLS = np.random.default_rng(5).normal(size=(8, 16)).astype(np.float32)


class Shopper:
    """Buys by taste, praises what it bought before, sleeps for a while."""

    def act(self, rows, seen, luck):
        bought = Acts("buy", rows, object=tasted(seen["taste"], rows, seen["stall.vector"], luck, "buy"), value=1.5)
        uid, happy = seen["uid"], rows[luck.chance("praise", 0.3) & (seen["last"][rows] >= 0)]
        said = Acts(
            "praise", happy, object=seen["last"][happy], value=1.0, cause=seen["event"][happy],
            text={i: f"I like stall {seen['last'][r]}" for i, r in enumerate(happy.tolist()) if uid[r] % 2 == 0},
        )  # fmt: skip
        return [bought, said]

    def wait(self, rows, seen, luck):
        return 1 + luck.integers("wait", 3)[:, 0]


def buy(state, done):
    state["last"][done.rows] = done.object
    state["event"][done.rows] = done.event
    state["money"][done.rows] -= done.value
    state["stall.stock"] -= np.bincount(done.object, minlength=8)


def praise(state, done):
    state["stall.fame"][done.objects] += done.merged


def deliver(state, amount=5):
    state["stall.stock"] += int(amount)
    state.schedule("deliver", after=4, amount=amount)


def answer(messages, rng: random.Random):
    """A model that buys somewhere; the seed of the request decides where."""
    return json.dumps({"do": "buy", "on": f"stall {rng.randrange(8)}", "say": "please"})


def slow(seconds, seed):
    """The same answers, each after another while."""
    waits = random.Random(seed)

    async def policy(messages, rng):
        await asyncio.sleep(waits.random() * seconds)
        return answer(messages, rng)

    return ScriptedLM(policy, name="market")


def market(people=60, minds=0, lm=None, seed=3, **options):
    world = World(
        people,
        columns={
            "taste": Column(width=16, initial=lambda luck: luck.normal("taste", 16)), "last": -1, "money": 100.0,
            "event": Column("int64", initial=-1),
        },
        things={"stall": {"vector": STALLS, "stock": np.full(8, 5), "fame": np.zeros(8)}},
        facts={"rain": 0.0},
        actions=[
            Action("buy", on="stall", rule=capacity("stall.stock"), apply=buy, about="buy something"),
            Action("praise", on="stall", rule=merge("sum"), apply=praise, priority=1, about="praise a stall"),
        ],
        policies={"shopper": Shopper()}, minds={"person": LMMind}, commands={"deliver": deliver},
        lm=lm or ScriptedLM(answer, name="market"), seed=seed, start="2024-03-01", length="10m", **options,
    )  # fmt: skip
    if world.tick == 0 and not world.live.agenda.history:
        world.intervene("deliver", at=2, amount=6)
        for uid in range(minds):
            world.promote(uid, "person", {"name": f"Person {uid}"})
    return world
