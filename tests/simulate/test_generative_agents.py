"""Generative agents: retrieval, plans, talk, news, interventions, one result, recovery, failing and real models."""

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from ethogram import system
from ethogram.errors import EndpointDown, OptionError, WorldError
from ethogram.lm import Broker, Budget, Retries, ScriptedLM
from ethogram.lm.memory import HOUR, Memory
from ethogram.simulate.generative_agents import GenerativeAgents, planning, prompts
from ethogram.simulate.generative_agents.life import STEP, STROKE
from ethogram.simulate.generative_agents.measures import density, knows, spent, stays, talks
from ethogram.simulate.generative_agents.scripted import Person, _keep, _rule, expanded, folded, news, townsfolk
from ethogram.simulate.generative_agents.talking import _lines
from ethogram.text.table import TextTable
from ethogram.world import Question
from ethogram.world.runahead import Reach
from ethogram.world.town import Town
from ethogram.world.town.folk import CANDIDACY, PARTY, Resident, residents
from ethogram.world.town.plans import Room, default_town, drawn

HOURS = 360


def texts(world, uid):
    memory = world.live.overlay.held[uid].mind.memory
    return [memory.text(i) for i in range(len(memory))]


def minds(world):
    return [held.mind.state() for held in world.live.overlay.held.values()]


