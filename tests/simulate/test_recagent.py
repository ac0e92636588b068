"""Tastes, rounds, pages, what is heard, any recommender, interventions, studies, people played by a language model."""

import asyncio
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

import ethogram
from ethogram.errors import EndpointRefused, OptionError, RolesError, UnknownName, WorldError
from ethogram.lm import LM, ScriptedLM
from ethogram.log import Log
from ethogram.simulate.recagent import RecAgent, Sandbox, Scene, cocoon, conformity, fidelity, impressions
from ethogram.simulate.recagent.ranking import PAGE, PAGES, pages, training
from ethogram.simulate.recagent.studies import entropy, isotonic_p, slopes
from ethogram.simulate.recagent.taste import Choices, Taste, _logit, alike
from ethogram.world import Command
from ethogram.world.outside import act
from ethogram.world.permuting import relabelled
from ethogram.world.social import relations


@pytest.fixture(scope="module")
def scene():
    return Scene.drawn(40, 120, seed=3)


def box(scene, **more):
    return Sandbox(scene, **{"recommender": "popularity", "active": 0.9, "seed": 1, **more})


def kinds(world):
    return Counter(world.log().table()["kind"].to_pylist())


# tastes


def test_choices_split_by_person_and_time():
    c = Choices(np.array([0, 0, 0, 0, 0, 1], np.int32), np.array([3, 1, 4, 0, 2, 4], np.int32), 2, 5)
    first, rest = c.earliest(0.8)
    assert first.item.tolist() == [3, 1, 4, 0, 4]
    assert rest.item.tolist() == [2]
    assert rest.person.tolist() == [0]
    assert c.latest(3).tolist() == [[4, 0, 2], [-1, -1, 4]]
    tied = Choices(c.person, c.item, 2, 5, np.array([1, 2, 2, 3, 3, 4]))
    assert tied.earliest(0.8)[1].item.tolist() == [0, 2]  # the last two were chosen at the same time
    one = Choices(c.person[:5], c.item[:5], 2, 5, np.ones(5, np.int64))
    assert one.earliest(0.8)[1].item.tolist() == []


def test_weights_are_those_of_a_conditional_logit():
    rng = np.random.default_rng(0)
    x, true = rng.normal(size=(6_000, 5, 3)), np.array([1.0, -0.5, 0.0])
    choice = (x @ true + rng.gumbel(size=(6_000, 5))).argmax(1)
    order = np.argsort(np.arange(5) != choice[:, None], axis=1, kind="stable")
    found = _logit(np.take_along_axis(x, order[..., None], 1))
    np.testing.assert_allclose(found, true, atol=0.06)


def test_likeness_to_recent_choices_by_hand():
    like = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    found = alike(like, np.array([[0, 1]]), np.array([[-1, 0, 2]]))
    np.testing.assert_allclose(found, [[0.8, 0.4]], rtol=1e-6)
    assert alike(like, np.array([[0]]), np.array([[-1, -1]])).tolist() == [[0.0]]


def test_planted_tastes_are_found(scene):
    own = scene.taste.taste @ scene.taste.item.T + scene.taste.appeal
    chosen = scene.past.chosen()
    assert np.mean([own[i][chosen[i]].mean() > own[i][~chosen[i]].mean() for i in range(40)]) > 0.95
    with pytest.raises(OptionError, match="20 or more choices"):
        Taste.learn(Choices(np.zeros(3, np.int32), np.arange(3, dtype=np.int32), 2, 5), np.eye(5, dtype=bool))


# rounds


def test_a_round_shows_labels_and_never_again(scene):
    world = box(scene).world().run(4)
    told = impressions(world.log()).table()
    pairs = list(zip(told["user"].to_pylist(), told["item"].to_pylist(), strict=True))
    assert len(pairs) == len(set(pairs))  # what was shown is never shown again
    places = told["position"].to_numpy()
    assert places.min() >= 0
    assert places.max() <= PAGE * PAGES
    watched = told.filter(pa.array(told["label"].to_numpy() == 1))
    assert 0 < len(watched) < len(told)
    assert kinds(world)["watch"] == len(watched)
    # at most one item of a visit is taken
    per_visit = Counter(zip(watched["user"].to_pylist(), watched["time"].to_pylist(), strict=True))
    assert max(per_visit.values()) == 1
    table = world.log().table()
    for user, time in list(per_visit)[:20]:
        mine = table.filter((pa.compute.field("user") == user) & (pa.compute.field("time") == time))
        told_kinds = Counter(mine["kind"].to_pylist())
        if not told_kinds["search"]:
            assert told_kinds["pass"] == PAGE * (1 + told_kinds["next"]) - 1


