"""Commands are typed and logged, the taxonomy is covered, and each part against values computed elsewhere."""

import json

import numpy as np
import pyarrow as pa
import pytest
from tests.simulate.descriptions import FIRST, SECOND

from ethogram.errors import OptionError, UnknownName, WorldError
from ethogram.lm import ScriptedLM
from ethogram.log import Log
from ethogram.simulate.human_control import HumanControl
from ethogram.simulate.human_control.calibrating import NAMES, calibrated, simulated, statistics
from ethogram.simulate.human_control.compiling import compiled
from ethogram.simulate.human_control.covering import SCENARIOS, as_page, coverage
from ethogram.simulate.human_control.habits import drawn, world
from ethogram.simulate.human_control.prototype import fitted
from ethogram.simulate.human_control.registry import REGISTRY, WHO, WHY, control
from ethogram.simulate.human_control.scenario import Scenario
from ethogram.simulate.human_control.session import Session

PLAIN = {"habit": "cycling", "people": 60, "until": 20}


@pytest.fixture
def session():
    made = Session(Scenario(**PLAIN), seed=3, minds=1)
    made.do("begin")
    return made


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_command_works(name):
    SCENARIOS[name]()


def test_the_taxonomy_is_covered_and_a_gap_is_told(monkeypatch):
    told = coverage(run=False)
    assert told["missing"] == []
    assert all(told["why"][v] for v in WHY)
    assert all(told["who"][v] for v in WHO)
    assert json.loads(json.dumps(told)) == told

    def broken():
        raise AssertionError("it does not")

    for name in list(SCENARIOS):
        monkeypatch.setitem(SCENARIOS, name, broken if name in ("prototype", "evaluate") else lambda: None)
    told = coverage()
    assert told["missing"] == ["why: evaluate", "who: prototype"]
    assert "AssertionError: it does not" in as_page(told)


def test_commands_are_declared_by_the_taxonomy():
    where = {"when": "during", "what": "agents", "who": "actor", "how": "code"}
    with pytest.raises(UnknownName, match="Did you mean 'explore'"):
        control(why="explor", **where)
    with pytest.raises(OptionError, match="does not say what it does"):
        control(why="explore", **where)(lambda session: None)

    def step(session):
        """Twice."""

    with pytest.raises(OptionError, match="two commands"):
        control(why="explore", **where)(step)


@pytest.mark.parametrize(
    ("name", "arguments", "error", "said"),
    [
        ("injec", {}, UnknownName, "Did you mean 'inject'"),
        ("inject", {"strength": "much"}, OptionError, "it must be float"),
        ("inject", {"strength": True}, OptionError, "it must be float"),
        ("inject", {}, OptionError, "missing a required argument: 'strength'; it takes strength, at"),
        ("inject", {"strength": 3.0}, WorldError, "give 0 to 1"),
        ("inject", {"strength": 0.3, "at": 1.5}, OptionError, "must be int"),
        ("edit_rule", {"parameter": "height", "value": 0.1}, OptionError, "innovation, imitation, abandonment"),
        ("edit_memory", {"uid": 40, "text": "x"}, WorldError, "has no mind"),
        ("compile", {"text": "400 people adopt cycling over 9 days."}, WorldError, "has begun"),
        ("step", {"ticks": 0}, OptionError, "1 or more"),
        ("pause", {"at": 0}, WorldError, "already"),
        ("rewind", {"to": 9}, WorldError, "has not happened"),
        ("act", {"uid": 3, "verb": "take_up"}, WorldError, "no mind"),
        ("evaluate", {"reference": {"shar": 1}}, OptionError, "no statistic 'shar'"),
    ],
)
def test_what_cannot_be_done_is_told_and_leaves_no_trace(session, name, arguments, error, said):
    before = session.running.fingerprint, len(session.journal)
    with pytest.raises(error, match=said):
        session.do(name, **arguments)
    assert (session.running.fingerprint, len(session.journal)) == before


