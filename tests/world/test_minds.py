"""Minds: asked all at once, recorded and replayed; late, wrong, too expensive; shown, interviewed, led from outside."""

import asyncio
import json

import pytest
from tests.world.market import answer, market

from ethogram.errors import BudgetSpent, EndpointDown, EndpointRefused, NotRecorded, OptionError, WorldError
from ethogram.lm import Broker, Budget, Limits, Retries, ScriptedLM
from ethogram.world import NOTHING, Action, Acts, Decision, Question, World, everyone
from ethogram.world.master import GameMaster, Pattern
from ethogram.world.outside import Outside, act
from ethogram.world.thinking import LMMind


def rows(world, **how):
    return world.log(own=True, **how).table().sort_by("event").to_pylist()


def room(rule="", people=1, mind=LMMind, lm=None, **options):
    """A room with two chairs, people with minds in it, and a policy that counts the sheep."""

    def count(rows, seen, luck):
        return Acts("count", rows, value=1.0)

    world = World(
        people, things={"chair": {"used": [0, 0]}}, columns={"joy": 1.0}, facts={"warm": 20.0},
        policies={"sheep": count},
        actions=[Action("sit", on="chair", rule=everyone(), about="sit down"), Action("count"), Action("sing")],
        minds={"guest": mind, "player": Outside}, lm=lm or ScriptedLM(rule, name="room"), **options,
    )  # fmt: skip
    for uid in range(people):
        world.promote(uid, "guest", {"name": f"Guest {uid}"})
    return world


SIT = json.dumps({"do": "sit", "on": "chair 1", "say": "ah"})


def test_a_mind_acts_by_its_models_answer_and_the_log_says_so():
    world = room(SIT).run(2)
    acts = [r for r in rows(world) if r["kind"] != "command"]
    assert [(r["kind"], r["item"], r["text"], r["actor"]) for r in acts] == [("sit", 1, "ah", "model:guest")] * 2
    assert world.shares() == {"model": 1.0}
    assert "joy: 1; warm: 20" in world.declared.lm.asked[0][-1].text


def test_a_prompt_can_be_seen_at_any_tick_and_looking_changes_nothing():
    world, looked = room(SIT).run(4), room(SIT)
    for _ in range(4):
        looked.context(0)
        looked.run(looked.tick + 1)
        looked.context(0)
    assert looked.fingerprint == world.fingerprint
    kept = [m.live.overlay.held[0].mind.state() for m in (world, looked)]
    assert kept[0] == kept[1]
    assert world.context(0, at=0).startswith("You are a person in a simulated world. name: Guest 0")
    assert "You remember" not in world.context(0, at=0)
    assert "- I did: sit chair 1. ah" in world.context(0, at=1)
    assert world.declared.lm.asked[1][-1].text.split("\n\nAnswer as")[0] in world.context(0, at=1)
    assert "name: Guest 1" in room(SIT, people=2).context(1)  # promoted at once


def test_promotion_and_demotion_change_who_decides():
    world = World(
        2, actions=[Action("count"), Action("sing")], policies={"sheep": lambda rows, *_: Acts("count", rows)},
        minds={"singer": lambda persona: Singer()},
    )  # fmt: skip
    world.promote(1, "singer", at=1)
    world.demote(1, at=3)
    world.run(4)
    told = [(r["time"].minute, r["kind"]) for r in rows(world) if r["user"] == 1]
    assert told == [(0, "count"), (1, "sing"), (2, "sing"), (3, "count")]
    assert [json.loads(r["payload"])["name"] for r in rows(world) if r["user"] == -1] == ["promote", "demote"]


class Singer:
    async def act(self, seen):
        return Decision("sing")


def failing(at, error, rest=SIT):
    """A model that fails in one call of many."""
    calls = [0]

    async def rule(messages, rng):
        calls[0] += 1
        if calls[0] == at:
            if error == "slow":
                await asyncio.sleep(30)
            if error == "down":
                return EndpointDown("nobody answers")
            if error == "silent":
                return "I would rather not say."
            return error
        return rest

    # one try, so that call 500 is tick 499
    return ScriptedLM(rule, name="failing", broker=Broker.bare(retries=Retries(tries=1)))


class Once(LMMind):
    """One attempt per decision, no memory: a thousand of them are quick."""

    def __init__(self, persona):
        super().__init__(persona, recall=0)

    async def act(self, seen):
        from ethogram.world.offering import offered, read

        schema = offered(seen)[0]
        return read(seen, (await seen.lm.answer("What?", schema, attempts=1, seed=seen.seed)).value)


