"""A social network in a world: every verb by hand, feeds, growth, resuming, forks, the same however it is cut."""

import numpy as np
import pytest

from ethogram.errors import WorldError
from ethogram.numeric.graphs import Graph
from ethogram.world import Acts, Command
from ethogram.world.permuting import relabelled
from ethogram.world.social import (
    Answers,
    Anything,
    Crowd,
    Followed,
    Hot,
    Mix,
    Platform,
    Popular,
    Strangers,
    Topical,
    posts,
    relations,
    search,
    traits,
)
from ethogram.world.social.feeds import hot


def scripted(script, n=4, feed=None, follows=None, taste=None, **options):
    """A platform on which people do what a script says: tick -> list of (verb, who, on) or (verb, who, on, text)."""

    def act(rows, seen, luck):
        made = []
        for verb, who, on, *text in script.get(seen.tick, ()):
            said = {0: text[0]} if text else None
            made.append(Acts(verb, np.array([who]), object=on, text=said))
        return made

    directions = np.eye(n, dtype=np.float32) if taste is None else taste
    platform = Platform(directions, feed=feed, follows=follows, drift=0.0, **options)
    return platform, platform.world(policies={"script": act}, seed=1)


def test_every_verb_by_hand():
    platform, world = scripted(
        {
            0: [("post", 0, -1, "hello"), ("follow", 1, 0), ("follow", 2, 0), ("follow", 2, 0), ("follow", 3, 3)],
            1: [("like", 1, 0), ("like", 1, 0), ("reply", 1, 0, "yes"), ("dislike", 2, 0), ("report", 3, 0)],
            2: [("repost", 2, 0), ("quote", 3, 0), ("mute", 3, 1), ("unfollow", 2, 0), ("unfollow", 1, 3)],
            3: [("like", 3, 2), ("unlike", 1, 0), ("unlike", 0, 0), ("unmute", 3, 1), ("search", 0, -1)],
        }
    )
    world.run(1)
    assert posts.texts(world.state, [0]) == ["hello"]
    assert platform.graph(world).targets.tolist() == [0, 0]  # twice is once, nobody follows themselves
    assert world.state["followers"].tolist() == [2, 0, 0, 0]
    world.run(2)
    counts = {c: world.state[f"post.{c}"][0] for c in posts.COUNTS}
    assert counts == {"likes": 1, "dislikes": 1, "replies": 1, "reposts": 0, "quotes": 0, "reports": 1}
    assert world.state["post.parent"][1] == 0
    assert posts.texts(world.state, [1]) == ["yes"]
    world.run(3)
    assert world.state["post.reposts"][0] == world.state["post.quotes"][0] == 1
    assert relations.tied(world.state, relations.MUTES, np.array([3]), np.array([1])).tolist() == [True]
    assert platform.graph(world).ties == 1
    assert world.state["following"].tolist() == [0, 1, 0, 0]
    world.run(4)
    # post 2 is the repost of post 0: what is done to it is done to the original, and 1 took their like back
    assert world.state["post.likes"][:4].tolist() == [1, 0, 0, 0]
    assert not relations.tied(world.state, relations.MUTES, np.array([3]), np.array([1])).any()
    assert world.state["activity"].tolist() == [1, 1, 0, 1]  # a repost is no post of one's own


def test_the_log_says_whose_each_post_is():
    script = {0: [("post", 2, -1, "a"), ("follow", 0, 2)], 1: [("repost", 0, 0)], 2: [("like", 1, 1), ("reply", 3, 1)]}
    platform, world = scripted(script)
    log = platform.log(world.run(3))
    table = log.table().sort_by("event").to_pylist()
    assert [(r["user"], r["kind"], r["item"]) for r in table] == [
        (0, "follow", "people 2"), (2, "post", "post 0"), (0, "repost", "post 0"), (1, "like", "post 0"),
        (3, "reply", "post 0"),
    ]  # fmt: skip
    items = {r["item"]: r for r in log.items.to_pylist()}
    assert items["post 0"]["author"] == items["people 2"]["author"] == 2
    assert (items["post 2"]["kind"], items["post 2"]["parent"]) == ("reply", "post 0")
    assert items["post 0"]["likes"] == 1


def test_posts_and_ties_grow():
    n = 100
    rows = np.arange(n)

    def busy(who, seen, luck):
        likes = [Acts("like", who, object=seen.tick * n - n + (who + 1) % n)] if seen.tick else []
        return [Acts("post", who), Acts("follow", who, object=(who + 1 + seen.tick) % n), *likes]

    platform = Platform(np.ones((n, 2)))
    world = platform.world(policies={"busy": busy}).run(5)
    assert posts.number(world.state) == 500
    graph = platform.graph(world)
    assert graph.out_degree.tolist() == [5] * n
    assert (world.state["post.likes"][:400] == 1).all()
    assert world.state["post.before"][400 + rows].tolist() == (300 + rows).tolist()
    assert world.at(1).run(5).fingerprint == world.fingerprint


