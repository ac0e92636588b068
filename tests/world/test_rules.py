"""Claims, effects and the log of a world that can be computed by hand."""

import numpy as np
import pytest

from ethogram.errors import WorldError
from ethogram.world import Action, Acts, Column, Command, Decision, World, capacity, everyone, first_wins, merge
from ethogram.world.calendar import Calendar
from ethogram.world.state import NEVER


def bench(rule, claims, people=4, seats=(1, 2), apply=None, policies=None, **more):
    """People who claim seats: `claims` are benches by person."""

    def sit(rows, seen, luck):
        return Acts("sit", rows, object=np.array(claims)[rows], value=np.arange(people)[rows] + 1.0)

    return World(
        people, things={"bench": {"free": np.array(seats), "sum": np.zeros(len(seats))}},
        policies=policies or {"p": sit},
        actions=[Action("sit", on="bench", rule=rule, apply=apply), *more.pop("actions", [])], **more,
    )  # fmt: skip


def granted(world):
    table = world.run(1).log(refused=True).table()
    return [k == "sit" for k in table.sort_by("user")["kind"].to_pylist()]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (everyone(), [True, True, True, True]),
        (first_wins(), [True, False, True, False]),
        (capacity("bench.free"), [True, False, True, True]),
        (capacity(lambda seen: seen["bench.free"] - 1), [False, False, True, False]),
        (capacity(0), [False] * 4),
        (merge("sum"), [True] * 4),
    ],
)
def test_who_gets_it(rule, told):
    assert granted(bench(rule, [0, 0, 1, 1])) == told


def test_two_policies_that_claim_the_same_thing_are_settled_together():
    def early(rows, seen, luck):
        return Acts("sit", rows, object=0)

    def late(rows, seen, luck):
        return [Acts("sit", rows, object=0), Acts("sit", rows, object=1)]

    world = bench(
        first_wins(), [0] * 4, policies={"late": late, "early": early}, bind={"early": [1, 3]}, wake=[1, 0, 0, 0]
    )
    log = world.run(1).log(refused=True).table().sort_by("event")
    rows = list(zip(log["user"].to_pylist(), log["item"].to_pylist(), log["kind"].to_pylist(), strict=True))
    assert rows == [(1, 0, "sit"), (2, 0, "sit (refused)"), (2, 1, "sit"), (3, 0, "sit (refused)")]
    assert log["actor"].to_pylist() == ["rule:early", "rule:late", "rule:late", "rule:early"]


def test_verbs_that_share_a_rule_compete_and_the_lower_priority_goes_first():
    shared = first_wins()

    def both(rows, seen, luck):
        return [Acts("sit", rows[:1], object=0), Acts("lie", rows[1:2], object=0), Acts("sit", rows[2:3], object=1)]

    world = bench(shared, [0] * 4, policies={"p": both}, actions=[Action("lie", on="bench", rule=shared, priority=-1)])
    table = world.run(1).log(refused=True).table()
    told = sorted(zip(table["user"].to_pylist(), table["kind"].to_pylist(), strict=True))
    assert told == [(0, "sit (refused)"), (1, "lie"), (2, "sit")]


def test_a_fair_rule_lets_everybody_be_first():
    world = bench(first_wins(fair=True), [0, 0, 0, 0], seed=2).run(400)
    who = np.bincount(world.log().table()["user"].to_numpy(), minlength=4)
    assert who.sum() == 400
    assert who.min() > 70


@pytest.mark.parametrize(
    ("how", "told"), [("sum", [3, 7]), ("mean", [1.5, 3.5]), ("max", [2, 4]), ("min", [1, 3]), ("count", [2, 2])]
)
def test_claims_of_one_thing_have_one_effect(how, told):
    def effect(state, done):
        state["bench.sum"][done.objects] += done.merged

    assert bench(merge(how), [0, 0, 1, 1], apply=effect).run(1).state["bench.sum"].tolist() == told


def test_effects_see_what_was_granted_and_leave_event_ids_for_causes():
    """One posts, the others answer the post; the log says what led to what."""

    def talk(rows, seen, luck):
        if seen.tick == 0:
            return Acts("post", rows[rows == 2], text={0: "hello"})
        return Acts("answer", rows[rows != 2], cause=int(seen["last"]))

    def post(state, done):
        state["last"] = done.event[0]

    world = World(3, facts={"last": -1}, actions=[Action("post", apply=post), Action("answer")], policies={"t": talk})
    table = world.run(2).log().table().sort_by("event")
    first = table["event"][0].as_py()
    assert table["text"].to_pylist() == ["hello", None, None]
    assert table["cause"].to_pylist() == [None, first, first]
    assert first == 3 << 8
    assert table["source"].to_pylist() == ["simulated:seed 0"] * 3