def test_interventions_are_events_and_looking_is_none(session, tmp_path):
    session.do("inject", strength=0.4, at=4)
    session.do("edit_norm", quota=1, at=6, by="Ann")
    session.do("step", ticks=12)
    print_ = session.running.fingerprint
    session.do("look", uid=3)
    session.do("interview", uid=0, asked="And you?")
    session.do("question", asked="select event from events")
    assert session.running.fingerprint == print_
    table = session.running.log(own=True, kinds=["command"]).table()
    told = [json.loads(p) for p in table.column("payload").to_pylist()]
    assert [t["name"] for t in told if t["by"] == "director" and t["name"] != "promote"] == ["inject", "quota"]
    assert session.again().running.fingerprint == print_
    lines = [json.loads(line) for line in session.write(tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [e["control"] for e in lines][-3:] == ["look", "interview", "question"]
    assert lines[2]["by"] == "Ann"
    # the norm: one beginning a tick from tick 6 on
    starts = session.running.log(kinds=["take_up"]).table()
    tick = (starts.column("time").cast(pa.int64()).to_numpy() - session.running.declared.time(0)) // 86_400_000_000
    assert np.bincount(tick, minlength=12)[6:].max() <= 1


def test_hazards_are_those_of_the_equations():
    scenario = Scenario(habit="x", people=40_000, until=4, innovation=0.02, imitation=0.4, abandonment=0.1)
    made = world(scenario, seed=1)
    rng = np.random.default_rng(0)
    made.intervene("set", column="has", value=(rng.random(40_000) < 0.5).tolist())
    made.intervene("inject", strength=0.1)
    before = made.state["has"].copy()
    around = before[made.state["friends"]].mean(1)
    chance = np.where(before, 0.1, np.minimum(made.state["open"] * 0.12 + 0.4 * around, 1))
    made.run(1)
    changed = made.state["has"] != before
    for some in (before, ~before & (around < 0.4), ~before & (around > 0.6)):
        spread = np.sqrt((chance[some] * (1 - chance[some])).sum())
        assert abs(changed[some].sum() - chance[some].sum()) < 4 * spread
    made.run(3)
    assert made.state["campaign"] == pytest.approx(0.1 * 0.8**2)


def test_statistics_of_a_run_are_those_of_its_log():
    made = world(Scenario(habit="x", people=50, until=8, innovation=0.2), seed=2).run(8)
    found = dict(zip(NAMES, statistics(made), strict=True))
    assert found["share at the end"] == pytest.approx(made.state["has"].mean())
    kinds = made.log().table().column("kind").to_pylist()
    alone = world(Scenario(habit="x", people=50, until=8, innovation=0.2), seed=2).run(1)
    first = alone.log().table().column("kind").to_pylist().count("take_up")
    one = dict(zip(NAMES, statistics(alone), strict=True))
    assert one["begin rate, no friend"] == pytest.approx(first / 50)
    assert found["give-up rate"] <= kinds.count("give_up")


def test_populations_have_the_marginals_exactly():
    groups = drawn(1_000, {"age": {"a": 0.333, "b": 0.667}, "place": {"x": 0.5, "y": 0.25, "z": 0.25}}, seed=4)
    assert np.bincount(groups["age"]).tolist() == [333, 667]
    assert np.bincount(groups["place"]).tolist() == [500, 250, 250]
    assert sorted(np.bincount(drawn(10, {"g": {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}})["g"])) == [3, 3, 4]


@pytest.mark.parametrize(("text", "meant"), [*FIRST, *SECOND])
def test_descriptions_compile(text, meant):
    found = compiled(text)
    assert {n: getattr(found, n) for n in meant} == meant


def test_what_a_description_lacks_is_named():
    with pytest.raises(OptionError, match="habit, people, until missing"):
        compiled("Make it rain.")
    with pytest.raises(OptionError, match="until missing"):
        compiled("400 people adopt cycling.")
    liar = ScriptedLM(json.dumps(dict.fromkeys(("habit", "people", "until", "innovation", "imitation", "abandonment",
                                                "quota")) | {"campaigns": []}))  # fmt: skip
    with pytest.raises(OptionError, match="missing"):
        compiled("400 people adopt cycling over 9 days.", liar)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"people": 1}, "people = 1"), ({"until": 2.5}, "until = 2.5"), ({"imitation": 1.2}, "imitation = 1.2"),
        ({"quota": -1}, "quota"), ({"campaigns": [{"at": 1}]}, "campaigns"), ({"poeple": 3}, "Did you mean 'people'"),
        ({"marginals": {"g": {"a": 0.4}}}, "must sum to 1"), ({"length": "soon"}, "length"), ({"habit": " "}, "habit"),
    ],
)  # fmt: skip
def test_scenarios_are_checked(change, said):
    with pytest.raises(OptionError, match=said):
        Scenario.of(PLAIN | change)


