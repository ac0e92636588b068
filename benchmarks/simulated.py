"""Simulated people, measured in a process of their own, so that the memory that is told is theirs.

    python -m benchmarks.simulated world|sparse|network|objects|log|minds|archetypes|endpoint PEOPLE TICKS

prints one line of JSON. The model of `world`, `sparse` and `objects` is the same: who is awake takes one of eight items
by the product of 16 tastes with 16 properties and Gumbel noise; what was taken is counted, kept, and logged.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ITEMS, TASTES = 8, 16
EVERY = 10
"""Ticks between two acts in the sparse world: a tenth of the people is awake."""


def items() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(ITEMS, TASTES)).astype(np.float32)


def clock() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def peak() -> float:
    """The largest resident set that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def told(began: tuple[float, float], before: float, decisions: int, ticks: int, **more: Any) -> dict[str, Any]:
    wall, cpu = (b - a for a, b in zip(began, clock(), strict=True))
    most = peak()
    own = most - before  # without imports and compiled code
    return {"decisions": decisions, "ticks": ticks, "wall": wall, "cpu": cpu, "peak": most, "own": own, **more}


def crowd(people: int, folder: Path | None, every: int = 1, **options: Any) -> Any:
    """People who take an item by taste every so many ticks; `options` of the world."""
    from ethogram.world import Action, Acts, Column, World, everyone
    from ethogram.world.choosing import tasted

    def choose(rows: np.ndarray, seen: Any, luck: Any) -> Acts:
        return Acts("take", rows, object=tasted(seen["taste"], rows, seen["item.vector"], luck, "take"))

    choose.every = every  # type: ignore[attr-defined]

    def take(state: Any, done: Any) -> None:
        state["item.taken"] += np.bincount(done.object, minlength=ITEMS)
        state["last"][done.rows] = done.object

    def taste(luck: Any) -> np.ndarray:
        return np.asarray(luck.normal("taste", TASTES))

    return World(
        people, columns={"taste": Column(width=TASTES, initial=taste), "last": -1},
        things={"item": {"vector": items(), "taken": np.zeros(ITEMS, np.int64)}},
        actions=[Action("take", on="item", rule=everyone(), apply=take)], policies={"choose": choose}, seed=1,
        wake=(lambda luck: luck.integers("first", every)[:, 0]) if every > 1 else 0, folder=folder, every=10**6,
        **options,
    )  # fmt: skip


def world(people: int, ticks: int, every: int = 1) -> dict[str, Any]:
    """Ours: columns, a log on the disk with its chain of hashes, two threads where there are two cores."""
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="ethogram-simulated-") as folder:
        crowd(100, Path(folder) / "warm", every, workers=workers).run(every)
        before = peak()
        made = crowd(people, Path(folder) / "run", every, workers=workers).run(every)
        acted, began = made.events, clock()
        made.run(every + ticks)
        return told(began, before, made.events - acted, ticks, taken=made.state["item.taken"].tolist())


def sparse(people: int, ticks: int) -> dict[str, Any]:
    """Ours, with a tenth awake."""
    return world(people, ticks, EVERY)


def network(people: int, ticks: int) -> dict[str, Any]:
    """A social network with a tenth awake: everybody follows ten, is shown a feed of ten posts, and acts on it."""
    from ethogram.numeric.graphs import Graph
    from ethogram.world.social import Crowd, Followed, Mix, Platform, Popular, Topical, traits

    def build(people: int, folder: Path) -> Any:
        columns, rng = traits(people, 1, rate=1 / EVERY), np.random.default_rng(2)
        follows = Graph.of(np.repeat(np.arange(people), 10), rng.integers(0, people, 10 * people), people)
        feed = Mix((Followed(), 4), (Topical(), 3), (Popular(), 3))
        platform = Platform(columns.pop("taste"), follows=follows, feed=feed)
        return platform.world(
            columns=columns, policies={"crowd": Crowd(feed)}, seed=1, folder=folder, every=10**6,
            wake=lambda luck: luck.integers("first", EVERY)[:, 0], workers=os.cpu_count() or 1,
        )  # fmt: skip

    with tempfile.TemporaryDirectory(prefix="ethogram-simulated-") as folder:
        build(1_000, Path(folder) / "warm").run(2 * EVERY)
        before = peak()
        made = build(people, Path(folder) / "run").run(2 * EVERY)
        acted, began = made.events, clock()
        made.run(2 * EVERY + ticks)
        state, shares = made.state, made.events / max(1, people)
        return told(
            began, before, made.events - acted, ticks, posts=int(state["posts"]), events=shares,
            awake=(made.events - acted) / ticks / people,
        )  # fmt: skip