def test_feeds_by_hand():
    script = {
        0: [("post", 0, -1), ("post", 1, -1), ("post", 2, -1), ("follow", 3, 0), ("follow", 3, 1)],
        1: [("post", 0, -1), ("like", 3, 1), ("like", 2, 0), ("reply", 1, 0)],
        2: [("repost", 1, 2)],
    }
    _, world = scripted(script)
    world.run(3)  # posts: 0 of 0, 1 of 1, 2 of 2, 3 of 0, 4 reply of 1 to 0, 5 repost of 2 by 1
    seen, me = world.state, np.array([3])
    luck = seen.luck(me)
    assert Followed(each=2).posts(me, seen, luck, 4).tolist() == [[2, 4, 3, 0]]
    assert Followed(each=1).posts(me, seen, luck, 4).tolist() == [[2, 3, -1, -1]]
    assert Answers().posts(np.array([0, 3]), seen, seen.luck([0, 3]), 2).tolist() == [[4, -1], [-1, -1]]
    assert set(Popular(best=1).posts(me, seen, luck, 5).ravel().tolist()) == {0}
    assert 5 not in Anything().posts(np.zeros(400, int), seen, seen.luck(np.zeros(400, int)), 3)
    # what I liked, what I wrote, and the same twice leave their places empty
    mixed = Mix((Followed(each=3), 6), (Popular(best=40), 6)).posts(me, seen, luck)
    there = mixed[mixed >= 0]
    assert 1 not in there
    assert len(set(there.tolist())) == len(there)
    own = Mix((Followed(), 2), (Popular(best=40), 20)).posts(np.array([0]), seen, seen.luck([0]))
    assert not {0, 3} & set(own.ravel().tolist())


def test_topical_and_search_find_what_agrees():
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(30, 4))
    script = {0: [("post", i, -1) for i in range(30)]}
    platform, world = scripted(script, 30, taste=taste)
    world.run(1)
    seen = world.state
    agree = seen["post.topic"][:30] @ seen["taste"].T
    found = Topical(sample=400).posts(np.arange(30), seen, seen.luck(np.arange(30)), 3)
    for i in range(30):
        assert found[i].tolist() == np.argsort(-agree[:, i])[:3].tolist()
        assert search(seen, seen["taste"][i], 5).tolist() == np.argsort(-agree[:, i])[:5].tolist()
    assert platform.shown(seen, 3).shape == (1, 10)


def test_muted_and_reported_are_not_shown():
    script = {0: [("post", 0, -1), ("post", 1, -1)], 1: [("mute", 2, 0), ("report", 0, 1), ("report", 3, 1)]}
    feed = Mix((Anything(), 30))
    _, world = scripted(script, feed=feed, removal=2)
    world.run(1)
    assert set(feed.posts(np.array([2]), world.state, world.state.luck([2])).ravel().tolist()) == {0, 1, -1}
    world.run(2)
    assert set(feed.posts(np.array([2]), world.state, world.state.luck([2])).ravel().tolist()) == {-1}
    assert set(feed.posts(np.array([3]), world.state, world.state.luck([3])).ravel().tolist()) == {0, -1}
    freed = world.fork(do=Command("set", {"column": "removal", "value": 0}))
    freed.run(3)
    assert 1 in feed.posts(np.array([3]), freed.state, freed.state.luck([3]))


def test_two_posts_of_one_person_differ():
    platform = Platform(np.eye(4, dtype=np.float32), drift=0.5)
    two = platform.world(policies={"talk": lambda rows, seen, luck: [Acts("post", rows), Acts("post", rows)]}).run(1)
    topic = two.state["post.topic"][:8]
    assert np.unique(topic, axis=0).shape == (8, 4)
    np.testing.assert_allclose(np.linalg.norm(topic, axis=1), 1, rtol=1e-6)


def test_hot_scores():
    # OASIS and Reddit: sign(s) log10(max(|s|, 1)) + t / decay; ten times the points are worth `decay` ticks
    np.testing.assert_allclose(hot(np.array([0, 9, 100, -100]), np.array([0, 20, 40, 0]), 20.0), [0, 1.9542425, 4, -2])
    script = {0: [("post", 0, -1)], 1: [("like", i, 0) for i in (1, 2, 3)], 30: [("post", 1, -1)]}
    _, world = scripted(script)
    world.run(31)
    seen, me = world.state, np.array([2])
    assert Hot(best=1, decay=10.0).posts(me, seen, seen.luck(me), 1).tolist() == [[1]]
    assert Hot(best=1, decay=1e6).posts(me, seen, seen.luck(me), 1).tolist() == [[0]]