def test_parameters_are_found():
    scenario = Scenario(habit="x", people=800, until=30)
    true = {"innovation": 0.012, "imitation": 0.25, "abandonment": 0.03}
    target = dict(zip(NAMES, simulated(scenario, true, 5).tolist(), strict=True))
    found = calibrated(scenario, target, runs=60, seed=1)
    assert found.runs <= 60
    assert {n: found.parameters[n] == pytest.approx(v, rel=0.25) for n, v in true.items()} == dict.fromkeys(true, True)
    with pytest.raises(OptionError, match="give 3 targets"):
        calibrated(scenario, {NAMES[0]: 0.1})


def test_a_person_is_told_from_the_rest():
    # on each of 50 occasions a takes tea, b one of ten other things
    rng = np.random.default_rng(1)
    who, time = np.tile([0, 1], 50), np.repeat(np.arange(50), 2)
    what = np.where(who == 0, 0, rng.integers(1, 11, 100))
    one = fitted(who, what, time, [f"thing {i}" for i in range(11)], 0, "a")
    assert one.hits == 1
    assert one.floor == 0
    assert one.gain > 2
    assert list(one.persona.interests) == ["thing 0"]
    assert one.chance.sum() == pytest.approx(1)
    # the order of rows within an occasion counts for nothing
    who, what, time = np.zeros(60, int), np.tile([1, 2, 3], 20), np.repeat(np.arange(20), 3)
    mixed = np.concatenate([rng.permutation(3) + 3 * i for i in range(20)])
    two = [fitted(who, w, time, ["-", "x", "y", "z"], 0, "a") for w in (what, what[mixed])]
    assert two[0].gain == pytest.approx(two[1].gain)
    with pytest.raises(OptionError, match="did 60 things on 3 occasions"):
        fitted(who, what, np.repeat(np.arange(3), 20), ["-", "x", "y", "z"], 0, "a")


def test_questions_cite_and_cannot_leave(session):
    session.do("step", ticks=8)
    log = session.running.log().table()
    began = "from events where kind = 'take_up'"
    found = session.do("question", asked=f"select count(*) as n, list(event) as events {began}")
    assert found.rows == [{"n": log.column("kind").to_pylist().count("take_up")}]
    assert set(found.events) <= set(log.column("event").to_pylist())
    for asked, said in (
        ("how many?", "need a language model"),
        ("select count(*) as n from events", "cites no events"), ("select event from nowhere", "cannot be asked"),
        ("select * from read_csv('/etc/passwd')", "cannot be asked"), ("with x as (select 1) select * from x", "cites"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=said):
            session.do("question", asked=asked)
    session.lm = ScriptedLM({"Who began": f"select list(event) as events {began}"})
    assert session.do("question", asked="Who began?").events == found.events


def test_an_actor_is_led_by_the_rule_when_silent(session):
    session.do("join", uid=5)
    session.do("step", ticks=3)
    plain = Session(Scenario(**PLAIN), seed=3, minds=1)
    plain.do("begin")
    plain.do("step", ticks=3)
    assert (session.running.state["has"] == plain.running.state["has"]).all()  # the autopilot is the rule


def test_a_log_of_lists_is_refused():
    table = pa.table({"user": ["a"] * 3, "item": [1, 2, 3], "time": [1, 2, 3], "tags": [["x"], ["y"], ["x", "y"]]})
    log = Log.open(table, user="user", item="item", time="time")
    with pytest.raises(OptionError, match="several values"):
        Session().do("prototype", log=log, user="a", of="tags")
    with pytest.raises(UnknownName, match="no user 'z'"):
        Session().do("prototype", log=log, user="z")
    with pytest.raises(UnknownName, match="column 'tag'"):
        Session().do("prototype", log=log, user="a", of="tag")


def test_the_system_runs_its_description():
    built = HumanControl(description="90 people adopt cycling over 9 days, imitation 0.5.", innovation=0.2)
    assert (built.scenario().imitation, built.scenario().innovation) == (0.5, 0.2)
    assert len(built.run(built.world(seed=1, minds=2), 4).table())
    with pytest.raises(OptionError, match="people missing"):
        HumanControl(description="They adopt cycling over 9 days.").world()


def test_the_embedded_model_plays_a_resident(local):
    world = HumanControl().world(seed=1, minds=1, lm=local).run(1)
    mine = [r for r in world.log(own=True).table().to_pylist() if r["actor"].split(":")[0] in ("model", "fallback")]
    assert mine
    assert {r["actor"].split(":")[0] for r in mine} == {"model"}, [r["payload"] for r in mine]