@cache
def morning():
    """Four neighbours from 7:00 to 10:30."""
    chatty = townsfolk(1, talks=1.0, tells=1.0)
    return GenerativeAgents(lm=chatty).world(people=4, seed=1, start="2026-02-13T07:00").run(7 * HOURS // 2)


# retrieval


def test_what_was_accessed_last_weighs_most_by_time_and_by_rank():
    for ranked, decay in ((False, 0.995), (True, 0.99)):
        memory = Memory(TextTable(), decay=decay, ranked=ranked)
        for hour in range(4):
            memory.add(f"note {hour}", time=hour * HOUR)
        memory.column("accessed")[1] = 9 * HOUR
        found = memory.retrieve("x", 4, now=10 * HOUR, weights=(1, 0, 0), touch=False)
        assert found.records.tolist() == [1, 3, 2, 0]
        ages = [1, 7, 8, 10] if not ranked else [0, 1, 2, 3]
        raw = decay ** np.array(ages, float)
        np.testing.assert_allclose(found.scores, (raw - raw.min()) / np.ptp(raw), atol=1e-12)


def test_the_weights_of_the_paper_and_of_the_released_code():
    for scoring, weights, decay in (("paper", (1, 1, 1), 0.995), ("released", (0.5, 2, 3), 0.99)):
        world = GenerativeAgents(scoring=scoring).world(people=1, start="2026-02-13T03:00")
        memory = world.live.overlay.held[0].mind.memory
        assert (memory.weights, memory.decay, memory.ranked) == (weights, decay, scoring == "released")


def test_a_copy_of_a_memory_goes_on_by_itself():
    memory = Memory(TextTable())
    memory.add("one", time=0)
    other = memory.copy()
    other.add("two", time=1, evidence=(0,))
    other.retrieve("one", 1, now=5)
    assert (len(memory), len(other), memory.column("accessed").tolist()) == (1, 2, [0])
    assert other.to_arrow().slice(0, 1).column("text").to_pylist() == ["one"]


# plans


def test_a_schedule_sums_to_a_day_whatever_is_answered():
    rng = random.Random(0)
    for _ in range(50):
        some = [[rng.randrange(1500), rng.randrange(0, 900), "a", "a", False] for _ in range(rng.randrange(6))]
        made = planning.filled([e for e in some if e[1]])
        assert sum(e[1] for e in made) == 1440
        assert all(a[0] + a[1] == b[0] for a, b in itertools.pairwise(made))
        assert planning.entry(made, 0)[0] == 0


def test_days_are_planned_anew_split_just_in_time_and_slept_without_a_call():
    asked = []

    def rule(messages, rng):
        asked.append(messages[-1].text)
        return _rule(messages, rng)

    world = GenerativeAgents(lm=ScriptedLM(rule, name="watched")).world(people=2, seed=1)
    world.run(5 * HOURS)
    assert sum("Task: day" in a for a in asked) == 2  # the plan, and then nobody asks anything
    assert not any("Task: hours" in a for a in asked)
    before = len(asked)
    world.run(6 * HOURS - 1)
    assert len(asked) == before
    for until in (9, 15, 23):
        world.run(until * HOURS)
        for held in world.live.overlay.held.values():
            life = held.mind.life
            assert sum(e[1] for e in life.schedule) == 1440
            assert all(5 <= e[1] <= 60 for e in life.schedule if e[4] == STEP)
            minute = 60 * until  # what lies ahead is not worked out before its time
            assert {e[4] for e in life.schedule if e[0] > minute + 3 * 60 and not planning.rests(e[2])} <= {STROKE}
    assert len({text for text in asked if "Task: split" in text}) > 20
    assert len([text for text in asked if "Task: hours" in text]) > 8
    first = [list(h.mind.life.schedule) for h in world.live.overlay.held.values()]
    night = len(asked)
    world.run(29 * HOURS)
    assert len(asked) == night
    world.run(31 * HOURS)
    assert sum("Task: day" in a for a in asked) == 4
    assert sum("Task: mind" in a for a in asked) == 2  # what is on their minds is asked again on the second day
    assert [h.mind.life.schedule for h in world.live.overlay.held.values()] != first
    assert {h.mind.life.day for h in world.live.overlay.held.values()} == {20498}
    assert set(world.shares()) == {"model"}  # every answer of the townsfolk is one


def test_a_day_that_is_too_dull_is_asked_for_once_more():
    asked = []

    def rule(messages, rng):
        text = messages[-1].text
        if "Task: day" in text:
            asked.append(text)
            rises = Person(messages[0].text).up
            return dict.fromkeys((f"at {h}:00" for h in range(rises, 24, 3)), "working at Library")
        return _rule(messages, rng)

    GenerativeAgents(lm=ScriptedLM(rule, name="dull")).world(people=1, seed=1).run(1)
    assert len(asked) == 2
    assert "only 1 different" in asked[1]


def test_the_rest_of_a_day_is_planned_again_where_it_changes_and_kept_where_not():
    """What was heard changes one stroke; the hours that were worked out already stay as they are."""
    world = GenerativeAgents(lm=townsfolk(1)).world(people=3, seed=1).run(10 * HOURS)
    held = world.live.overlay.held[2].mind
    before = planning.remaining(held.life.schedule, 11, held.life.rises)
    GenerativeAgents().whisper(world, held.person.name, "There is a concert at the Library on 13 February at 19:00.")
    world.run(10 * HOURS + 30)
    after = planning.remaining(held.life.schedule, 11, held.life.rises)
    assert list(before) == list(after)
    changed = [h for h in before if before[h] != after[h]]
    assert changed
    assert all("19:00 attending the party at Library" in after[h] or h >= 19 for h in changed)
    assert len(changed) < len(before)


def test_a_stroke_says_its_hours_and_appointments_before_all():
    for first, hours in ((9, ["a", "a", "b"]), (16, ["a", "b", "c"]), (21, ["a", "sleeping", "sleeping"])):
        assert expanded(folded(hours, first), first, first + 3) == hours
    long = ["walking in the wide park", "reading the whole paper in the Library", "attending the party at the Café"]
    told = folded(long, 16)
    assert len(told) <= prompts.STROKE
    assert expanded(told, 16, 19) == [long[0], long[0], long[2]]


# talk and news


def test_what_is_said_is_kept_and_a_line_names_what_it_was_learned_from():
    world = morning()
    table = world.log(kinds=["talk", "say"]).table().to_pylist()
    assert any(r["text"] == PARTY and r["user"] == "Mara Quill" for r in table)
    caused = [r for r in table if r.get("cause")]
    by_event = {r["event"]: r for r in table}
    for row in caused:
        assert set(news(row["text"])) & set(news(by_event[row["cause"]]["text"]))
    assert any('Mara Quill said to me: "' in t for t in texts(world, 1))
    held = world.live.overlay.held[1].mind
    kept = [i for i, t in enumerate(texts(world, 1)) if t.startswith("I should remember")]
    assert kept
    assert all(held.memory.evidence[i] for i in kept)


def test_who_knows_can_be_traced_and_without_memory_nobody_else_knows():
    world, system_ = morning(), GenerativeAgents()
    found = knows(world, system_, PARTY, (0,))
    assert len(found.says) >= 2
    assert found.made_up == ()
    assert len(knows(world, system_, "There is a flood at the mill.", (0,)).says) == 0
    bare = GenerativeAgents(memory=False, lm=townsfolk(1, talks=1.0, tells=1.0))
    other = bare.world(people=4, seed=1, start="2026-02-13T07:00").run(3 * HOURS)
    assert knows(other, bare, PARTY, (0,)).says == (0,)
    assert all(not texts(other, uid) for uid in range(4))
    assert 0 < density(world) <= 1
    assert spent(world)["calls"] > 0
    assert talks(world)[0, 1] == sum(t.startswith("Mara Quill said to me") for t in texts(world, 1)) > 0


def test_knowledge_that_nobody_told_is_found_out():
    world = morning().fork()
    world.live.overlay.held[3].mind.memory.add(f'Somebody said to me: "{CANDIDACY}"', time=0, importance=9)
    world.live.overlay.held[3].mind.sources.append(-1)
    told = knows(world, GenerativeAgents(), CANDIDACY, (1,))
    assert 3 in told.says
    assert (3 in told.made_up) == (not any(CANDIDACY in t for t in texts(morning(), 3)))


def test_minutes_at_a_place_are_those_of_the_steps():
    world = morning()
    home = stays(world, "Millrace House", 0, world.tick)
    cafe = stays(world, "Lantern Café", 0, world.tick)
    assert 0 < home[0] + cafe[0] <= 210
    assert 2 not in cafe


# interventions


def test_a_whisper_becomes_a_thought_and_is_passed_on():
    system_ = GenerativeAgents(lm=townsfolk(1, talks=1.0, tells=1.0))
    world = system_.world(people=4, seed=1, start="2026-02-13T07:00")
    secret = "There is a concert at the Library on 15 February at 19:00."
    system_.whisper(world, "Mara Quill", secret)
    world.run(7 * HOURS // 2)
    assert secret in texts(world, 0)
    assert any(f'said to me: "{secret}' in t for t in texts(world, 1))
    assert any(r["text"] == secret for r in world.log(kinds=["talk", "say"]).table().to_pylist())
    with pytest.raises(WorldError, match="unknown person 'Edda'"):
        system_.whisper(world, "Edda", secret)


def test_a_changed_object_is_seen():
    system_ = GenerativeAgents()
    world = system_.world(people=2, seed=1, start="2026-02-13T06:00")
    for thing in ("table", "stove", "sofa"):
        system_.set_object(world, f"Ashford Quay:Millrace House:living room:{thing}", "burning", at=10)
    world.run(3 * HOURS)
    assert any(t.endswith("is burning") for uid in range(2) for t in texts(world, uid))


def test_an_interview_changes_nothing_and_names_its_evidence():
    world, system_ = morning(), GenerativeAgents()
    before, kept = world.fingerprint, minds(world)
    told = system_.interview(world, 1, Question(f"Have you heard of this: {PARTY}?", options=("yes", "no")))
    assert told.answer == "yes"
    assert all(PARTY in texts(world, 1)[r] for r in told.records)
    assert told.event >= 0
    assert world.ask(0, Question("How old are you?", options=("34", "52"))) == "34"
    assert "Planned" not in world.context(0)
    assert "07:00 to" in world.context(0)
    assert (world.fingerprint, minds(world)) == (before, kept)


# the same result


def shuffled(seed):
    luck = random.Random(seed)

    async def rule(messages, rng):
        await asyncio.sleep(luck.random() / 500)
        return _rule(messages, rng)

    return ScriptedLM(rule, name="townsfolk 1", seed=1)


def test_the_latency_of_answers_changes_nothing():
    def run(lm):
        return GenerativeAgents(lm=lm).world(people=4, seed=1, start="2026-02-13T08:00").run(HOURS // 2)

    plain = run(townsfolk(1))
    late = run(shuffled(3))
    assert (late.fingerprint, minds(late)) == (plain.fingerprint, minds(plain))


def test_running_ahead_of_who_is_far_away_changes_nothing():
    def run(reach):
        return GenerativeAgents().world(people=5, seed=1, start="2026-02-13T06:50", reach=reach).run(3 * HOURS // 2)

    assert run(Reach("spot", radius=5, speed=1)).fingerprint == run(None).fingerprint


def test_a_past_state_and_a_fork_know_what_was_known():
    world = morning()
    again = world.at(world.tick - 1).run(world.tick)
    assert again.fingerprint == world.fingerprint
    rebuilt = world.fork(2 * HOURS).run(world.tick)
    assert (rebuilt.fingerprint, minds(rebuilt)) == (world.fingerprint, minds(world))


def test_a_replayed_run_asks_nobody(tmp_path):
    def run(lm):
        return GenerativeAgents(lm=lm).world(people=3, seed=1, start="2026-02-13T08:00").run(HOURS // 2)

    first = townsfolk(1, broker=Broker(run=tmp_path / "a.lmrun", mode="record", cache=False))
    recorded = run(first)
    first.broker.close()
    again = townsfolk(1, broker=Broker(run=tmp_path / "a.lmrun", mode="replay-strict"))
    assert run(again).fingerprint == recorded.fingerprint
    assert not again.asked
    again.broker.close()


KILLED = """
import sys
from ethogram.simulate.generative_agents import GenerativeAgents
world = GenerativeAgents().world(people=3, seed=2, start="2026-02-13T08:00", folder=sys.argv[1], every=40)
for tick in range(1, 100_000):
    world.run(tick)
    print(tick, flush=True)
"""


def test_a_run_that_was_killed_goes_on_to_the_same_end(tmp_path):
    made = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    for line in made.stdout:
        if int(line) >= 130:
            break
    made.send_signal(signal.SIGKILL)
    made.wait()
    system_ = GenerativeAgents()
    ways = {"people": 3, "seed": 2, "start": "2026-02-13T08:00"}
    resumed = system_.world(**ways, folder=tmp_path / "run", every=40, resume=True)
    assert resumed.tick > 100
    until = resumed.tick + 60
    whole = system_.world(**ways).run(until)
    assert resumed.run(until).fingerprint == whole.fingerprint
    assert minds(resumed) == minds(whole)
    people = json.loads((tmp_path / "run" / "people.json").read_text("utf-8"))
    assert [p["name"] for p in people] == [p.name for p in residents(3)]
    assert Town.read(tmp_path / "run" / "town.json").json() == default_town().json()


# models that fail, models that are real


def test_without_answers_people_stay_and_the_log_says_why():
    def rule(messages, rng):
        return EndpointDown("nobody answers") if "Task: use" in messages[-1].text else _rule(messages, rng)

    lm = ScriptedLM(rule, name="failing", broker=Broker.bare(retries=Retries(tries=1)))
    world = GenerativeAgents(lm=lm).world(people=2, seed=1, start="2026-02-13T08:00").run(30)
    assert world.shares()["fallback"] == 1.0
    assert "nobody answers" in world.log().table().column("payload").to_pylist()[0]


def test_a_budget_ends_thinking_not_the_world():
    lm = townsfolk(1, broker=Broker.bare(budget=Budget(calls=40)))
    world = GenerativeAgents(lm=lm).world(people=4, seed=1, start="2026-02-13T08:00").run(2 * HOURS)
    assert world.tick == 2 * HOURS
    assert 0 < world.shares()["fallback"] < 1


def test_the_embedded_model_lives_a_moment_under_the_schemas(local):
    brief = GenerativeAgents(lm=local, planning=False, reflection=False, recall=3, encoder="hash")
    hut = drawn("hill", [("Hut", (Room("room", 6, ("bed 1", "bed 2", "table"), private=True),))])
    home = {"home": "Hut", "learned": "", "currently": "", "lifestyle": ""}
    people = [Resident(name=name, age=30, innate="calm", **home) for name in ("Ann Bell", "Bo Carr")]
    world = brief.world(hut, people, seed=1, start="2026-02-13T08:00").run(2)
    rows = world.log().table().to_pylist()
    assert {r["actor"] for r in rows} == {"model:resident"}, [r["payload"] for r in rows]
    assert {r["user"] for r in rows} == {"Ann Bell", "Bo Carr"}


def test_the_embedded_model_fills_what_is_named_by_the_hour(local):
    asked, schema = prompts.hours("Ann", range(9, 11), "working at the mill")
    found = local.sync.answer(asked, schema, max_tokens=2 * planning.TOKENS)
    told = prompts.by_hour(found.value, range(9, 11))
    assert found.attempts == 1
    assert all(0 < len(t) <= prompts.BRIEF for t in told)


# promises


def test_no_template_names_a_person_or_a_place():
    import inspect

    source = inspect.getsource(prompts)
    assert not [p.name for p in residents() if p.first in source or p.home in source]


@pytest.mark.parametrize(
    ("options", "error"),
    [({"vision": 0}, "vision = 0"), ({"threshold": 0}, "threshold"), ({"temperature": -1}, "temperature"),
     ({"scoring": "mine"}, "scoring"), ({"views": 3}, "no option")],
)  # fmt: skip
def test_options_that_cannot_be(options, error):
    with pytest.raises(OptionError, match=error):
        system("generative_agents", **options)


def test_a_thought_goes_back_to_the_lines_that_it_is_from():
    said = ['Ann: "How are you?"', 'Ben: "Fine."', f'Ann: "{PARTY}"']
    talk = {"lines": said, "records": [7, 9]}
    assert _lines(talk, "Ann") == {1: 7, 3: 9}
    assert _lines({"lines": said[1:2], "records": []}, "Ann") == {}
    asked, schema = prompts.keep("Ben", "Ann", said)
    assert "3. Ann: " in asked
    told = _keep(SimpleNamespace(name="Ben"), asked, random.Random(0))
    assert told["because_of"] == [3]
    assert news(told["remember"]) == news(PARTY)
    assert set(told) == set(schema["required"])