def crowd(n=300, seed=1, **options):
    own = traits(n, seed)
    feed = Mix((Answers(), 2), (Followed(), 3), (Topical(), 2), (Popular(), 3))
    platform = Platform(own.pop("taste"), feed=feed)
    return platform, platform.world(columns=own, policies={"crowd": Crowd(feed)}, seed=seed, **options)


def test_a_crowd_does_everything_and_the_same_in_any_batches():
    platform, world = crowd()
    world.run(60)
    kinds = set(platform.log(world).table()["kind"].to_pylist())
    assert kinds >= {"post", "reply", "repost", "quote", "like", "dislike", "follow", "mute", "report", "search"}
    assert crowd(batch=7)[1].run(60).fingerprint == world.fingerprint
    assert crowd(batch=50, workers=3)[1].run(60).fingerprint == world.fingerprint
    assert crowd(seed=2)[1].run(60).fingerprint != world.fingerprint


def test_a_crowd_is_resumed_and_forked(tmp_path):
    whole = crowd()[1].run(40).fingerprint
    crowd(folder=tmp_path / "run", every=10)[1].run(25)
    again = crowd(folder=tmp_path / "run", every=10, resume=True)[1]
    assert again.run(40).fingerprint == whole
    assert again.fork(30).run(40).fingerprint == whole


def test_a_crowd_prefers_what_agrees_and_a_control_does_not():
    def agreed(affinity):
        own = traits(300, 3)
        feed = Mix((Anything(), 10))
        platform = Platform(own.pop("taste"), feed=feed)
        world = platform.world(columns=own, policies={"crowd": Crowd(feed, affinity=affinity)}, seed=1).run(40)
        table = platform.log(world, kinds=["like"]).table()
        at = np.array([int(i.removeprefix("post ")) for i in table["item"].to_pylist()])
        taste = world.state["taste"][table["user"].to_numpy()]
        return float((taste * world.state["post.topic"][at]).sum(1).mean())

    assert agreed(4.0) > 0.5
    assert abs(agreed(0.0)) < 0.2


def test_strangers_are_uniform_over_people():
    script = {t: [("post", 0, -1)] for t in range(50)} | {50: [("post", i, -1) for i in range(1, 4)]}
    _, world = scripted(script)
    world.run(51)
    luck = world.state.draws.at(np.arange(4_000), 51)
    found = Strangers().posts(np.full(4_000, 3), world.state, luck, 1).ravel()
    counts = np.bincount(world.state["post.author"][found], minlength=4)
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 16.3  # chi-square of 3, p = .001, though 0 wrote 50 posts of 53


def test_ties_do_not_hang_on_the_order_of_rows():
    def build():
        platform = Platform(np.ones((50, 2)))

        def act(rows, seen, luck):
            place = np.argsort(seen["uid"])  # objects are rows: people are looked up by who they are
            whom = luck.integers("whom", 50)[:, 0]
            back = place[(whom + 1) % 50]
            return [Acts("follow", rows, object=place[whom]), Acts("unfollow", rows, object=back)]

        return platform.world(policies={"ties": act}, seed=2)

    assert not {"following", "followers"} & set(relabelled(build, 6))


def test_what_is_given_is_read():
    graph = Graph.of([0, 0, 2, 3], [1, 3, 0, 0], 4)
    platform, world = scripted({}, follows=graph)
    back = platform.graph(world)
    np.testing.assert_array_equal(back.offsets, graph.offsets)
    np.testing.assert_array_equal(back.targets, graph.targets)
    assert world.state["followers"].tolist() == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Platform(np.ones(3)), "people, dimensions"),
        (lambda: Platform(np.full((3, 2), np.nan)), "finite"),
        (lambda: Platform(np.ones((3, 2)), follows=Graph.of([0], [1], 2)), "graph has 2 people, there are 3"),
        (lambda: Platform(np.ones((3, 2)), removal=-1), "removal = -1"),
        (lambda: Mix(), "1 place or more"),
        (lambda: Mix((Followed(), -2)), "1 place or more"),
        (lambda: Crowd(Mix((Followed(), 1)), follow=2.0), "must lie in"),
        (lambda: scripted({0: [("like", 1, 500)]})[1].run(1), "object 500"),
        (lambda: scripted({0: [("poke", 1, 0)]})[1].run(1), "unknown verb 'poke'"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(WorldError, match=said):
        call()


def test_acting_on_a_post_that_is_not_there_yet():
    """There is room for posts that nobody has written; acting on them is refused."""
    _, world = scripted({0: [("like", 1, 5), ("reply", 1, 5), ("repost", 2, 5)]})
    world.run(1)
    assert posts.number(world.state) == 0
    assert world.state["likes_first"].max() == -1
    assert set(world.log(refused=True).table()["kind"].to_pylist()) == {
        "like (refused)", "reply (refused)", "repost (refused)"
    }  # fmt: skip