class Person:
    """An agent as most libraries have it."""

    def __init__(self, number: int, taste: np.ndarray):
        self.number, self.taste, self.last = number, taste, -1

    def step(self, model: dict[str, Any], tick: int) -> None:
        utility = model["items"] @ self.taste
        item = int(np.argmax(utility + model["rng"].gumbel(size=ITEMS)))
        self.last = item
        model["taken"][item] += 1
        model["log"].append((tick, self.number, "take", item, 0.0))


def objects(people: int, ticks: int) -> dict[str, Any]:
    """An object per person and a loop over all; the same model, the log in a list."""
    before, rng = peak(), np.random.default_rng(1)
    model: dict[str, Any] = {"items": items(), "rng": rng, "taken": [0] * ITEMS, "log": []}
    crowd = [Person(i, rng.normal(size=TASTES).astype(np.float32)) for i in range(people)]
    began = clock()
    for tick in range(ticks):
        for person in crowd:
            person.step(model, tick)
    return told(began, before, people * ticks, ticks, taken=model["taken"])


def log(people: int, ticks: int) -> dict[str, Any]:
    """Batches of packed events from memory to disk, without and with the chain of hashes, and read back checked."""
    from ethogram.world.events import Record, link
    from ethogram.world.tape import Tape

    rng = np.random.default_rng(0)
    uid, zeros = np.arange(people, dtype=np.uint32), np.zeros(people, np.uint8)
    record = Record(
        0, uid, zeros, zeros + 3, zeros, zeros + 1, rng.integers(0, ITEMS, people).astype(np.int32),
        rng.random(people).astype(np.float32), None, {},
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="ethogram-simulated-") as folder:
        plain = Path(folder) / "plain.bin"
        began = clock()
        with plain.open("wb") as file:
            for tick in range(ticks):
                record.tick = tick
                for piece in record.encode():
                    file.write(piece)
        packed = clock()
        hashed = packed
        chain = bytes(16)
        for _ in range(ticks):
            chain = link(chain, record.encode())
        hashing = clock()
        tape = Tape(Path(folder) / "events.bin")
        for tick in range(ticks):
            record.tick = tick
            tape.append(record)
        tape.close()
        chained = clock()
        found = Tape.read(Path(folder) / "events.bin")
        read = clock()
        assert found.events == people * ticks
        n = people * ticks
        rates = {
            name: {"wall": n / (b[0] - a[0]), "cpu": n / (b[1] - a[1])}
            for name, a, b in (
                ("packed to disk", began, packed), ("hashed", hashed, hashing), ("chained to disk", hashing, chained),
                ("read and checked", chained, read),
            )
        }  # fmt: skip
        return {"rates": rates, "bytes": plain.stat().st_size / n, "decisions": n}


