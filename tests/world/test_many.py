"""A language model for many: archetypes, surrogates, and minds that run ahead."""

import asyncio
import json
import random
import re
from types import SimpleNamespace

import numpy as np
import pytest

from ethogram.errors import EndpointRefused, WorldError
from ethogram.lm import ScriptedLM
from ethogram.world import Action, Acts, Column, Decision, World, everyone
from ethogram.world.archetypes import Archetypes
from ethogram.world.runahead import Reach, _Ahead
from ethogram.world.surrogate import Surrogate

OPTIONS = {"buys tea": ("buy", 0), "buys milk": ("buy", 1), "waits": ("nothing", -1)}


def shares_of(age, mood):
    """How people of an age and a mood choose, in per cent."""
    tea = 20 + 8 * age
    return {"buys tea": tea, "buys milk": (100 - tea) // 2 + 5 * mood, "waits": 100 - tea - (100 - tea) // 2 - 5 * mood}


def model(log=None):
    def rule(messages, rng):
        age, mood = map(int, re.search(r"age (\d+), mood (\d+)", messages[-1].text).groups())
        found = shares_of(age, mood)
        if log is not None:
            log.append((age, mood))
        if "Of 100 such people" in messages[-1].text:
            return json.dumps(found)
        return json.dumps({"choice": rng.choices(list(found), list(found.values()))[0]})

    return ScriptedLM(rule, name="model")


def classes(rows, seen):
    return seen["age"][rows] * 10 + seen["mood"][rows]


def describe(code, seen):
    return f"A person of age {code // 10}, mood {code % 10}, stands in a shop."


def shop(people, policy, lm=None, **options):
    def aged(luck):
        return luck.integers("age", 8)[:, 0]

    def buy(state, done):
        state["mood"][done.rows] = (state["mood"][done.rows] + 1) % 3

    return World(
        people, columns={"age": Column("int32", initial=aged), "mood": 0}, things={"good": {"sold": [0, 0]}},
        actions=[Action("buy", on="good", rule=everyone(), apply=buy)], policies={"p": policy}, lm=lm or model(),
        seed=5, **options,
    )  # fmt: skip


def test_archetypes_cost_a_call_per_class_and_choose_like_calls_per_person():
    """(f): 100,000 people by archetype against a call for each of 2,000: shares within 2 points."""
    log = []
    world = shop(100_000, Archetypes(OPTIONS, classes, describe, by="shares"), model(log)).run(1)
    assert sorted(log) == [(age, 0) for age in range(8)]
    sold = np.bincount(world.log().table()["item"].to_numpy(), minlength=2) / 100_000
    sample = np.random.default_rng(0).choice(100_000, 2_000, replace=False)
    lm, ages = model(), world.state["age"][sample]

    async def every():
        return await asyncio.gather(*(lm.chat(describe(int(a) * 10, None), seed=i) for i, a in enumerate(ages)))

    said = [json.loads(r.text)["choice"] for r in asyncio.run(every())]
    for i, name in enumerate(("buys tea", "buys milk")):
        assert sold[i] == pytest.approx(said.count(name) / 2_000, abs=0.02 + 0.011)  # and its own sampling error
    assert world.shares() == {"archetype": 1.0}
    log.clear()
    world.run(4)
    assert len(log) == len(set(log)) == 16  # two new moods, nobody is asked about twice
    told = {r["component"]: (r["calls"], r["calls_per_hour"]) for r in world.costs().to_pylist()}
    assert told["archetype"] == (24, 24 * 60 / 4)


def test_what_archetypes_learned_is_logged_forked_and_resumed(tmp_path):
    def policy():
        return Archetypes(OPTIONS, classes, describe, by="shares")

    plain = shop(200, policy(), snapshots=2).run(6)
    notes = [r for r in plain.log(own=True).table().to_pylist() if r["kind"] == "note"]
    assert "buys" not in notes[0]["payload"]
    assert "shares" in notes[0]["payload"]
    asked = len(plain.declared.lm.asked)
    assert plain.fork(3).run(6).fingerprint == plain.fingerprint
    kept = shop(200, policy(), folder=tmp_path / "a", every=4).run(5)
    kept.close()
    again = shop(200, policy(), folder=tmp_path / "a", resume=True)
    assert again.run(6).fingerprint == plain.fingerprint
    assert len(again.declared.lm.asked) < asked
    assert shop(200, policy(), workers=2, batch=7).run(6).fingerprint == plain.fingerprint


def test_classes_without_an_answer_fall_back_and_are_asked_again():
    calls = []

    def rule(messages, rng):
        calls.append(1)
        if "age 3" in messages[-1].text and len(calls) <= 8:
            return EndpointRefused("no such model")
        return json.dumps({"buys tea": 100, "buys milk": 0, "waits": 0})

    def milk(rows, seen, luck):
        return Acts("buy", rows, object=1)

    milk.act = milk
    world = shop(300, Archetypes(OPTIONS, classes, describe, by="shares", otherwise=milk), ScriptedLM(rule, name="r"))
    table = world.run(1).log().table()
    fallen = [a == "fallback:p" for a in table["actor"].to_pylist()]
    assert [i == 1 for i in table["item"].to_pylist()] == fallen
    assert sum(fallen) == (world.at(0).state["age"] == 3).sum() > 0
    later = [r for r in world.run(2).log().table().to_pylist() if r["event"] >> 40 == 1]
    assert {r["actor"] for r in later} == {"archetype:p"}
    with pytest.raises(WorldError, match="8 new classes in one step; at most 3"):
        shop(300, Archetypes(OPTIONS, classes, describe, most=3)).run(1)
    with pytest.raises(WorldError, match="two or more options"):
        Archetypes({"a": ("buy", 0)}, classes, describe)


def test_archetypes_take_the_probabilities_of_a_choice():
    def rate(prompt, texts):
        return [np.log({"buys tea": 0.5, "buys milk": 0.3, "waits": 0.2}[t]) for t in texts]

    world = shop(20_000, Archetypes(OPTIONS, classes, describe), ScriptedLM("waits", rater=rate, name="rated")).run(1)
    sold = np.bincount(world.log().table()["item"].to_numpy(), minlength=2) / 20_000
    np.testing.assert_allclose(sold, [0.5, 0.3], atol=0.012)
    with pytest.raises(WorldError, match="need a language model"):
        World(
            1, columns={"age": 1, "mood": 0}, policies={"p": Archetypes(OPTIONS, classes, describe)},
            actions=[Action("buy")],
        ).run(1)  # fmt: skip


def test_a_surrogate_whose_teacher_fails_does_not_learn_from_it():
    async def silent(row, seen, lm):
        raise EndpointRefused("no such model")

    async def wrong(row, seen, lm):
        return 2

    def policy(teacher):
        return Surrogate([("a", -1), ("b", -1)], lambda rows, seen: seen["x"][rows], teacher, most=50)

    world = crowd(policy(silent), 100).run(2)
    assert world.events == 2  # the notes of what was asked
    assert world.live.policies["p"].answers == []
    assert world.fork(1).run(2).fingerprint == world.fingerprint
    with pytest.raises(WorldError, match="answers 2; there are 2 options"):
        crowd(policy(wrong), 100).run(1)


def taught():
    """A teacher whose answer is what the features say."""
    asked = []

    async def teacher(row, seen, lm):
        asked.append(row)
        x = seen["x"][row]
        return int(x[0] + x[1] > 0)

    teacher.asked = asked
    return teacher


def crowd(policy, people=2_000, **options):
    return World(
        people, columns={"x": Column("float64", 2, lambda luck: luck.normal("x", 2))},
        actions=[Action("a"), Action("b")], policies={"p": policy}, commands={"move": move}, seed=1, **options,
    )  # fmt: skip


def move(state):
    state["x"] = state.luck(np.arange(state.people)).normal("x", 2)
    state.schedule("move", after=1)


def test_a_surrogate_learns_answers_where_it_is_sure_and_is_audited():
    teacher = taught()
    policy = Surrogate([("a", -1), ("b", -1)], lambda rows, seen: seen["x"][rows], teacher, most=300, audit=0.02)
    world = crowd(policy)
    world.intervene("move", at=1)
    world.run(6)
    made = world.live.policies["p"]
    table = world.log().table().to_pandas()
    first, last = table[table.time == table.time.min()], table[table.time == table.time.max()]
    assert (first.actor == "model:p").sum() == 300
    assert (last.actor == "surrogate:p").mean() > 0.85
    assert made.audited > 20
    assert made.agreed / made.audited > 0.95
    x = world.state["x"].sum(1)
    right = (last.sort_values("user").kind.to_numpy() == np.where(x > 0, "b", "a")).mean()
    assert right > 0.93
    assert len(teacher.asked) < 0.2 * len(table)
    other = Surrogate([("a", -1), ("b", -1)], lambda rows, seen: seen["x"][rows], taught(), most=300, audit=0.02)
    again = crowd(other, batch=100, workers=2, snapshots=2)
    again.intervene("move", at=1)
    assert again.run(6).fingerprint == world.fingerprint
    assert again.fork(3).run(6).fingerprint == world.fingerprint


def test_a_surrogate_is_resumed_with_what_it_learned(tmp_path):
    def policy(teacher):
        return Surrogate(
            [("a", -1), ("b", -1)], lambda rows, seen: seen["x"][rows], teacher, most=50, least=20, refit=40
        )

    plain = crowd(policy(taught()), 300).run(6)
    kept = crowd(policy(taught()), 300, folder=tmp_path / "a", every=3).run(5)
    kept.close()
    teacher = taught()
    again = crowd(policy(teacher), 300, folder=tmp_path / "a", every=3, resume=True)
    assert not teacher.asked
    assert again.run(6).fingerprint == plain.fingerprint
    for wrong in ({"confident": 0}, {"audit": 2}, {"least": 1}):
        with pytest.raises(WorldError, match="Surrogate"):
            Surrogate([("a", -1), ("b", -1)], classes, taught(), **wrong)


class Walker:
    """Walks by its luck and the mood of those near it; each step takes another while."""

    wait = None

    def __init__(self, persona):
        self.radius = 3.0

    async def act(self, seen):
        if Walker.wait is not None:
            await asyncio.sleep(Walker.wait())
        luck = seen.luck.uniform("walk", 3)[0]
        places = seen.state["place"]
        near = np.hypot(*(places - places[seen.row]).T) <= self.radius
        turn = 0.01 * float(seen.state["mood"][near].sum())
        return Decision("go", value=float(2 * np.pi * luck[0] + turn), wait=1 + int(2 * luck[1]))


def go(state, done):
    state["place"][done.rows] += np.stack([np.cos(done.value), np.sin(done.value)], 1)
    state["mood"][done.rows] += 1


def town(people=20, kind=Walker, **options):
    world = World(
        people, columns={"place": Column("float64", 2, lambda luck: 50 * luck.uniform("place", 2)), "mood": 0,
                         "room": Column("int32", initial=lambda luck: luck.integers("room", 5)[:, 0])},
        minds={"walker": kind}, actions=[Action("go", apply=go)], seed=4, **options,
    )  # fmt: skip
    if not world.tick:
        for uid in range(people):
            world.promote(uid, "walker")
        world.intervene("set", at=9, column="mood", value=3)
    return world


@pytest.fixture
def restless():
    waits = random.Random(1)
    Walker.wait = lambda: waits.expovariate(1 / 0.002)
    yield
    Walker.wait = None


def test_running_ahead_ends_in_the_same_tape(restless, tmp_path):
    plain = town().run(16)
    ahead = town(reach=Reach("place", radius=3.0, speed=1.0), snapshots=5).run(16)
    assert ahead.fingerprint == plain.fingerprint
    assert ahead.state["place"].tobytes() == plain.state["place"].tobytes()
    assert ahead.fork(7).run(16).fingerprint == plain.fingerprint
    kept = town(reach=Reach("place", radius=3.0, speed=1.0), folder=tmp_path / "a", every=6).run(8)
    kept.close()
    again = town(reach=Reach("place", radius=3.0, speed=1.0), folder=tmp_path / "a", every=6, resume=True)
    assert again.run(16).fingerprint == plain.fingerprint


def test_who_may_run_ahead_is_what_the_rule_says():
    """Two clusters far from each other: one waits in its second tick until the other has done its tenth."""
    order, last = [], asyncio.Event()

    class Waiting(Walker):
        async def act(self, seen):
            order.append((seen.row, seen.tick))
            if seen.row < 2 and seen.tick == 1:
                await asyncio.wait_for(last.wait(), 60)
            if seen.row == 2 and seen.tick == 9:
                last.set()
            return Decision("go", value=0.0)

    def far(luck):
        return np.array([[0.0, 0], [0, 2], [100, 0], [100, 2]])

    world = World(
        4, columns={"place": Column("float64", 2, far), "mood": 0}, minds={"w": Waiting},
        actions=[Action("go", apply=go)], reach=Reach("place", radius=3.0, speed=1.0),
    )  # fmt: skip
    for uid in range(4):
        world.promote(uid, "w")
    world.run(10)
    assert order.index((2, 9)) < order.index((0, 2))
    # those who can meet decide each tick together
    assert [t for r, t in order if r == 0] == [t for r, t in order if r == 1] == list(range(10))


def test_a_reach_that_is_not_kept_shows_in_the_fingerprint(restless):
    """People look 30 far, but are declared to look 3 far: the check that a user can make finds it."""

    class Sharp(Walker):
        def __init__(self, persona):
            self.radius = 30.0

    plain = town(kind=Sharp).run(16)
    assert town(kind=Sharp, reach=Reach("place", radius=30.0, speed=1.0)).run(16).fingerprint == plain.fingerprint
    assert town(kind=Sharp, reach=Reach("place", radius=3.0, speed=1.0)).run(16).fingerprint != plain.fingerprint


def test_people_of_different_rooms_never_meet():
    class Roomy(Walker):
        async def act(self, seen):
            mine = seen.state["room"] == seen.state["room"][seen.row]
            return Decision("go", value=float(seen.state["mood"][mine].sum()))

    plain, ahead = town(kind=Roomy).run(12), town(kind=Roomy, reach=Reach(apart="room")).run(12)
    assert ahead.fingerprint == plain.fingerprint


def test_a_wrong_reach_is_told():
    for wrong in ({}, {"place": "p", "radius": -1}):
        with pytest.raises(WorldError, match="Reach"):
            Reach(**wrong)
    with pytest.raises(WorldError, match="no column 'plaze'"):
        town(reach=Reach("plaze")).run(1)
    with pytest.raises(WorldError, match="cannot stand beside sequential"):
        town(reach=Reach("place"), sequential=True).run(1)

    class Broken(Walker):
        async def act(self, seen):
            return Decision("go", value=1.0 / (2 - seen.tick))

    world = town(kind=Broken, reach=Reach("place"))
    with pytest.raises(ZeroDivisionError):
        world.run(3)
    with pytest.raises(WorldError, match="broke off"):
        world.run(3)


def test_what_was_learned_in_a_tick_that_broke_off_is_learned_again():
    """A budget that stops a mind in the tick in which archetypes asked: the notes are on the tape all the same."""
    from ethogram.errors import BudgetSpent

    broke = [True]

    class Poor:
        async def act(self, seen):
            if broke[0]:
                raise BudgetSpent("spent")
            return Decision()

    def made(**options):
        world = shop(50, Archetypes(OPTIONS, classes, describe, by="shares"), minds={"m": lambda p: Poor()}, **options)
        world.promote(3, "m")
        return world

    world = made(spent="stop")
    with pytest.raises(BudgetSpent):
        world.run(2)
    broke[0] = False
    assert world.run(2).fingerprint == made().run(2).fingerprint
    assert world.fork(1).run(2).fingerprint == world.fingerprint


@pytest.mark.parametrize("apart", ["", "room"])
def test_who_may_go_is_found_as_by_distances_of_everybody_to_everybody(apart):
    n, reach = 300, Reach("place", 3.0, 1.0, apart)
    rng = np.random.default_rng(1)
    wake, place, room = rng.integers(0, 4, n), rng.integers(0, 60, (n, 2)).astype(float), rng.integers(0, 3, n)
    flying = rng.random(n) < 0.2
    live = SimpleNamespace(arrays={"wake": wake, "place": place, "room": room})
    found = _Ahead(live, SimpleNamespace(reach=reach), 3, flying).clusters()

    far = np.linalg.norm(place[:, None] - place[None], axis=2)
    far = np.where(room[:, None] != room[None], np.inf, far) if apart else far
    idle, behind = ~flying & (wake < 3), wake[:, None] - wake[None]
    held = ((behind > 0) & (far <= 3 + behind + 1.0)).any(1)
    label = np.where(idle, np.arange(n), -1)
    for _ in range(n):  # the least number spreads over those who can meet
        near = (far <= 4.0) & (behind == 0) & idle[:, None] & idle[None]
        label = np.where(idle, np.where(near, label[None], n).min(1), -1)
    expected = [np.flatnonzero(label == one) for one in np.unique(label[idle])]
    expected = [tuple(g) for g in expected if not held[g].any()]
    assert sorted(tuple(g) for g in found) == sorted(expected)
    assert len(expected) > 20
