"""People of a social network who are played by a language model; and a recommender as their feed."""

from dataclasses import replace

import numpy as np
import pytest

from ethogram.errors import WorldError
from ethogram.lm import LM, Broker, ScriptedLM
from ethogram.lm.choices import lettered
from ethogram.lm.replies import Choice
from ethogram.system import system
from ethogram.world import Acts
from ethogram.world.social import Anything, Crowd, Followed, Mix, Platform, Popular, traits
from ethogram.world.social import posts as columns
from ethogram.world.social.members import WORDS, Member, retention
from ethogram.world.social.recommended import Recommended, authored, learn

TEXTS = ("the roses are out", "who plays chess tonight?", "rain again")


def town(lm, n=3, **options):
    """Everybody says something at tick 0, then thinks."""
    feed = Mix((Anything(), 6))
    platform = Platform(np.eye(n, dtype=np.float32), feed=feed)

    def open_(rows, seen, luck):
        if seen.tick:
            return None
        return Acts("post", rows, text={i: TEXTS[r] for i, r in enumerate(rows.tolist())})

    names = ["Ann", "Ben", "Cleo"][:n]
    world = platform.world(
        names, policies={"opening": open_}, lm=lm, seed=5, start="2024-01-01", length="1h",
        minds={"member": lambda persona: Member(persona, platform, **options)},
    )  # fmt: skip
    for uid, name in enumerate(names):
        world.promote(uid, "member", {"name": name, "about": "You like flowers.", "posts": [TEXTS[uid]]}, at=1)
    return platform, world


def answering(*said):
    """The first of these that the question offers."""

    def policy(messages, luck):
        asked = messages[-1].text
        return next((s for s in said if s in asked), said[-1])

    return ScriptedLM(policy, name="|".join(said))


def test_a_member_reads_its_feed_and_reacts():
    lm = answering("react to post 1", "answer it", "How lovely!")
    platform, world = town(lm, reflect=0)
    log = platform.log(world.run(2)).table().sort_by("event").to_pylist()
    replies = [r for r in log if r["kind"] == "reply"]
    assert len(replies) == 3
    assert {r["actor"] for r in replies} == {"model:member"}
    assert all(r["text"] == "How lovely!" and r["item"].startswith("post ") and r["cause"] is not None for r in replies)
    assert columns.texts(world.state, np.arange(3, 6)) == ["How lovely!"] * 3
    asked = [m[-1].text for m in lm.asked if "In your feed:" in m[-1].text]
    assert any("Ben: who plays chess tonight?" in a for a in asked)
    assert not any("Ann: the roses are out" in m[-1].text for m in lm.asked if "You are Ann" in m[0].text)


def test_brief_questions_of_a_decision_begin_alike():
    """With first tokens: the posts stand in the first question once, and all that follows begins with it."""
    asked = []

    class Lettered(ScriptedLM):
        async def capabilities(self):
            return replace(await super().capabilities(), top_logprobs=20, prompt_logprobs="none")

        async def choose(self, prompt, options, **how):
            asked.append(f"{prompt}\n\n{lettered(options)}\n")
            first = [WORDS["reply"]] if WORDS["reply"] in options else [o for o in options if o.startswith("Ben:")]
            shares = np.array([float(o in first) for o in options])
            if not first:
                shares[-2] = 1.0
            return Choice(options[int(shares.argmax())], 0, shares / shares.sum(), "first_token", 1.0, True, "x")

        async def chat(self, said, **how):
            asked.append(said)
            return await super().chat(said, **how)

    platform, world = town(Lettered(lambda m, luck: "Yes."), reflect=0, brief=True)
    log = platform.log(world.run(2)).table().to_pylist()
    assert {r["kind"] for r in log if r["actor"] == "model:member"} == {"reply", "post"}
    chains = [a for a in asked if a.startswith(asked[0][:-1])]
    assert len(chains) == 3  # what, how, words
    assert asked[0].count("who plays chess tonight?") == 1
    assert "You choose: Ben: who plays chess tonight?" in chains[-1]


def test_no_prompt_tells_how_popular_anybody_is():
    lm = answering("react to post 1", "like it")
    town(lm, reflect=2)[1].run(5)
    told = "\n".join(m.text for asked in lm.asked for m in asked).lower()
    assert "follower" not in told
    assert "likes" not in told.replace("you like flowers", "")
    assert not any(f"{n} people" in told for n in range(10))