def test_names_and_times_are_the_callers():
    world = World(
        ["ann", "ben"], things={"shop": {"n": [1, 2]}}, names={"shop": ["baker", "smith"]},
        actions=[Action("visit", on="shop", rule=everyone()), Action("greet", on="people", rule=everyone())],
        policies={"p": lambda rows, *_: [Acts("visit", rows, object=1 - rows), Acts("greet", rows[:1], object=1)]},
        start="2024-02-28", length="12h",
    )  # fmt: skip
    rows = world.run(3).log().table().sort_by("event").to_pylist()
    assert [(r["user"], r["kind"], r["item"]) for r in rows[:3]] == [
        ("ann", "visit", "smith"), ("ann", "greet", "ben"), ("ben", "visit", "baker")
    ]  # fmt: skip
    assert rows[-1]["time"].isoformat() == "2024-02-29T00:00:00+00:00"


def test_who_sleeps_costs_nothing_and_is_woken():
    asked = []

    def nap(rows, seen, luck):
        asked.append((seen.tick, rows.tolist()))
        return Acts("call", rows[rows == 0], object=3)

    def call(state, done):
        state.wake(done.object, 2)

    nap.every = 5
    world = World(
        4, actions=[Action("call", on="people", rule=everyone(), apply=call)], policies={"nap": nap},
        wake=[0, 1, NEVER, NEVER],
    )  # fmt: skip
    world.run(8)
    assert asked == [(0, [0]), (1, [1]), (2, [3]), (5, [0]), (6, [1]), (7, [3])]


def test_a_calendar_is_made_anew_from_its_column():
    wake = np.array([3, 1, 3, NEVER, 1])
    calendar = Calendar(wake)
    assert (calendar.next(), calendar.take(1).tolist()) == (1, [1, 4])
    calendar.set(np.array([4, 1]), 1, np.array([2, 1]))
    again = Calendar(wake.copy())
    for one in (calendar, again):
        assert (one.take(2).tolist(), one.take(3).tolist(), one.next()) == ([1], [0, 2, 4], None)


def test_a_column_is_begun_by_value_by_array_or_by_luck():
    world = World(
        3, columns={"a": 1, "b": 2.5, "c": np.array([1, 2, 3], np.int8), "d": Column(width=2, initial=[1, 2]),
                    "e": lambda luck: luck.uniform("e")[:, 0], "f": True}, seed=8,
    )  # fmt: skip
    kinds = {n: world.state[n].dtype.name for n in "abcdef"}
    assert kinds == {"a": "int32", "b": "float32", "c": "int8", "d": "float32", "e": "float32", "f": "bool"}
    assert world.state["d"].tolist() == [[1, 2]] * 3
    with pytest.raises(ValueError, match="read-only"):
        world.state["a"][0] = 1


ACT = Action("go", on="spot", rule=everyone())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"people": -1}, "-1 people"),
        ({"columns": {"wake": 0}}, "'wake' is taken"),
        ({"columns": {"a b": 0}}, "cannot be a name"),
        ({"columns": {"a": [1, 2, 3]}}, r"column 'a'.*shape \(2,\)"),
        ({"columns": {"a": "text"}}, "holds numbers"),
        ({"things": {"spot": {"x": 1}}}, "at least one column must be an array"),
        ({"facts": {"a": [1, 2]}}, "not one number"),
        ({"actions": [ACT]}, "unknown thing 'spot'"),
        ({"actions": [Action("a"), Action("a")]}, "two actions are called 'a'"),
        ({"actions": [Action("nothing")]}, "'nothing'"),
        ({"policies": {"a": len}, "minds": {"a": dict}}, "'a' is there twice"),
        ({"commands": {"set": len}}, "the engine's own"),
        ({"fallback": "b", "policies": {"a": len}}, "fallback: unknown policy 'b'"),
        ({"bind": {"b": [0]}}, "no policy 'b'"),
        ({"batch": 0}, "batch = 0"),
        ({"spent": "never"}, "spent='never'"),
        ({"uid": [1, 1]}, "2 different numbers"),
        ({"people": ["a", "b"], "uid": [1, 2]}, "identities 0 to 1"),
        ({"facts": {"x": 1}, "columns": {"x": 1}}, "'x' is taken"),
    ],
)
def test_a_wrong_declaration_is_told(given, told):
    with pytest.raises(WorldError, match=told):
        World(**{"people": 2, **given})
    with pytest.raises(WorldError, match="says not who gets it"):
        Action("a", on="b")


