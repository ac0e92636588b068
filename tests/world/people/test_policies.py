"""Policies of people: by script, by choice, with a mind that plans; and households as an environment."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from ethogram import system
from ethogram.errors import OptionError, StepError
from ethogram.lm import ScriptedLM
from ethogram.log import Histories, Log, Vocabulary
from ethogram.world import NOTHING, Action, World, everyone
from ethogram.world.people.choosers import Choices, LearnedTaste, Scripted, logit
from ethogram.world.people.displays import display_response
from ethogram.world.people.gym import ShoppingEnv
from ethogram.world.people.persona import Persona
from ethogram.world.people.planning import PlanningMind

BUY = Action("buy", on="item", rule=everyone(), about="buy it")


def test_a_script_is_followed():
    lines = {1: [(0, "buy", 3, 2.5), (2, "buy", 1, 1.0)], 2: [(1, "look", -1, 0.0)]}
    world = World(
        3, things={"item": {"price": np.ones(5)}}, actions=[BUY, Action("look")], policies={"script": Scripted(lines)}
    )
    rows = world.run(4).log().table().to_pylist()
    assert [(r["user"], r["kind"], r["item"], r["value"]) for r in sorted(rows, key=lambda r: r["event"])] == [
        (0, "buy", 3, 2.5), (2, "buy", 1, 1.0), (1, "look", None, 0.0),
    ]  # fmt: skip
    with pytest.raises(OptionError, match="tick 3"):
        Scripted({3: [(0, "buy")]})


def test_choices_have_the_probabilities_of_the_logit():
    utility = np.array([0.5, -1.0, 1.2])
    offer = np.array([4, 0, 2, -1])

    def liked(rows, items, seen):
        return np.broadcast_to(np.append(utility, 9.0), items.shape)  # what is not offered cannot be liked

    policy = Choices("buy", lambda rows, seen: np.broadcast_to(offer, (len(rows), 4)), liked, outside=0.3)
    world = World(20_000, things={"item": {"price": np.ones(5)}}, actions=[BUY], policies={"people": policy}, seed=3)
    item = world.run(1).log().table()["item"].to_numpy()
    whole = np.exp(np.append(utility, 0.3))
    wanted = whole[:3] / whole.sum()
    assert np.allclose([np.mean(np.r_[item == i].sum() / 20_000) for i in (4, 0, 2)], wanted, atol=0.012)
    shop = {"things": {"item": {"price": np.ones(5)}}, "actions": [BUY], "policies": {"people": policy}}
    other = World(20_000, **shop, seed=3, batch=999)
    assert other.run(1).fingerprint == world.fingerprint


def test_the_logit_finds_what_was_planted():
    rng = np.random.default_rng(0)
    score = rng.normal(0, 3, (6_000, 4))
    utility = np.column_stack([0.7 * score, np.full(6_000, 0.4)]) + rng.gumbel(size=(6_000, 5))
    choice = utility.argmax(1)
    taken = (choice[:, None] == np.arange(4)).reshape(-1)
    scale, outside = logit(score.reshape(-1), taken, np.arange(6_001) * 4)
    assert abs(scale - 0.7) < 0.03
    assert abs(outside - 0.4) < 0.08
    with pytest.raises(StepError, match="slates"):
        logit(np.ones(4), np.zeros(4, bool), np.array([0, 2, 4]))


def test_any_system_can_be_the_taste_of_a_population(shop_log):
    fitted = system("personal_frequency").fit(shop_log, seed=0)
    ids = Vocabulary(pa.array(range(120)))
    whole = shop_log.histories()

    def so_far(rows, seen):
        return whole[np.asarray(rows)]

    taste = LearnedTaste(fitted, so_far, ids, scale=0.5)
    first = np.array(whole.item[whole.start])
    known = Vocabulary.decode(whole.vocabularies["item"], first).to_numpy()
    offered = np.stack([known, (known + 61) % 120], 1)

    def familiar(scale):
        policy = Choices("buy", lambda rows, seen: offered[rows], replace(taste, scale=scale), outside=-1.0)
        world = World(40, things={"item": {"price": np.ones(120)}}, actions=[BUY], policies={"people": policy}, seed=1)
        table = world.run(30).log().table()
        return np.mean(table["item"].to_numpy() == known[table["user"].to_numpy()])

    # what was taken before is taken rather than something else, the more, the more the taste counts
    assert abs(familiar(0.0) - 0.5) < 0.05
    assert familiar(0.0) + 0.1 < familiar(0.5) < familiar(3.0)


def test_a_taste_is_fitted_on_slates():
    rng = np.random.default_rng(1)
    rows = []
    for s in range(400):
        shown = rng.choice(20, 3, replace=False)
        u = np.append(0.2 * shown, 2.0) + rng.gumbel(size=4)
        rows += [(s % 50, int(i), s * 60_000_000, s, float(u.argmax() == j)) for j, i in enumerate(shown)]
    user, item, time, slate, label = map(list, zip(*rows, strict=True))
    when = pa.array(time, pa.timestamp("us", "UTC"))
    log = Log.open(pa.table({"user": user, "item": item, "time": when, "slate": slate, "label": label}))

    class Code:
        def score(self, histories, candidates, context=None):
            return candidates.vocabulary.decode(candidates.items).to_numpy(zero_copy_only=False).astype(float)

    taste = LearnedTaste(Code(), lambda rows, seen: Histories.of([[]]), Vocabulary(pa.array(range(20))))
    fitted, outside = taste.fitted(log.questions("slates"))
    assert abs(fitted.scale - 0.2) < 0.05
    assert abs(outside - 2.0) < 0.6


def test_displays_are_compared_within_items():
    # a popular item shown often, a rare one seldom: pooled, being shown would seem to matter; item by item it does not
    same = display_response([90, 1], [10, 9], [900, 100], [100, 900])
    assert np.isclose(same.value, 1)
    twice = display_response([200, 40], [100, 20], [1000, 1000], [1000, 1000])
    assert np.isclose(twice.value, 2)
    assert twice.low <= 2 <= twice.high
    for wrong, said in (
        (([1], [1, 2], [3, 3], [3, 3]), "counts of 1"), (([5], [1], [3], [3]), "item 0"),
        (([1], [0], [3], [3]), "no item"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=said):
            display_response(*wrong)


def answers(messages, rng):
    """A resident: plans, sits where the plan says, rates, asks and concludes."""
    said = messages[-1].text
    if "Plan your day" in said:
        return {"plan": [{"hour": 12, "activity": "sit down"}, {"hour": 0, "activity": "sing"}]}
    if "On a scale" in said:
        return {"importance": 9 if "sit" in said else 2}
    if "most important questions" in said:
        return {"questions": ["where does this person sit?"]}
    if "What follows" in said:
        return {"insights": [{"insight": "likes the chair", "because_of": [1, 2]}]}
    sits = "planned for now: sit down" in said
    return {"do": "sit" if sits else "sing", "on": "chair 1" if sits else "", "say": ""}


def village(lm=None, **options):
    chairs = {"chair": {"used": [0, 0]}}
    world = World(
        1, things=chairs, columns={"joy": 1.0}, facts={"warm": 20.0},
        actions=[Action("sit", on="chair", rule=everyone()), Action("sing")], policies={"idle": lambda r, s, k: None},
        minds={"neighbour": lambda persona: PlanningMind(persona, **options)},
        lm=lm or ScriptedLM(answers, name="village"), start="2024-01-01", length="6h",
    )  # fmt: skip
    world.promote(0, "neighbour", Persona(id="ann", demographics={"name": "Ann"}, goals=("wants a chair",)).to_json())
    return world


def test_a_mind_plans_its_day_keeps_what_matters_and_reflects():
    world = village(reflects=20.0, recall=3)
    world.run(6)
    kinds = [r["kind"] for r in world.log().table().sort_by("event").to_pylist() if r["kind"] != "command"]
    assert kinds == ["sing", "sing", "sit", "sit", "sing", "sing"]  # four ticks a day, the plan turns at noon
    mind = world.live.overlay.of(0).mind
    rows = mind.memory.to_arrow().to_pylist()
    by_kind = {k: [r for r in rows if r["kind"] == k] for k in ("observation", "plan", "thought")}
    assert [r["text"] for r in by_kind["plan"]] == ["my plan for today: 0:00 sing; 12:00 sit down"] * 2
    seen = [r["text"] for r in by_kind["observation"]]
    assert seen.count("joy: 1; warm: 20") == 1  # what lasts is kept once
    assert [r["importance"] for r in by_kind["observation"] if "sit" in r["text"]] == [9.0]
    assert by_kind["thought"] == [] or by_kind["thought"][0]["evidence"]
    asked = [m[-1].text for m in world.declared.lm.asked]
    assert any("Ann" in m[0].text and "wants a chair" in m[0].text for m in world.declared.lm.asked)
    assert sum("Plan your day" in a for a in asked) == 2
    assert any("Yesterday you planned: 0:00 sing" in a for a in asked)


def test_a_mind_reflects_when_it_has_taken_in_enough():
    world = village(reflects=10.0).run(4)
    rows = world.live.overlay.of(0).mind.memory.to_arrow().to_pylist()
    thoughts = [r for r in rows if r["kind"] == "thought"]
    assert thoughts
    assert all(t["text"] == "likes the chair" and t["evidence"] and t["depth"] >= 1 for t in thoughts)
    never = village(reflects=0.0).run(4).live.overlay.of(0).mind.memory.to_arrow().to_pylist()
    assert "thought" not in {r["kind"] for r in never}


def test_a_fork_of_a_planner_goes_on_as_the_run_did():
    world = village(reflects=20.0).run(6)
    fork = world.fork(3).run(6)
    assert fork.fingerprint == world.fingerprint
    mind, other = (w.live.overlay.of(0).mind for w in (world, fork))
    assert mind.state() == other.state()


def test_a_whisper_is_remembered_and_an_interview_is_not():
    world = village().run(2)
    mind = world.live.overlay.of(0).mind
    mind.whisper("the mayor is in the chair", time=world.declared.time(world.tick))
    before = json.dumps(mind.state(), default=str)
    world.declared.lm.wire._rule = lambda messages, rng: {"answer": "yes" if "mayor" in messages[-1].text else "no"}
    assert world.ask(0, "Who is in the chair?") == "yes"
    assert json.dumps(mind.state(), default=str) == before
    assert "mayor" in world.context(0)
    assert NOTHING in world.context(0)


def test_households_are_an_environment(people):
    env = ShoppingEnv(people, k=3, size=20, days=40, response=5.0, household=2)
    seen, info = env.reset(seed=7)
    assert env.observation_space.contains(seen)
    assert info["household"] == people.purchases.users[2].as_py()
    own = people.purchases.item[people.purchases.user == 2]
    pool = env.pool.tolist()
    liked = [pool.index(i) for i in env.pool if i in set(own.tolist())][:3]
    strange = [pool.index(i) for i in env.pool if i not in set(own.tolist())][:3]

    def play(action, **how):
        world = ShoppingEnv(people, k=3, size=20, days=40, response=5.0, household=2, **how)
        rewards = []
        for episode in range(6):
            world.reset(seed=episode)
            done = False
            while not done:
                _, reward, _, done, _ = world.step(action)
                rewards.append(reward)
        return np.array(rewards)

    good, bad = play(liked), play(strange)
    assert good.mean() > bad.mean() >= 0  # showing nothing costs nothing: the reward is what the slate added
    assert np.array_equal(play(liked), good)
    assert play(liked, reward="bought").sum() > good.sum()
    assert (play([0, 0, 0]) >= -1).all()
    from gymnasium.utils.env_checker import check_env

    check_env(env, skip_render_check=True)


def test_an_environment_refuses(people):
    for wrong, said in (
        ({"k": 0}, "k = 0"), ({"household": 99}, "household 99"), ({"reward": "joy"}, "reward = 'joy'"),
        ({"pool": [10**6]}, "pool must hold"), ({"displacement": 3}, "displacement = 3"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=said):
            ShoppingEnv(people, **wrong)
    env = ShoppingEnv(people, k=2)
    env.reset(seed=1)
    with pytest.raises(OptionError, match="2 places of the pool"):
        env.step([0, 1000])
