"""Networks of logs by hand, reports beside nulls that are known, populations, profiles, bad input."""

import json
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

import ethogram
from ethogram.data.small_graphs import pairs
from ethogram.errors import OptionError, RolesError
from ethogram.lm import ScriptedLM
from ethogram.log import Log
from ethogram.numeric.graphs import Graph
from ethogram.simulate.friendship_paradox import FriendshipParadox, network, report
from ethogram.simulate.friendship_paradox.profiles import plain, profiles, tone
from ethogram.simulate.friendship_paradox.report import compared
from ethogram.simulate.friendship_paradox.wording import Wording
from ethogram.testing import example
from ethogram.world import Acts
from ethogram.world.minds import context
from ethogram.world.people.prefab import PEOPLE
from ethogram.world.social import Platform


def table(*rows, **more):
    """Rows of (user, item, kind)."""
    user, item, kind = zip(*rows, strict=True)
    return pa.table({"user": user, "item": item, "kind": kind, "order": range(len(rows)), **more})


ROWS = (
    ("ann", "p1", "post"), ("ben", "p2", "post"), ("ben", "p1", "like"), ("ben", "p1", "reply"),
    ("cat", "p1", "Repost"), ("cat", "p2", "view"), ("ann", "p1", "like"), ("ann", "p9", "like"),
    ("dan", "p3", "quote"), ("cat", "p2", "like"),
)  # fmt: skip
ITEMS = pa.table({"item": ["p1", "p2", "p3"], "author": ["ann", "ben", "eve"]})


def test_the_network_of_a_log_by_hand():
    found = network(Log.open(table(*ROWS), items=ITEMS))
    ids = found.ids.to_pylist()
    assert ids == ["ann", "ben", "cat", "dan", "eve"]
    g = found.graph
    ties = {(ids[a], ids[b]): w for a, b, w in zip(g.sources, g.targets, g.weights, strict=True)}
    assert ties == {("ben", "ann"): 2, ("cat", "ann"): 1, ("cat", "ben"): 1, ("dan", "eve"): 1}
    assert {n: dict(zip(ids, x, strict=True)) for n, x in found.attributes.items()} == {
        "in_degree": {"ann": 2, "ben": 1, "cat": 0, "dan": 0, "eve": 1},
        "out_degree": {"ann": 0, "ben": 1, "cat": 2, "dan": 1, "eve": 0},
        "activity": {"ann": 1, "ben": 2, "cat": 0, "dan": 1, "eve": 0},
        "popularity": {"ann": 3, "ben": 1, "cat": 0, "dan": 0, "eve": 1},
        "influence": {"ann": 1, "ben": 0, "cat": 0, "dan": 0, "eve": 1},
    }
    assert (found.users, found.interactions, found.own, found.unattributed) == (4, 6, 1, 1)


def test_authors_may_stand_in_the_events_or_be_the_items():
    events = table(*ROWS[2:6], writer=["ann", "ann", "ann", None])
    assert network(Log.open(events), author="writer").graph.ties == 2
    people = table(("a", "b", "message"), ("a", "b", "message"), ("b", "c", "message"))
    found = network(Log.open(people), author="@item")
    assert found.graph.weights.tolist() == [2.0, 1.0]
    assert set(found.attributes) == {"in_degree", "out_degree", "popularity"}  # nobody made a post
    weighted = Log.open(people.append_column("weight", pa.array([1.0, 0.5, 3.0])))
    assert network(weighted, author="@item").graph.weights.tolist() == [1.5, 3.0]


def test_cascades_of_a_log():
    items = pa.table(
        {"item": ["p1", "p2", "p3", "p4"], "author": ["a", "b", "c", "d"], "parent": [None, "p1", "p1", "p2"]}
    )
    facts = FriendshipParadox().facts(Log.open(table(("a", "p1", "post"), ("b", "p1", "like")), items=items))
    assert (facts["cascade_size"], facts["cascade_depth"], facts["cascade_breadth"]) == (4, 2, 2)
    backwards = items.set_column(2, "parent", pa.array(["p2", None, None, None], pa.string()))
    with pytest.raises(OptionError, match="parent of post 0 is 1"):
        FriendshipParadox().facts(Log.open(table(("b", "p1", "like")), items=backwards))