@pytest.mark.parametrize("mode", ["fixed", "marginal", "sampled"])
def test_activation(scene, mode):
    active, world = [], box(scene, mode=mode, active=0.3, recommender="random").world()
    for t in range(1, 30):
        world.run(t)
        active.append(world.state["turn"] == t)
    share = np.mean(active, 0)
    if mode == "marginal":
        assert 0.35 < share.mean() < 0.75  # waiting raises the chance
    else:
        assert abs(share.mean() - 0.3) < 0.05
    few = box(scene, most=5, recommender="random").world().run(3)
    assert (few.state["turn"] == 3).sum() == 5


def test_the_busy_do_nothing(scene):
    world = box(scene, watching=25.0, recommender="random").world().run(10)  # five rounds for each film
    table = world.log(kinds=["watch"]).table()
    rounds = {}
    for user, time in zip(table["user"].to_pylist(), table["time"].cast(pa.int64()).to_pylist(), strict=True):
        rounds.setdefault(user, []).append(time // (5 * 3_600_000_000))
    assert all(np.diff(sorted(r)).min() >= 5 for r in rounds.values() if len(r) > 1)
    assert any(len(r) > 1 for r in rounds.values())


def test_nothing_hangs_on_batches_or_on_the_order_of_acts(scene):
    made = box(scene)
    prints = {made.world(batch=b, workers=w).run(6).fingerprint for b, w in ((65_536, 1), (1, 1), (7, 2))}
    assert len(prints) == 1
    found = relabelled(made.world, 4)
    assert not [f for f in found if ": " in f]  # effects; rows are people of the scene, so they cannot change places


def test_random_places_hold_tail_items(scene):
    for k in (0, 2, 5):
        world = box(scene, random_k=k).world().run(1)
        shown = pages(world.state, np.arange(40))
        tail = world.state["item.tail"]
        plain = world.state["ranked"].reshape(40, PAGES, PAGE)
        assert (shown[:, :, : PAGE - k] == plain[:, :, : PAGE - k]).all()
        if k:
            other = shown[:, :, PAGE - k :] != plain[:, :, PAGE - k :]
            assert other.mean() > 0.3
            assert tail[shown[:, :, PAGE - k :][other]].all()
        flat = shown.reshape(40, -1)
        assert all(len(set(r[r >= 0])) == (r >= 0).sum() for r in flat)


def test_friends_hear_once(scene):
    world = box(scene, recommender="random").world()
    ties = relations.graph(world.state)
    friends = set(ties.targets[ties.offsets[3] : ties.offsets[4]].tolist())
    for _ in range(2):
        world.intervene("broadcast", rows=[3], items=[17])
    assert set(np.flatnonzero(world.state["heard"][:, 17]).tolist()) == friends
    assert world.state["heard"][:, 17].max() == 1
    row = min(friends)
    assert scene.titles[17] in world.context(row)
    assert scene.people[3] in world.context(row)
    world.intervene("announce", item=18)
    world.intervene("talk", row=5, text="Try the last one.", item=19)
    assert (world.state["heard"][:, 18] == 1).all()
    assert world.state["heard"][:, 19].sum() == 1
    assert "Somebody: Try the last one." in world.context(5)


# any recommender


@pytest.mark.parametrize(
    ("name", "options"), [("popularity", {}), ("item_knn", {}), ("bpr_mf", {"factors": 4}), ("als", {"factors": 4})]
)
def test_recommenders_plug_in_and_learn(scene, name, options):
    world = box(scene, recommender=name, options=options).world().run(4)
    before = training(world.at(0).state)
    after = training(world.state)
    assert len(after.table()) > len(before.table())
    assert kinds(world)["watch"] > 0
    # the ranking holds nothing that was shown when it was made
    shown = world.at(3).state["shown"]
    now = world.state["ranked"]
    assert not shown[np.nonzero(now >= 0)[0], now[now >= 0]].any()


def test_a_popular_recommender_ranks_by_what_was_watched(scene):
    world = box(scene).world().run(1)
    counts = np.bincount(scene.past.item, minlength=120)
    row = world.state["ranked"][0]
    best = counts[row]
    assert (np.diff(best) <= 0).all()
    assert best[0] == counts[~world.at(0).state["shown"][0]].max()


def test_a_fork_has_the_same_past_and_another_ranker(scene, tmp_path):
    made = box(scene, recommender="bpr_mf", options={"factors": 4, "epochs": 2})
    world = made.world(folder=tmp_path / "run", every=3).run(6)
    other = Command("recommender", {"name": "bpr_mf", "options": {"factors": 2, "epochs": 2}})
    branch, same = world.fork(4, other).run(6), world.fork(4).run(6)
    assert same.fingerprint == world.fingerprint != branch.fingerprint
    told = [
        w.log().table().sort_by("event").select(["event", "user", "kind", "item"]).to_pylist() for w in (world, branch)
    ]
    early = [[r for r in t if r["event"] < 4 << 40] for t in told]
    assert early[0] == early[1]
    assert len(early[0]) > 20
    assert told[0] != told[1]
    last = world.fingerprint
    world.close()
    again = made.world(folder=tmp_path / "run", resume=True)
    assert again.fingerprint == last
    assert again.run(8).fingerprint == same.run(8).fingerprint


def test_interventions(scene):
    world = box(scene, recommender="random").world()
    mine = scene.categories[:, scene.kinds.index("war")]
    policy = world.declared.policies["crowd"]
    every = np.arange(120)[None]
    before = policy.utility(np.array([2]), every, world.state)[0]
    world.intervene("edit", rows=[2], likes="war", strength=3.0)
    gain = policy.utility(np.array([2]), every, world.state)[0] - before
    assert gain[mine].mean() - gain[~mine].mean() == pytest.approx(3.0, abs=1e-3)
    for wrong, match in (
        ({"rows": [2], "likes": "wart"}, "no category 'wart'"), ({"rows": [99], "likes": "war"}, "no person 99"),
    ):  # fmt: skip
        with pytest.raises(WorldError, match=match):
            world.intervene("edit", **wrong)
    with pytest.raises(UnknownName, match="als"):
        world.intervene("recommender", name="alz")


def test_a_human_takes_a_part(scene):
    world = box(scene, recommender="random").world()
    world.promote(7, "player")
    world.intervene("call", rows=[7])
    world.run(1)
    item = int(pages(world.state, np.array([7]))[0, 0, 0])
    act(world, 7, "watch", item, value=1)
    world.run(2)
    assert world.state["watched"][7, -1] == item
    table = world.log().table()
    assert ("outside:player", "watch") in set(
        zip(table["actor"].to_pylist(), table["kind"].to_pylist(), strict=True)
    )  # fmt: skip


# studies


def test_entropy_and_slopes_by_hand():
    categories = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]], bool)
    found = entropy(np.array([[0, 1, -1], [0, 2, -1], [-1, -1, -1]]), categories)
    p = np.array([0.75, 0.25])
    np.testing.assert_allclose(found[:2], [np.log(2), -(p * np.log(p)).sum()])
    assert np.isnan(found[2])
    np.testing.assert_allclose(slopes(np.array([[0.0, 3.0], [1.0, 1.0], [2.0, -1.0]])), [1.0, -2.0])