def minds(people: int, ticks: int) -> dict[str, Any]:
    """Minds whose model takes 200 ms, 16 calls at once: one after the other, with the barrier, and running ahead."""
    from ethogram.lm import Broker, Limits, ScriptedLM
    from ethogram.world import Action, Column, Decision, World
    from ethogram.world.runahead import Reach

    lanes, latency = 16, 0.2

    async def rule(messages: Any, rng: Any) -> str:
        await asyncio.sleep(latency)
        return f"{rng.random():.6f}"

    class Walker:
        def __init__(self, persona: Any):
            pass

        async def act(self, seen: Any) -> Decision:
            places = seen.state["place"]
            near = np.hypot(*(places - places[seen.row]).T) <= 3.0
            asked = f"There are {near.sum()} people near you, who met {seen.state['met'][near].sum()}. Where to?"
            reply = await seen.lm.chat(asked, seed=seen.seed, purpose="walk")
            return Decision("go", value=2 * np.pi * float(reply.text))

    def go(state: Any, done: Any) -> None:
        state["place"][done.rows] += np.stack([np.cos(done.value), np.sin(done.value)], 1)
        state["met"][done.rows] += 1

    found: dict[str, Any] = {}
    for way, lanes_, reach, length in (
        ("one after the other", 1, None, max(1, ticks // 20)), ("barrier", lanes, None, ticks),
        ("running ahead", lanes, Reach("place", radius=3.0, speed=1.0), ticks),
    ):  # fmt: skip
        lm = ScriptedLM(rule, name="walk", broker=Broker.bare(limits=Limits(concurrency=lanes_)))
        made = World(
            people, columns={"place": Column("float64", 2, lambda luck: 60 * luck.uniform("place", 2)), "met": 0},
            minds={"walker": Walker}, actions=[Action("go", apply=go)], lm=lm, seed=3, reach=reach, length="10s",
        )  # fmt: skip
        for uid in range(people):
            made.promote(uid, "walker")
        began = clock()
        made.run(length)
        spent = clock()[0] - began[0]
        calls = people * length
        rates = [r["calls_per_hour"] for r in made.costs().to_pylist() if r["component"] == "walk"]
        found[way] = {
            "wall": spent / length, "occupancy": calls * latency / (lanes_ * spent), "fingerprint": made.fingerprint,
            "calls_per_hour": rates[0], "ticks": length,
        }  # fmt: skip
    assert found["barrier"]["fingerprint"] == found["running ahead"]["fingerprint"]
    return found


def archetypes(people: int, ticks: int, sample: int = 2_000) -> dict[str, Any]:
    """A question per class of age and mood, beside a question for each of some people in the very state they are in.

    What somebody chooses hangs on age and mood as they are; a class knows them to a fiftieth and a thirtieth.
    """
    from ethogram.lm import ScriptedLM
    from ethogram.lm.scripted import Drawn
    from ethogram.world import Action, Column, World, everyone
    from ethogram.world.archetypes import Archetypes

    options = {"buys tea": ("buy", 0), "buys milk": ("buy", 1), "waits": ("nothing", -1)}

    def likely(age: Any, mood: Any) -> np.ndarray:
        weights = np.exp([0.04 * (age - 50), 2 * mood - 1, 0.3 + 0 * age])
        return np.asarray(weights / weights.sum(0))

    def rule(messages: Any, rng: Any) -> Any:
        said = messages[-1].text
        age, mood = map(float, re.findall(r"age ([\d.]+), mood ([\d.]+)", said)[0])
        chances = dict(zip(options, likely(age, mood).tolist(), strict=True))
        if "Of 100 such people" in said:
            return json.dumps({name: round(100 * p) for name, p in chances.items()})
        return Drawn(chances)

    def classes(rows: np.ndarray, seen: Any) -> np.ndarray:
        return np.asarray(seen["age"][rows] // 2 * 30 + seen["mood"][rows] * 30 // 1, np.int64)

    def told_of(age: float, mood: float) -> str:
        return f"A person of age {age:.2f}, mood {mood:.4f} stands in a shop."

    def buy(state: Any, done: Any) -> None:
        state["mood"][done.rows] = 0.3 + 0.69 * state["mood"][done.rows]

    lm = ScriptedLM(rule, name="shoppers")
    policy = Archetypes(
        options, classes, lambda code, _: told_of(code // 30 * 2 + 1, (code % 30 + 0.5) / 30), by="shares"
    )
    made = World(
        people, columns={name: Column(initial=lambda luck, n=name, s=scale: s * luck.uniform(n)[:, 0])
                         for name, scale in (("age", 100), ("mood", 1))},
        things={"good": {"sold": [0, 0]}}, actions=[Action("buy", on="good", rule=everyone(), apply=buy)],
        policies={"p": policy}, lm=lm, seed=5,
    )  # fmt: skip
    rng, calls, gaps, exact, cpu = np.random.default_rng(0), [], [], [], 0.0
    for tick in range(ticks):
        who = rng.choice(people, min(sample, people), replace=False)
        asked = [told_of(made.state["age"][i], made.state["mood"][i]) for i in who]
        expected = likely(*(made.state[n].astype(float) for n in ("age", "mood"))).mean(1)
        before, began = len(lm.asked), clock()
        made.run(tick + 1)
        cpu += clock()[1] - began[1]
        calls.append(len(lm.asked) - before)
        record = next(made.live.tape.records(tick))
        ours = np.bincount(record.object[record.object >= 0], minlength=2) / people

        async def each(asked: list[str] = asked, tick: int = tick) -> list[str]:
            replies = await asyncio.gather(*(lm.chat(a, seed=people * tick + i) for i, a in enumerate(asked)))
            return [r.text for r in replies]

        said = asyncio.run(each())
        theirs = np.array([said.count(name) / len(who) for name in list(options)[:2]])
        ours, theirs = (np.append(s, 1 - s.sum()) for s in (ours, theirs))
        gaps.append((100 * (ours - theirs)).tolist())
        exact.append((100 * (ours - expected)).tolist())
    return {
        "calls": calls, "gaps": gaps, "exact": exact, "decisions": people * ticks, "cpu": cpu,
        "shares": made.shares(), "peak": peak(),
    }  # fmt: skip


def endpoint(people: int, ticks: int) -> dict[str, Any]:
    """Minds that ask a real endpoint, which answers after 200 ms, over 64 and 256 lanes; one call a decision."""
    import subprocess

    from ethogram.lm import LM, Broker, Limits
    from ethogram.world import Action, Decision, World

    class Asking:
        def __init__(self, persona: Any):
            pass

        async def act(self, seen: Any) -> Decision:
            reply = await seen.lm.chat(f"{seen.uid} at {seen.tick}", seed=seen.seed, purpose="ask")
            return Decision("say", text=reply.text)

    latency, found = 0.2, {}
    command = [sys.executable, "-m", "benchmarks.echo_server", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}/v1"
            for lanes in (64, 256):
                lm = LM.connect(url, model="echo", broker=Broker.bare(limits=Limits(concurrency=lanes)))
                made = World(people, minds={"a": Asking}, actions=[Action("say")], lm=lm, seed=3, wake=people // 200)
                for uid in range(people):
                    made.promote(uid, "a", at=uid // 200)
                made.run(people // 200 + 1)  # connections are open, everybody is there
                before, began = peak(), clock()
                made.run(made.tick + ticks)
                wall, cpu = (b - a for a, b in zip(began, clock(), strict=True))
                calls = people * ticks
                assert set(made.shares()) <= {"model"}
                found[str(lanes)] = {
                    "wall": wall / ticks, "rate": calls / wall, "cpu": cpu / calls,
                    "occupancy": calls * latency / (lanes * wall), "peak": peak(), "own": peak() - before,
                }  # fmt: skip
        finally:
            server.terminate()
    return found


if __name__ == "__main__":
    kinds = {
        "world": world, "sparse": sparse, "network": network, "objects": objects, "log": log, "minds": minds,
        "archetypes": archetypes, "endpoint": endpoint,
    }  # fmt: skip
    kind = kinds[sys.argv[1]]
    json.dump(kind(int(sys.argv[2]), int(sys.argv[3])), sys.stdout)