@pytest.mark.parametrize(
    ("acts", "told"),
    [
        (Acts("jump", np.array([0])), "policy 'p': unknown verb 'jump'"),
        (Acts("go", np.array([0]), object=2), "object 2; there are 0 to 1"),
        (Acts("go", np.array([0])), "object -1; there are 0 to 1"),
        (Acts("go", np.array([5]), object=0), "acts for row 5; there are 3"),
        (Acts("go", np.array([0, 1]), object=[0, 1, 0]), "3 values of 'object' for 2 acts"),
        ([Acts("go", np.zeros(257, int), object=0)], "more than 256 things"),
    ],
)
def test_a_wrong_act_is_told_and_the_world_goes_on(acts, told):
    wrong = [True]
    world = World(
        3, things={"spot": {"x": [0, 0]}}, actions=[ACT],
        policies={"p": lambda rows, seen, luck: acts if wrong[0] else Acts("go", rows, object=0)},
    )  # fmt: skip
    with pytest.raises(WorldError, match=told):
        world.run(1)
    wrong[0] = False
    assert (world.tick, world.run(1).events) == (0, 3)


def test_a_world_without_people_runs_and_says_that_nothing_happened():
    world = World(0, facts={"rain": 0.0}, actions=[Action("go")], policies={"p": lambda *a: None})
    world.run(10)
    assert (world.tick, world.events) == (10, 0)
    with pytest.raises(WorldError, match="log would be empty"):
        world.log()
    world.intervene("set", column="rain", value=2.0)
    assert world.run(11).state["rain"] == 2
    assert world.log(own=True).table()["kind"].to_pylist() == ["command"]
    with pytest.raises(WorldError, match="neither policy nor mind"):
        World(1, actions=[Action("go")]).run(1)


def test_commands_are_refused_with_the_nearest_name_or_done():
    def storm(state, strength):
        state["rain"] = strength

    world = World(2, columns={"mood": 1.0}, facts={"rain": 0.0}, commands={"storm": storm}, policies={"p": len_})
    for name, more, told in (
        ("strom", {}, "Did you mean 'storm'"),
        ("storm", {"power": 1}, "command 'storm'"),
        ("storm", {"at": -1}, "fork it"),
        ("storm", {"strength": object()}, "JSON can hold"),
        ("set", {"column": "mod", "value": 1}, "unknown column 'mod'"),
        ("set", {"column": "mood", "value": 1, "rows": [7]}, "row 7"),
        ("set", {"column": "wake", "value": 1}, "the engine's"),
        ("bind", {"policy": "q"}, "unknown policy 'q'"),
        ("promote", {"uid": 0, "kind": "x"}, "kind of minds"),
        ("promote", {"uid": 5, "kind": "x"}, "no person 5"),
        ("demote", {"uid": 0}, "has no mind"),
        ("demote", {}, "needs uid="),
    ):
        with pytest.raises(WorldError, match=told):
            world.intervene(name, **more)
    world.intervene("storm", at=3, strength=0.5, by="ann")
    world.intervene("set", column="mood", rows=[1], value=7.0)
    assert world.run(3).state["rain"] == 0
    assert (world.run(4).state["rain"], world.state["mood"].tolist()) == (0.5, [1, 7])
    payload = world.log(own=True).table()["payload"].to_pylist()
    assert '"by": "ann"' in payload[-1]
    assert Command("storm", {"strength": np.float32(1)}).arguments == {"strength": 1.0}


def len_(rows, seen, luck):
    return None


def test_a_command_that_fails_later_is_dropped_and_nothing_else_changes():
    world = World(2, columns={"mood": 1.0}, commands={"bad": lambda state: state["none"]}, policies={"p": len_})
    world.intervene("set", at=2, column="mood", value=5.0)
    world.intervene("bad", at=2)
    with pytest.raises(WorldError, match="unknown column 'none'"):
        world.run(5)
    assert (world.tick, world.state["mood"].tolist()) == (2, [5, 5])
    assert world.run(5).log(own=True).table()["payload"].to_pylist()[0].count("mood") == 1
    assert world.events == 1