def test_the_isotonic_test():
    rng = np.random.default_rng(0)
    rising = rng.random((5, 80)) + np.arange(5)[:, None] * 0.1
    assert isotonic_p(rising, draws=500) < 0.01
    assert isotonic_p(rising[::-1], draws=500) > 0.5
    assert isotonic_p(np.ones((5, 80)), draws=50) == 1.0


def test_cocoon_and_conformity_tables():
    scene = Scene.drawn(40, 300, seed=3)
    table = cocoon({"popular": box(scene), "drawn": box(scene, recommender="random")}, rounds=6).to_pylist()
    assert [r["arm"] for r in table] == ["popular", "drawn"]
    assert len(table[0]["course"]) == 6
    assert table[1]["slope_low"] <= table[1]["slope"] <= table[1]["slope_high"]
    friends = box(scene, social=3.0)
    found = conformity(friends, holders=(0, 2, 4), repeats=2)
    rows = found.to_pylist()
    assert rows[2]["gain_low"] > 0
    assert float(found.schema.metadata[b"trend_p"]) < 0.05
    off = conformity(box(scene, social=0.0), holders=(0, 4), repeats=1).to_pylist()
    assert off[1]["gain"] == 0.0
    with pytest.raises(OptionError, match="must ascend"):
        conformity(friends, holders=(2, 1))
    with pytest.raises(OptionError, match="6 or more"):
        cocoon({"a": box(scene)}, rounds=2)


def test_choice_fidelity_against_what_was_chosen():
    log = Scene.drawn(60, 150, seed=5).log()
    lm = ScriptedLM("x", rater=lambda prompt, said: [-1.0] * len(said))
    table = fidelity(log, pairs=((1, 5), (3, 3)), encoder="hash", factors=8, lm=lm, lm_people=9).to_pylist()
    found = {(r["set"], r["arm"]): r for r in table}
    assert found["1 of 6", "light policy"]["precision"] > found["1 of 6", "blind"]["precision"] + 0.1
    assert found["1 of 6", "language model"]["people"] == 9
    assert abs(found["3 of 6", "blind"]["precision"] - 0.5) < 0.15
    with pytest.raises(RolesError, match="title"):
        fidelity(Log.open(pa.table({"user": ["a"], "item": ["b"], "order": [1]})))
    with pytest.raises(OptionError, match="value of 9"):
        Scene.of(log, liked=9.0)


