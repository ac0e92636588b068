"""A community that lives in the engine: the law of its threads, trolling as events, what if, minds, bad input."""

import json

import numpy as np
import pytest

from ethogram.errors import OptionError, PersonaError, WorldError
from ethogram.lm import ScriptedLM
from ethogram.simulate.social_simulacra import SocialSimulacra, garden
from ethogram.simulate.social_simulacra.living import SAID
from ethogram.simulate.social_simulacra.threads import own_seed
from ethogram.world import Command
from ethogram.world.social import posts

DAY = 144


def live(seed=1, **changes):
    made = SocialSimulacra().living(garden(**changes), seed=seed)
    return made, made.world(seed=seed)


def test_threads_go_as_the_process_says():
    """With the numbers of `Threads`, the living threads are its threads: authors, acts, parents, words, rules."""
    living, world = live(seed=3)
    engine = living.threads
    living._numbers = lambda seen, k, step: (engine._luck(k, step, 3), own_seed(3, k, step))
    world = living.world(seed=3).run(3 * DAY)
    done = 0
    for number in range(25):
        told, made = living.made.thread(number), living.thread(world.state, number)
        n = len(made.nodes)
        assert [(a.parent, a.author, a.act, a.text, a.rule) for a in made.nodes] == [
            (b.parent, b.author, b.act, b.text, b.rule) for b in told.nodes[:n]
        ]
        done += n == len(told.nodes)
    assert done >= 20


def test_trolling_is_an_event_with_its_reason():
    _, world = live(troll_rate=0.5, n_members=30)
    log = world.run(4 * DAY).log().table()
    rows = log.to_pylist()
    assert set(log["kind"].to_pylist()) == {"post", "reply"}
    why = [json.loads(r["payload"])["why"] for r in rows]
    assert [SAID[int(r["value"])] for r in rows] == [w.partition(";")[0] for w in why]
    broken = [w for w in why if "breaks: no personal attacks" in w]
    assert broken
    _, quiet = live(troll_rate=0.0, n_members=30)
    fewer = sum("breaks" in json.loads(r["payload"])["why"] for r in quiet.run(4 * DAY).log().table().to_pylist())
    assert sum("breaks" in w for w in why) > 2 * fewer
    seen = world.state
    n = posts.number(seen)
    assert (seen["post.thread"][:n] >= 0).all()
    above = seen["post.parent"][:n]
    assert (seen["post.thread"][above[above >= 0]] == seen["post.thread"][:n][above >= 0]).all()


def test_what_if_a_moderator_says_something():
    living, world = live()
    world.run(DAY)
    at = posts.number(world.state) - 1
    branch = world.fork(DAY, Command("say", {"post": at, "act": "moderate"})).run(2 * DAY)
    past = [(r["event"], r["text"]) for r in world.log().table().to_pylist()]
    known = {event for event, _ in past}
    assert [(r["event"], r["text"]) for r in branch.log().table().to_pylist() if r["event"] in known] == past
    by = [r for r in branch.log().table().to_pylist() if r["user"] == "moderate"]
    assert len(by) == 1
    assert by[0]["item"] == at
    number = int(world.state["post.thread"][at])
    nodes = living.thread(branch.state, number).nodes
    assert [n.act for n in nodes if n.inserted] == ["moderate"]
    said = world.fork(do=Command("say", {"post": at, "text": "You are all wrong."})).run(DAY + 2).log().table()
    assert "You are all wrong." in said["text"].to_pylist()


def test_nothing_hangs_on_batches_and_a_run_is_repeated():
    _, world = live()
    world.run(DAY)
    _, small = live()
    object.__setattr__(small.declared, "batch", 1)
    assert small.run(DAY).fingerprint == world.fingerprint
    assert world.at(70).run(DAY).fingerprint == world.fingerprint
    assert world.fork(40, seed=9).run(DAY).fingerprint != world.fingerprint


def test_minds_find_words_and_fall_back_to_the_grammar():
    def moody(messages, luck):
        from ethogram.errors import BadReply

        return BadReply("not today") if luck.random() < 0.3 else "Words of a model."

    world = SocialSimulacra().world(seed=1, minds=20, lm=ScriptedLM(moody, name="moody"))
    rows = world.run(2 * DAY).log().table().to_pylist()
    said = {r["actor"]: r["text"] for r in rows}
    assert said["model:writer"] == "Words of a model."
    assert said["fallback:writer"] != "Words of a model."
    plain = SocialSimulacra().world(seed=1).run(2 * DAY).log().table().sort_by("event").to_pylist()
    rows = sorted(rows, key=lambda r: r["event"])
    # who speaks when, and with which act, is drawn: not the model's to decide
    shared = ("user", "kind", "time", "value")
    assert [[r[c] for c in shared] for r in plain] == [[r[c] for c in shared] for r in rows]
    mind = int(np.argmax(world.live.arrays["activity"]))
    assert "<goal>Beginners help each other" in world.context(mind)
    assert world.ask(mind, "How is it here?") if mind in world.live.overlay.held else True


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda f: SocialSimulacra(daily=0), OptionError, "daily = 0"),
        (lambda f: SocialSimulacra(minutes=0), OptionError, "minutes = 0"),
        (lambda f: SocialSimulacra(design=str(f / "x.json")).world(), OptionError, "cannot be read"),
        (lambda f: SocialSimulacra(design=str(f / "d.json")).world(), OptionError, "Did you mean 'goal'"),
        (lambda f: SocialSimulacra().world(minds=61), WorldError, "61 minds among 60 members"),
        (lambda f: live()[1].intervene("say", post=0), WorldError, "no post 0"),
        (lambda f: live()[1].run(9).intervene("say", post=0, act="atack"), WorldError, "Did you mean 'attack'"),
    ],
)
def test_bad_input(tmp_path, call, error, said):
    (tmp_path / "d.json").write_text('{"name": "x", "gaol": "y"}')
    with pytest.raises((error, PersonaError), match=said):
        call(tmp_path)


def test_the_embedded_model_writes_for_a_member(local):
    """What it writes ends with a whole sentence, or says that it was cut off; its act was drawn."""
    world = SocialSimulacra().world(seed=3, minds=8, lm=local).run(2)
    rows = world.log().table().to_pylist()
    assert [r["actor"] for r in rows] == ["model:writer"], [r["payload"] for r in rows]
    assert rows[0]["text"][-1] in ".!?…" or len(rows[0]["text"].split()) < 40
    assert rows[0]["payload"]