def test_a_command_without_a_time_is_done_at_once_behind_those_that_were_due():
    def note(state, what):
        state["last"], state["many"] = what, state["many"] + 1

    world = World(1, facts={"last": 0, "many": 0}, commands={"note": note}, policies={"p": len_})
    world.intervene("note", at=3, what=1)
    world.run(3).intervene("note", what=2)
    assert (int(world.state["last"]), int(world.state["many"])) == (2, 2)
    told = [world, world.fork(), world.fork(2)]
    assert [int(w.run(5).state["last"]) for w in told] == [2, 2, 2]
    assert len({w.fingerprint for w in told}) == 1
    assert int(world.fork(3, commands=False).run(5).state["many"]) == 0


def test_a_world_of_turns_lets_everybody_see_what_the_last_one_did():
    def count(rows, seen, luck):
        return Acts("say", rows, value=float(seen["said"]))

    def say(state, done):
        state["said"] += len(done)

    told = []
    for turns in (False, True):
        world = World(3, facts={"said": 0}, actions=[Action("say", apply=say)], policies={"p": count}, sequential=turns)
        told.append(world.run(2).log().table().sort_by("event")["value"].to_pylist())
    assert told == [[0, 0, 0, 3, 3, 3], [0, 1, 2, 3, 4, 5]]


def test_an_effect_that_breaks_off_leaves_a_world_that_is_not_believed():
    def go(state, done):
        raise ZeroDivisionError("half done")

    world = World(2, actions=[Action("go", apply=go)], policies={"p": lambda rows, seen, luck: Acts("go", rows)})
    with pytest.raises(ZeroDivisionError):
        world.run(1)
    with pytest.raises(WorldError, match="broke off at tick 0"):
        world.run(1)


def test_texts_are_kept_as_codes_and_forked():
    """People pass on what they last heard; columns hold codes, equal words one code."""

    def whisper(rows, seen, luck):
        told = {i: f"{seen.text(seen['heard'][r])}{'abc'[r]}" for i, r in enumerate(rows.tolist())}
        return Acts("whisper", rows, object=(rows + 1) % 3, text=told)

    def hear(state, done):
        state["heard"][done.object] = state.intern([done.text[i] for i in range(len(done))])

    world = World(
        3, columns={"heard": -1}, actions=[Action("whisper", on="people", rule=everyone(), apply=hear)],
        policies={"w": whisper}, snapshots=1,
    ).run(3)  # fmt: skip
    assert [world.state.text(c) for c in world.state["heard"]] == ["abc", "bca", "cab"]
    branch = world.fork(1).run(3)
    assert branch.fingerprint == world.fingerprint
    assert branch.state["heard"].tolist() == world.state["heard"].tolist()
    assert world.log().table().sort_by("event")["text"].to_pylist()[3:6] == ["ca", "ab", "bc"]
    world.fork().run(5)
    assert len(world.state.texts) == 9


def test_a_mind_is_told_what_came_of_its_acts_and_keeps_its_notes(tmp_path):
    """Several acts at once; notes come back where the run is repeated, and nobody is asked again."""
    asked = []

    class Careful:
        def __init__(self, persona):
            self.learned = []

        async def act(self, seen):
            asked.append(seen.tick)
            return [
                Decision("sit", object=0, notes={"thought": f"day {seen.tick}"}, why="tired"), Decision("sit", object=1)
            ]  # fmt: skip

        def remember(self, seen, acts):
            self.learned.append(
                [acts[0].notes["thought"], [a.granted for a in acts], float(seen.state["bench.free"][0])]
            )

        def state(self):
            return {"learned": self.learned}

        def restore(self, kept):
            self.learned = kept["learned"]

    def sit(state, done):
        np.subtract.at(state["bench.free"], done.object, 1)

    def made(**more):
        return bench(
            capacity("bench.free"),
            [],
            people=1,
            seats=(1, 9),
            apply=sit,
            policies={"p": len_},
            minds={"c": Careful},
            **more,
        )

    world = made(folder=tmp_path / "a", every=2)
    world.promote(0, "c")
    world.run(3)
    told = [["day 0", [True, True], 1.0], ["day 1", [False, True], 0.0], ["day 2", [False, True], 0.0]]
    assert world.live.overlay.of(0).mind.learned == told
    payload = world.log(kinds=["sit"]).table().sort_by("event")["payload"][0].as_py()
    assert payload == '{"why": "tired", "notes": {"thought": "day 0"}}'
    world.close()
    again = made(folder=tmp_path / "a", every=2, resume=True)
    assert again.at(1).live.overlay.of(0).mind.learned == told[:1]
    assert again.live.overlay.of(0).mind.learned == told
    assert asked == [0, 1, 2]
    assert again.fingerprint == world.fingerprint
