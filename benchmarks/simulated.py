"""Simulated people, measured in a process of their own, so that the memory that is told is theirs.

    python -m benchmarks.simulated world|sparse|objects|log|minds|endpoint PEOPLE TICKS

prints one line of JSON. The model of `world`, `sparse` and `objects` is the same: who is awake takes one of eight items
by the product of 16 tastes with 16 properties and Gumbel noise; what was taken is counted, kept, and logged.
"""

from __future__ import annotations

import asyncio
import json
import os
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


def world(people: int, ticks: int, every: int = 1) -> dict[str, Any]:
    """Ours: columns, a log on the disk with its chain of hashes, two threads where there are two cores."""
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

    def build(people: int, folder: Path) -> World:
        return World(
            people, columns={"taste": Column(width=TASTES, initial=taste), "last": -1},
            things={"item": {"vector": items(), "taken": np.zeros(ITEMS, np.int64)}},
            actions=[Action("take", on="item", rule=everyone(), apply=take)], policies={"choose": choose}, seed=1,
            wake=(lambda luck: luck.integers("first", every)[:, 0]) if every > 1 else 0, workers=os.cpu_count() or 1,
            folder=folder, every=10**6,
        )  # fmt: skip

    with tempfile.TemporaryDirectory(prefix="ethogram-simulated-") as folder:
        build(100, Path(folder) / "warm").run(every)
        before = peak()
        made = build(people, Path(folder) / "run").run(every)
        acted, began = made.events, clock()
        made.run(every + ticks)
        return told(began, before, made.events - acted, ticks, taken=made.state["item.taken"].tolist())


def sparse(people: int, ticks: int) -> dict[str, Any]:
    """Ours, with a tenth awake."""
    return world(people, ticks, EVERY)


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
    kinds = {"world": world, "sparse": sparse, "objects": objects, "log": log, "minds": minds, "endpoint": endpoint}
    kind = kinds[sys.argv[1]]
    json.dump(kind(int(sys.argv[2]), int(sys.argv[3])), sys.stdout)