def test_without_kinds_every_event_is_an_interaction():
    events = table(*ROWS[2:6]).drop_columns(["kind"])
    found = network(Log.open(events, items=ITEMS))
    assert found.graph.ties == 3
    assert found.attributes["activity"].tolist() == [2, 2, 0]  # ben, cat; then ann, who did nothing


def test_follows_at_the_end_of_the_log():
    rows = (("a", "b", "follow"), ("a", "c", "follow"), ("a", "b", "unfollow"), ("b", "a", "follow"),
            ("b", "a", "unfollow"), ("b", "a", "follow"), ("c", "a", "like"))  # fmt: skip
    found = network(Log.open(table(*rows)), author="@item", ties="follows")
    ids = found.ids.to_pylist()
    assert [(ids[s], ids[t]) for s, t in zip(found.graph.sources, found.graph.targets, strict=True)] == [
        ("a", "c"), ("b", "a"),
    ]  # fmt: skip


def test_assess_tells_everybody_and_the_whole():
    found = FriendshipParadox(draws=3).assess(Log.open(table(*ROWS), items=ITEMS))
    rows = {r["user"]: r for r in found.to_pylist()}
    assert rows["ann"]["in_degree_fp"] is None  # ann acted on nobody's content
    assert rows["cat"]["in_degree_mean"] == 1.5
    assert rows["cat"]["in_degree_fp"]
    assert rows["ben"]["activity_fp"] is False
    whole = json.loads(found.schema.metadata[b"summary"])
    assert {r["null"] for r in whole} == {"uniform", "rewired", "permuted"}
    first = next(r for r in whole if r["measure"] == "in_degree")
    assert first["share"] == 1.0
    again = FriendshipParadox(draws=3).assess(Log.open(table(*ROWS), items=ITEMS))
    assert whole == json.loads(again.schema.metadata[b"summary"])


def karate():
    n, a, b = pairs("karate")
    graph = Graph.of(a, b, n).symmetric()
    return graph, {"in_degree": graph.in_degree.astype(float), "age": np.arange(n, dtype=float)}


def test_a_report_beside_its_nulls():
    graph, x = karate()
    rows = report(graph, x, draws=30, seed=1).to_pylist()
    whole = {(r["measure"], r["statistic"], r["ties"], r["null"]): r for r in rows}
    mine = whole["in_degree", "mean", "all", None]
    assert round(mine["share"], 3) == 0.853
    assert mine["low"] < 0.853 < mine["high"]
    assert (mine["agents"], mine["excluded"], mine["links"]) == (34, 0, 156)
    uniform = whole["in_degree", "mean", "all", "uniform"]
    # of 34 agents with 156 ties drawn anywhere, about two thirds: the paradox is more than chance here
    assert 0.55 < uniform["null_share"] < 0.75
    assert uniform["gap_low"] > 0
    assert uniform["p"] == pytest.approx(1 / 31)
    assert whole["age", "mean", "all", "permuted"]["gap_low"] < 0.2
    assert whole["in_degree", "mean", "strong", None]["share"] is None  # every tie weighs the same
    assert ("age", "mean", "weak alone", None) not in whole
    assert report(graph, x, draws=30, seed=1).equals(report(graph, x, draws=30, seed=1))


def test_nothing_beyond_chance_in_a_random_network():
    rng = np.random.default_rng(4)
    found = []
    for seed in range(20):
        graph = Graph.of(*np.nonzero(rng.random((120, 120)) < 0.06), 120)
        x = {"in_degree": graph.in_degree.astype(float)}
        rows = report(graph, x, draws=10, resamples=400, seed=seed).to_pylist()
        row = next(r for r in rows if r["null"] == "uniform" and r["statistic"] == "mean")
        found.append(row["gap_low"] <= 0 <= row["gap_high"])
    assert sum(found) >= 17  # 95% intervals; fewer than 17 of 20 has probability .003


def test_weak_and_strong_parts():
    # 0 and 1 talk a lot; both once named 2, whom many name
    source = [0, 1, 0, 1, 3, 4, 5, 6]
    target = [1, 0, 2, 2, 2, 2, 2, 2]
    graph = Graph.of(source, target, 7, [9, 9, 1, 1, 1, 1, 1, 1])
    x = {"in_degree": graph.in_degree.astype(float)}
    rows = {(r["ties"], r["statistic"]): r for r in report(graph, x, draws=0).to_pylist()}
    assert rows["weak", "mean"]["share"] == 1.0
    assert rows["strong", "mean"]["share"] == 0.0
    assert rows["strong", "mean"]["equal"] == 1.0
    assert rows["strong", "mean"]["excluded"] == 5
    assert rows["all", "mean"]["upward"] == pytest.approx(6 / 24)