@pytest.mark.parametrize(
    ("error", "ticks", "why"),
    [
        ("slow", 1_000, "no answer within 3 seconds"),
        ("silent", 1_000, "AnswerError"),
        ("down", 100, "EndpointDown"),
        (json.dumps({"do": "fly", "on": "", "say": ""}), 100, "AnswerError"),
        (json.dumps({"do": "sit", "on": "", "say": ""}), 100, "there is no such chair"),
    ],
)
def test_a_model_that_fails_at_step_500_of_1000_is_a_recorded_fallback(error, ticks, why):
    world = room(lm=failing(ticks // 2, error), mind=Once, fallback="sheep", deadline=3 if error == "slow" else 60)
    world.run(ticks)
    fallen = [r for r in rows(world) if r["actor"].startswith("fallback")]
    assert [(r["kind"], r["actor"], r["value"]) for r in fallen] == [("count", "fallback:guest", 1.0)]
    assert why in json.loads(fallen[0]["payload"])["why"]
    assert fallen[0]["event"] >> 40 == ticks // 2 - 1
    assert world.tick == ticks
    assert world.shares() == {"fallback": 1 / ticks, "model": 1 - 1 / ticks}
    assert world.fork(ticks - 1).run(ticks).fingerprint == world.fingerprint


def test_without_a_fallback_policy_whoever_cannot_decide_does_nothing():
    world = room(lm=failing(2, "down"), mind=Once).run(3)
    assert [r["kind"] for r in rows(world)[1:]] == ["sit", NOTHING, "sit"]
    assert world.log().table()["kind"].to_pylist() == ["sit", "sit"]


def test_a_spent_budget_degrades_the_run_or_stops_it_where_it_can_go_on():
    def limited(**options):
        lm = ScriptedLM(SIT, name="room", broker=Broker.bare(budget=Budget(calls=3)))
        return room(lm=lm, fallback="sheep", mind=Once, **options)

    world = limited().run(5)
    assert [r["kind"] for r in rows(world)[1:]] == ["sit", "sit", "sit", "count", "count"]
    world = limited(spent="stop")
    with pytest.raises(BudgetSpent):
        world.run(5)
    assert (world.tick, world.events) == (3, 4)
    world.declared.lm.broker.purse.budget = Budget(calls=5)
    assert [r["kind"] for r in rows(world.run(5))[1:]] == ["sit"] * 5


def test_a_recorded_day_is_replayed_without_a_call(tmp_path):
    """25 people, recorded and replayed strictly: no call is sent, and the fingerprint is the same."""

    def day(mode):
        asked = []

        def rule(messages, rng):
            asked.append(1)
            return answer(messages, rng)

        broker = Broker(run=tmp_path / "day.lmrun", mode=mode)
        world = market(people=25, minds=25, lm=ScriptedLM(rule, name="day", broker=broker)).run(8)
        if mode == "record":
            broker.close()
        return world, len(asked)

    recorded, sent = day("record")
    replayed, again = day("replay-strict")
    assert sent > 50
    assert again == 0
    assert replayed.fingerprint == recorded.fingerprint
    with pytest.raises(NotRecorded):
        replayed.run(30)
    assert replayed.tick == 8


def test_minds_are_asked_at_once():
    """25 minds, 16 calls at once: the lanes are full. What that gains, (d), is measured by the benchmark."""
    flying, most = [0], [0]

    async def rule(messages, rng):
        flying[0] += 1
        most[0] = max(most[0], flying[0])
        await asyncio.sleep(0.01)
        flying[0] -= 1
        return SIT

    lm = ScriptedLM(rule, name="slow", broker=Broker.bare(limits=Limits(concurrency=16)))
    room(lm=lm, people=25, mind=Once).run(2)
    assert (most[0], len(lm.asked)) == (16, 50)


def test_questions_are_answered_at_any_time_and_leave_no_trace():
    def rule(messages, rng):
        text = messages[-1].text
        if "Tea or coffee" in text:
            return json.dumps({"answer": "tea" if "I did: sit" in text else "coffee"})
        if "Are you happy" in text:
            return json.dumps({"answer": "yes"})
        return json.dumps({"answer": 4}) if "happy" in text else SIT

    world = room(lm=ScriptedLM(rule, name="asked"), people=2).run(3)
    before = world.fingerprint, world.live.overlay.held[0].mind.state()
    drink = Question("Tea or coffee?", options=("tea", "coffee"))
    assert (world.ask(0, drink), world.ask(0, drink, at=1), world.ask(0, "Are you happy?")) == ("tea", "tea", "yes")
    table = world.survey([0, 1], [drink, Question("How happy are you?", low=1, high=5)])
    assert table["answer"].to_pylist() == ["tea", "4", "tea", "4"]
    assert (world.fingerprint, world.live.overlay.held[0].mind.state()) == before
    assert world.run(5).fingerprint == room(lm=ScriptedLM(rule, name="asked"), people=2).run(5).fingerprint
    world.demote(1)
    with pytest.raises(WorldError, match="row 1 has no mind"):
        world.run(6).ask(1, "Who are you?")
    assert world.ask(1, drink, mind="guest") == "coffee"
    for wrong in (
        {"text": " "},
        {"text": "x", "low": 3, "high": 3},
        {"text": "x", "options": ("a",), "low": 1, "high": 2},
    ):
        with pytest.raises(OptionError):
            Question(**wrong)
    down = ScriptedLM(lambda messages, rng: EndpointRefused("no such model"), name="down")
    failed = room(lm=down).run(1).survey([0], ["Why?"]).to_pylist()[0]
    assert (failed["answer"], failed["error"]) == (None, "EndpointRefused: no such model")


class Speaker:
    """Says what it tries, in free words."""

    words = ("I SIT on chair 0", "I sit on the table", "take a nap", "", "hum a tune", "set the house on fire")

    def __init__(self, persona):
        pass

    async def act(self, seen):
        return Decision("", text=self.words[seen.tick])


def test_the_game_master_turns_free_words_into_acts():
    def judge(messages, rng):
        verb = "sing" if "hum a tune" in messages[-1].text else NOTHING
        return json.dumps({"do": verb, "on": "", "say": ""})

    rules = [Pattern(r"sit on (the )?(?P<on>chair \d|\w+)", "sit"), Pattern("nap", "count")]
    world = room(lm=ScriptedLM(judge, name="judge"), mind=Speaker, master=GameMaster(rules)).run(6)
    told = [(r["kind"], r["item"], json.loads(r["payload"])["why"]) for r in rows(world)[1:]]
    assert told == [
        ("sit", 0, r"rule: sit on (the )?(?P<on>chair \d|\w+)"), (NOTHING, None, "there is no 'table'"),
        ("count", None, "rule: nap"), (NOTHING, None, "nothing was said"), ("sing", None, "game master"),
        (NOTHING, None, "game master"),
    ]  # fmt: skip
    assert len(world.declared.lm.asked) == 2
    costs = {r["component"]: r["calls"] for r in world.costs().to_pylist()}
    assert costs["game master"] == 2
    assert room(mind=Speaker, master=GameMaster(model=False)).run(5).log(own=True).table()["kind"][1].as_py() == NOTHING
    with pytest.raises(WorldError, match="no regular expression"):
        GameMaster([Pattern("(", "sit")])


def test_somebody_from_outside_is_led_like_any_mind():
    world = room(SIT, people=2, fallback="sheep")
    world.promote(1, "player")
    world.run(1)
    act(world, 1, "sit", 0, text="me")
    world.run(3)
    told = [(r["kind"], r["item"], r["actor"]) for r in rows(world) if r["user"] == 1]
    assert told == [
        ("count", None, "fallback:player"),
        ("sit", 0, "outside:player"),
        ("count", None, "fallback:player"),
    ]
    # the same columns as anybody else's events; only `actor` knows
    assert {r["kind"] for r in rows(world) if r["user"] == 0} == {"sit"}
    assert world.fork(2).fingerprint == world.at(2).fingerprint  # repeated from the tape, link by link
    for uid, verb, on, wrong in ((1, "sit", 5, "object 5"), (1, "fly", 0, "'fly'"), (0, "sit", 0, "led by 'guest'")):
        with pytest.raises(WorldError, match=wrong):
            act(world, uid, verb, on)


def test_somebody_at_a_screen_is_waited_for_no_longer_than_the_deadline():
    async def screen(seen):
        await asyncio.sleep(0 if seen.tick == 0 else 60)
        return Decision("sing", text=f"at tick {seen.tick}")

    world = World(
        1, actions=[Action("sing"), Action("count")], policies={"sheep": lambda rows, *_: Acts("count", rows)},
        minds={"player": lambda persona: Outside(persona, screen)}, fallback="sheep", deadline=1.0,
    )  # fmt: skip
    world.promote(0, "player")
    told = [(r["kind"], r["actor"], r["text"]) for r in rows(world.run(2))[1:]]
    assert told == [("sing", "outside:player", "at tick 0"), ("count", "fallback:player", None)]


def test_what_a_mind_returns_is_checked():
    class Odd:
        def __init__(self, wrong):
            self.wrong = wrong

        async def act(self, seen):
            return self.wrong

    for wrong, why in (
        ("sit", "must return a Decision"), (Decision("sit", 7), "object 7"), (Decision("sing", wait=0), "waits 0"),
        (Decision("sing", value=float("nan")), "nan"), (Decision("sing", via="magic"), "'magic'"),
        (Decision("sing", notes={1, 2}), "JSON can hold"),
    ):  # fmt: skip
        world = room(mind=lambda persona, wrong=wrong: Odd(wrong)).run(1)
        assert why in json.loads(rows(world)[-1]["payload"])["why"]


def test_what_is_remembered_is_the_same_in_a_repetition():
    class Exact:
        def __init__(self, persona):
            self.kept = []

        async def act(self, seen):
            if seen.tick == 2:
                raise TimeoutError
            return Decision("sing", value=0.1, text="la", notes={"seen": (1, 2)}, why="so")

        def remember(self, seen, acts):
            self.kept.append(acts)

        def state(self):
            return {}

        def restore(self, state):
            pass

    world = room(mind=Exact).run(4)
    again = world.fork(0).run(0)
    assert not again.live.overlay.held
    repeated = world.at(3).live.overlay.of(0).mind.kept
    assert repeated == world.live.overlay.of(0).mind.kept[:3]
    assert [a.why for (a,) in repeated] == ["so", "so", "TimeoutError"]


def test_a_mind_without_a_model_is_told():
    world = World(1, minds={"m": LMMind}, policies={"p": lambda *a: None}, actions=[Action("a")])
    world.promote(0, "m")
    with pytest.raises(WorldError, match="no language model"):
        world.run(1).ask(0, "Who?")