def test_writing_following_and_nothing():
    for said, kind in (("write a post of your own", "post"), ("do nothing", None)):
        platform, world = town(answering(said), reflect=0)
        table = platform.log(world.run(2)).table()
        kinds = table.filter(np.array(table["time"].to_pylist()) > min(table["time"].to_pylist()))["kind"].to_pylist()
        assert kinds == ([kind] * 3 if kind else [])
    platform, world = town(answering("react to post 1", "follow its author"), reflect=0)
    world.run(2)
    assert platform.graph(world).ties == 3


def test_what_was_concluded_comes_back():
    lm = answering("react to post 1", "like it", "I think that roses matter.")
    platform, world = town(lm, reflect=1)
    world.run(4)
    mind = world.live.overlay.of(0).mind
    assert "I think that roses matter." in world.context(0)
    assert 0 < len(mind.short) <= 30
    back = Member({"name": "Ann"}, platform)
    back.restore(mind.state())
    assert back.state() == mind.state()
    assert world.fork(2).run(4).fingerprint == world.fingerprint


def test_a_run_is_replayed_without_a_model(tmp_path):
    run = tmp_path / "town.lmrun"

    def made(mode, said):
        broker = Broker(run=run, mode=mode, cache=False)
        world = town(ScriptedLM(lambda m, luck: luck.choice(said), name="town", broker=broker), reflect=2)[1].run(5)
        broker.close()
        return world.fingerprint

    options = ["react to post 1", "write a post of your own", "like it", "answer it", "do nothing"]
    first = made("record", options)
    assert made("replay-strict", ["nobody is asked"]) == first


def test_forgetting_by_hand():
    popularity, recency = np.array([1.0, 0.0, 0.5]), np.array([0.5, 0.5, 0.0])
    expected = [0.75 * 0.5**1.5, 0.25 * 0.5**1.5, 0.25 * 0.2]
    np.testing.assert_allclose(retention(popularity, recency), expected)


def test_with_the_embedded_model(tmp_path, monkeypatch):
    monkeypatch.setenv("ETHOGRAM_CACHE", str(tmp_path))
    lm = LM.connect("local", broker=Broker.bare(), threads=1, context=512)
    platform, world = town(lm, n=2, reflect=0, words=8)
    log = platform.log(world.run(2), own=True).table().to_pylist()
    lm.sync.close()
    decided = [r["actor"] for r in log if r["actor"].endswith(":member")]
    assert decided == ["model:member"] * 2


@pytest.mark.parametrize("key", ["item_knn", "popularity", "als"])
def test_any_recommender_is_a_feed(key):
    own = traits(80, 1)
    feed = Mix((Recommended(), 4), (Followed(), 2), (Popular(), 2))
    platform = Platform(own.pop("taste"), feed=feed, suggested=6)
    world = platform.world(columns=own, policies={"crowd": Crowd(feed)}, seed=1).run(20)
    assert (Recommended().posts(np.arange(80), world.state, world.state.luck(np.arange(80)), 4) == -1).all()
    found = learn(platform, world, system(key))
    world.run(21)
    np.testing.assert_array_equal(world.state["suggested"], found)
    rows = np.arange(80)
    shown = Recommended().posts(rows, world.state, world.state.luck(rows), 4)
    newest = np.where(found >= 0, columns.original(world.state, world.state["newest"][found]), -1)
    assert all(set(s[s >= 0]) <= set(f) for s, f in zip(shown, newest, strict=True))
    assert (shown >= 0).any()
    world.run(40)
    assert world.fork(10).run(15).fingerprint == world.at(15).fingerprint
    assert world.at(30).run(40).fingerprint == world.fingerprint  # the retraining is an event of the run


def test_learning_needs_something_to_learn():
    platform = Platform(np.ones((3, 2)), suggested=2)
    world = platform.world(policies={"talk": lambda rows, seen, luck: Acts("post", rows)}).run(1)
    with pytest.raises(WorldError, match="nobody has acted"):
        learn(platform, world, system("popularity"))
    with pytest.raises(WorldError, match="keeps no suggestions"):
        learn(Platform(np.ones((3, 2))), world, system("popularity"))
    with pytest.raises(WorldError, match=r"Platform\.log"):
        authored(world.log())
    bare = Platform(np.ones((3, 2)), feed=Mix((Recommended(), 2)))
    talk = bare.world(policies={"talk": lambda rows, seen, luck: Acts("post", rows)}).run(1)
    with pytest.raises(WorldError, match="suggested=NUMBER"):
        bare.shown(talk.state, [0])


@pytest.mark.parametrize(
    ("options", "said"), [({"verbs": ("like", "poke")}, "unknown reaction 'poke'"), ({"verbs": ("like",)}, "2 or more")]
)
def test_bad_members(options, said):
    with pytest.raises(WorldError, match=said):
        Member({}, Platform(np.ones((2, 2))), **options)