# people played by a language model


def rule(messages, rng):
    text = messages[-1].text
    if "how important" in text:
        return {"sentence": "I spent the evening with a film of war.", "importance": 9}
    if "other words" in text:
        return {"insight": "Films of war matter to this person."}
    if "important question" in text:
        return {"question": "What does the person like?"}
    return "The nature of war" if "Which title" in text else "That was very fine."


def test_all_acts_of_a_viewer_and_a_repeat_that_asks_nobody(scene):
    lm = ScriptedLM(rule, rater=lambda prompt, said: [-1.0] * len(said))
    made = box(scene, active=1.0, recommender="item_knn")
    world = RecAgent().members(made, list(range(8)), lm=lm).run(20)
    table = world.log().table()
    mine = {k for k, a in zip(table["kind"].to_pylist(), table["actor"].to_pylist(), strict=True) if "viewer" in a}
    assert mine >= {"watch", "pass", "next", "leave", "search", "rate", "chat", "post"}
    mind = world.live.overlay.of(0).mind
    assert any("matter" in m.text for m in mind.memory.long)
    assert mind.memory.short
    asked = len(lm.asked)
    state = world.at(16).live.overlay.of(0).mind.state()
    assert len(lm.asked) == asked
    assert state["long"]
    assert "You remember" in world.context(0)
    assert world.ask(0, "What do you like?")
    assert world.fingerprint == world.fork().fingerprint


def test_viewers_by_rule_where_no_model_is_given():
    world = RecAgent(minutes=60, active=1.0, recommender="popularity").world(seed=1, minds=3).run(4)
    assert world.declared.length == 3_600_000_000
    assert world.declared.lm.identity == "scripted:viewer"
    actors = Counter(world.log().table()["actor"].to_pylist())
    assert actors["model:viewer"] > 3
    assert "fallback:viewer" not in actors
    assert sum(world.live.decisions[s] for s in ("model", "cache")) <= 3 * 4 < actors["model:viewer"]


def test_a_viewer_without_an_answer_has_its_next_turn_all_the_same(scene):
    """Two turns in a row: where the model failed in the first, the second is asked for as well."""

    def silent(messages, rng):
        return EndpointRefused("no such model")

    lm = ScriptedLM(silent, name="silent")
    world = RecAgent().members(box(scene, active=1.0, recommender="random", watching=1.0), [0], lm=lm)
    in_a_row = before = 0
    for tick in range(1, 12):
        world.run(tick)
        due = bool(world.state["turn"][0] == tick) and bool(world.state["busy"][0] <= tick)
        asked = len(lm.asked)
        world.run(tick + 1)
        assert (len(lm.asked) > asked) == due, tick
        in_a_row += due and before
        before = due
    assert in_a_row > 2
    assert world.shares()["fallback"] > 0
    assert world.fork(4).run(12).fingerprint == world.fingerprint


def test_a_search_finds_titles_and_prefers_what_was_heard(scene):
    lm = ScriptedLM(rule, rater=lambda prompt, said: [-1.0] * len(said))
    world = RecAgent().members(box(scene, recommender="random"), [0], lm=lm)
    mind = world.live.overlay.of(0).mind
    seen = _context(world, 0)
    target = int(np.flatnonzero(~world.state["shown"][0])[0])
    assert mind.found(seen, scene.titles[target].upper()) == target
    assert mind.found(seen, "zzz") == -1


def _context(world, row):
    from ethogram.world.minds import context

    return context(row, world.live.overlay.of(row), world.live.frozen(), world.declared)


def test_a_round_of_the_real_model(scene):
    pytest.importorskip("xllamacpp")
    lm = LM.connect("local")
    made = box(scene, active=1.0, recommender="popularity")
    world = RecAgent().members(made, [0], lm=lm, viewer={"words": 8, "remembers": False}).run(2)
    table = world.log().table()
    actors = [a for a in table["actor"].to_pylist() if a.endswith("viewer")]
    assert actors
    assert all(a == "model:viewer" for a in actors)
    asyncio.run(lm.close())


def test_options_are_checked(scene):
    for wrong, match in (
        ({"mode": "often"}, "mode"), ({"active": 0.0}, "active"), ({"random_k": 6}, "random_k"),
        ({"watching": 0.0}, "watching"), ({"recommender": "random", "options": {"a": 1}}, "no options"),
        ({"recommender": "friendship_paradox"}, "ranks nothing"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=match):
            box(scene, **wrong)
    with pytest.raises(OptionError, match="social"):
        ethogram.system("recagent", social=-1.0)