def test_two_reports_side_by_side():
    graph, x = karate()
    mine = report(graph, x, draws=5)
    rows = compared(mine, mine).to_pylist()
    assert all(r["alike"] and r["difference"] == 0 and r["low"] < 0 < r["high"] for r in rows)
    ring = Graph.of(np.arange(34), (np.arange(34) + 1) % 34, 34)
    other = report(ring, {"in_degree": ring.in_degree.astype(float)}, draws=5)
    rows = [r for r in compared(mine, other).to_pylist() if r["ties"] == "all" and r["statistic"] == "mean"]
    assert rows
    assert not any(r["alike"] for r in rows)
    assert rows[0]["difference"] == pytest.approx(0 - 0.853, abs=1e-3)


def test_a_population_shows_it_and_its_control_less():
    shares = {}
    for shown in ("mixed", "strangers"):
        built = FriendshipParadox(people=300, shown=shown, draws=0)
        log = built.run(built.world(seed=3), 120, seed=3)
        row = built.report(log).to_pylist()[0]
        assert (row["measure"], row["statistic"], row["ties"]) == ("in_degree", "mean", "all")
        shares[shown] = row["share"]
    assert shares["mixed"] > shares["strangers"] + 0.03


def test_a_shorter_tick_makes_nobody_busier():
    def acts(minutes):
        world = FriendshipParadox(people=200, minutes=minutes).world(seed=1)
        world.run(12 * 60 // minutes)
        assert world.declared.time(world.tick) - world.declared.time(0) == 12 * 3_600_000_000
        return world.events

    assert acts(20) == pytest.approx(acts(60), rel=0.25)


def test_simulated_logs_are_logs():
    built = ethogram.system("friendship_paradox", people=40)
    world = built.world(seed=1)
    log = built.run(world, 30, seed=1)
    assert world.tick == 0
    assert set(log.items["author"].to_pylist()) <= set(range(40))
    facts = built.facts(log)
    assert facts["unattributed"] == 0
    assert facts["cascade_size"] >= 1 + facts["cascade_depth"] >= 2
    assert facts["cascade_breadth"] >= 1
    assert len(log.split("temporal").train.sequences()) > 0


def people_of(n=8):
    rows = []
    for i, topic in enumerate(("bread", "bicycles", "rain", "chess", "roses", "boats", "soup", "stars")[:n]):
        rows += [
            {"user": f"u{i}", "text": f"More {topic} http://x.y today, why {topic}?", "order": k} for k in range(6)
        ]
    rows.append({"user": "quiet", "text": "hello", "order": 0})
    return Log.open(pa.Table.from_pylist(rows))


def test_minds_read_words_where_light_people_have_said_something():
    """By topic and kind, the same for every reader; the log of the light people holds none."""
    world = FriendshipParadox(people=60).world(seed=3, minds=3).run(24)
    said, topics = {}, set()
    for row in range(3):
        held = world.live.overlay.of(row)
        feed = held.mind.feed(context(row, held, world.state, world.declared))
        assert len(feed) > 3
        for post, _, text in feed:
            assert text
            assert "no words" not in text
            assert said.setdefault(post, text) == text
            topics |= {t for p in PEOPLE for t in p.interests if t in text.lower()}
    assert len(topics) > 3
    table = world.log(kinds=["post", "reply", "quote"]).table()
    light = [r for r in table.to_pylist() if r["actor"].startswith("rule")]
    assert light
    assert not any(r["text"] for r in light)


def test_the_embedded_model_plays_a_person_of_the_crowd(local):
    world = FriendshipParadox(people=20, rest=1).world(seed=3, minds=1, lm=local).run(2)
    mine = [r for r in world.log(own=True).table().to_pylist() if r["actor"].endswith(":member")]
    assert len(mine) == 2
    assert {r["actor"] for r in mine} == {"model:member"}, [r["payload"] for r in mine]


def test_interests_lie_on_half_axes_and_posts_there_speak_of_them():
    words = Wording(["a1", "b2", "c3", "d4", "e5"], 2)  # four half axes: a1 and e5 share the first
    assert words.taste({"a1": 1.0}).tolist() == words.taste({"e5": 1.0}).tolist() == [1.0, 0.0]
    assert words.taste({"d4": 2.0}).tolist() == [0.0, -1.0]
    np.testing.assert_allclose(words.taste({"b2": 3.0, "c3": 4.0}), [-0.6, 0.8], rtol=1e-6)
    platform = Platform(np.array([[0.0, -1.0], [1.0, 0.0]]), drift=0.0)
    world = platform.world(policies={"talk": lambda rows, seen, luck: Acts("post", rows)}).run(3)
    assert all("d4" in words(world.state, p).lower() for p in (0, 2, 4))
    assert all({"a1", "e5"} & set(re.findall("[a-z][0-9]", words(world.state, p).lower())) for p in (1, 3, 5))


def test_profiles_say_what_people_wrote():
    found = profiles(people_of(), 8, dimensions=4)
    assert {p.origin: p.interests[0] for p in found}["u3"] == "chess"
    one = found[0]
    assert one.name == "member 1"
    assert one.posts[0] == "More bread today, why bread?"
    assert one.tone == "You write short posts and ask a lot."
    assert np.linalg.norm(one.taste) == pytest.approx(1)
    assert "bread" in one.persona()["about"]
    assert [p.origin for p in profiles(people_of(), 3, seed=1)] == [p.origin for p in profiles(people_of(), 3, seed=1)]


def test_tone_and_mood():
    assert tone(["STOP!", "NOW!"]) == "You write short posts and exclaim and shout."
    assert tone(["a b"] * 4, Counter(fear=2, neutral=2)).endswith("Your mood: fear.")
    assert plain("I&#39;m  in\nhttps://a.b/c?d now") == "I'm in now"


def test_members_open_with_their_own_words_and_think_later():
    lm = ScriptedLM(lambda m, luck: luck.choice(["react to post 1", "like it", "write a post of your own"]))
    built = FriendshipParadox(draws=2)
    world = built.members(people_of(), people=6, lm=lm, seed=2)
    log = built.run(world, 4, seed=2)
    rows = log.table().sort_by("event").to_pylist()
    assert [r["actor"] for r in rows[:6]] == ["rule:opening"] * 6
    assert all("today" in r["text"] for r in rows[:6])
    assert {r["actor"] for r in rows[6:]} == {"model:member"}
    assert set(built.assess(log)["user"].to_pylist()) == {f"member {i}" for i in range(1, 7)}


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: network(example()), RolesError, "nothing says whose content an item is"),
        (lambda: network(Log.open(table(*ROWS), items=ITEMS), author="autor"), RolesError, "Did you mean 'author'"),
        (lambda: network(Log.open(table(*ROWS)), author="@itm"), RolesError, "no column '@itm'"),
        (lambda: network(Log.open(pa.table({"user": ["a"], "order": [1]})), author="@item"), RolesError,
         "no role 'item'"),
        (lambda: network(Log.open(table(*ROWS).drop_columns(["kind"]), items=ITEMS), ties="follows"), RolesError,
         "no role 'kind'"),
        (lambda: FriendshipParadox(draws=-1), OptionError, "draws = -1"),
        (lambda: FriendshipParadox(people=1), OptionError, "people = 1"),
        (lambda: FriendshipParadox(ties="friends"), OptionError, "ties"),
        (lambda: profiles(example(), 3), RolesError, "no role 'text'"),
        (lambda: profiles(people_of(), 9), OptionError, "8 people wrote 5 posts or more; 9 were asked for"),
    ],
)  # fmt: skip
def test_bad_input(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_a_network_without_ties_is_reported_as_such():
    log = Log.open(
        table(("a", "p1", "post"), ("b", "p2", "post")), items=pa.table({"item": ["p1", "p2"], "author": ["a", "b"]})
    )
    rows = FriendshipParadox(draws=3).report(log).to_pylist()
    assert all(r["share"] is None and r["agents"] == 0 and r["excluded"] == 2 for r in rows)
    assert FriendshipParadox(draws=3).assess(log)["in_degree_fp"].null_count == 2
