"""Deadlines that were missed are missed again in a replay, and no others, however fast or slow it is."""

import asyncio
import json
from collections import Counter

import pytest
from tests.world.market import answer, market
from tests.world.test_minds import rows

from ethogram.lm import Broker, ScriptedLM
from ethogram.world import Action, Acts, Decision, World
from ethogram.world.outside import Outside


class Drawing:
    """Asks with temperature and without a seed: no call is another one, and what is given up is never answered."""

    def __init__(self, persona):
        pass

    async def act(self, seen):
        reply = await seen.lm.chat(f"Person {seen.uid} at {seen.tick}?", temperature=1.0, purpose="draw")
        return Decision("go", value=float(len(reply.text)))


class Seeded(Drawing):
    async def act(self, seen):
        reply = await seen.lm.chat(f"Person {seen.uid} at {seen.tick}?", seed=seen.seed, purpose="draw")
        return Decision("go", value=float(len(reply.text)))


class Dawdling(Seeded):
    """Has its answer in time, and takes its time itself, where `until` is not set."""

    until = None

    async def act(self, seen):
        decided = await super().act(seen)
        if seen.tick == 1 and Dawdling.until is not None:
            await Dawdling.until.wait()
        return decided


def held(lm, mind, deadline=0.4, **options):
    world = World(
        3, actions=[Action("go"), Action("stay")], policies={"still": lambda rows, *_: Acts("stay", rows)},
        minds={"m": mind}, lm=lm, fallback="still", deadline=deadline, **options,
    )  # fmt: skip
    for uid in range(3):
        world.promote(uid, "m")
    return world


def late(world):
    return sorted((r["event"] >> 40, r["user"]) for r in rows(world) if r["actor"].startswith("fallback"))


def model(path, mode, waits):
    """A model whose answer of tick 1 to person 1 comes when tick 3 is decided: too late, however slow the machine."""
    here = {}

    async def rule(messages, rng):
        come = here.setdefault("come", asyncio.Event())
        if "Person 1 at 1" in messages[-1].text and waits:
            await come.wait()
        if "at 3" in messages[-1].text:
            come.set()
        return "word " * (1 + rng.randrange(9))

    return ScriptedLM(rule, name="late", broker=Broker(run=path, mode=mode, cache=False))


@pytest.mark.parametrize("mind", [Seeded, Drawing])
def test_who_was_late_is_late_in_a_replay_that_has_the_answer_at_once(tmp_path, mind):
    lm = model(tmp_path / "a.lmrun", "record", True)
    recorded = held(lm, mind).run(6)
    lm.broker.close()
    assert (1, 1) in late(recorded)
    for mode in ("replay-strict", "replay-lenient"):
        lm = model(tmp_path / "a.lmrun", mode, False)
        # also where the deadline is another one
        replayed = held(lm, mind, deadline=600 if mode == "replay-lenient" else None).run(6)
        assert not lm.asked
        assert late(replayed) == late(recorded)
        assert replayed.fingerprint == recorded.fingerprint
        lm.broker.close()


def test_calls_that_are_told_apart_by_their_number_keep_it_in_a_replay(tmp_path):
    """Everybody asks the same at each tick, and draws: an answer is the first, the second ... of its question."""

    class Same(Drawing):
        async def act(self, seen):
            reply = await seen.lm.chat(f"Person {seen.uid}?", temperature=1.0, purpose="draw")
            return Decision("go", value=float(reply.text))

    def made(mode):
        count, here = Counter(), {}

        async def rule(messages, rng):
            come = here.setdefault("come", asyncio.Event())
            who = messages[-1].text
            count[who] += 1
            if (who, count[who]) == ("Person 1?", 2):
                await come.wait()
            if count[who] == 4:
                come.set()
            return str(count[who])

        return ScriptedLM(rule, name="same", broker=Broker(run=tmp_path / "a.lmrun", mode=mode, cache=False))

    lm = made("record")
    recorded = held(lm, Same).run(6)
    lm.broker.close()
    assert (1, 1) in late(recorded)
    lm = made("replay-strict")
    assert held(lm, Same).run(6).fingerprint == recorded.fingerprint
    assert not lm.asked


def test_who_was_in_time_is_in_time_in_a_replay_that_is_slow(tmp_path):
    def made(mode, deadline):
        lm = model(tmp_path / "a.lmrun", mode, False)
        world = held(lm, Dawdling, deadline)
        if mode == "record":
            world.run(5)
            lm.broker.close()
        return world

    recorded = made("record", 600)
    assert not late(recorded)
    Dawdling.until = Slow()
    try:
        replayed = made("replay-strict", 0.01).run(5)
    finally:
        Dawdling.until = None
    assert replayed.fingerprint == recorded.fingerprint


class Slow:
    async def wait(self):
        await asyncio.sleep(0.2)


def test_a_day_whose_model_is_sometimes_too_slow_is_replayed_without_a_call(tmp_path):
    """25 people; every ninth call comes when its day is over."""
    here = {}

    async def slow(messages, rng):
        over = here.setdefault("over", asyncio.Event())
        if rng.randrange(9) == 0:
            await over.wait()
        return answer(messages, rng)

    def day(mode):
        lm = ScriptedLM(slow, name="day", broker=Broker(run=tmp_path / "day.lmrun", mode=mode, cache=False))
        return lm, market(people=25, minds=25, lm=lm, deadline=0.3, fallback="shopper")

    lm, recorded = day("record")
    recorded.run(4)
    assert recorded.shares()["fallback"] > 0.03
    asyncio.run_coroutine_threadsafe(_set(here["over"]), _loop()).result()
    lm.broker.close()
    lm, replayed = day("replay-strict")
    assert replayed.run(4).fingerprint == recorded.fingerprint
    assert not lm.asked
    lm.broker.close()


async def _set(event):
    event.set()
    await asyncio.sleep(0.1)


def _loop():
    from ethogram.lm import blocking

    return blocking.loop()


def test_somebody_at_a_screen_keeps_the_deadline_in_a_replay(tmp_path):
    """Whoever is outside is in no recording: the run must not wait for them without end."""

    async def screen(seen):
        await asyncio.sleep(60)
        return Decision("go")

    def made(mode):
        lm = model(tmp_path / "a.lmrun", mode, False)
        world = held(lm, lambda persona: Outside(persona, screen), deadline=0.05).run(2)
        lm.broker.close()
        return world

    recorded = made("record")
    assert late(recorded) == [(t, u) for t in range(2) for u in range(3)]
    assert json.loads(rows(recorded)[-1]["payload"])["why"] == "no answer within 0.05 seconds"
    assert made("replay-strict").fingerprint == recorded.fingerprint
