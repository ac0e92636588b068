"""Runs of the town behind the claims of `generative_agents`: each is made once for a bench and kept."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ethogram.claims.simulate import examining
from ethogram.simulate.generative_agents import GenerativeAgents
from ethogram.simulate.generative_agents.measures import density, knows, spent, stays
from ethogram.world.town.folk import CANDIDACY, PARTY

HOUR = 360
"""Ticks of an hour."""
DAY = 24 * HOUR
ARMS: dict[str, dict[str, Any]] = {
    "full": {}, "no reflection": {"reflection": False},
    "no reflection, no planning": {"reflection": False, "planning": False},
    "nothing": {"reflection": False, "planning": False, "memory": False},
    "no memory": {"memory": False}, "no planning": {"planning": False},
}  # fmt: skip
LADDER = ("full", "no reflection", "no reflection, no planning", "nothing")


class Spread(NamedTuple):
    """What became of the news in two days: people who know of the party, whose knowledge is made up, who came; pairs
    of people who know each other at the beginning and at the end."""

    party: int
    candidacy: int
    made_up: int
    attended: int
    before: float
    after: float


def once(bench: Any, name: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, made once for a bench."""
    if not hasattr(bench, "_towns"):
        bench._towns = {}
    if name not in bench._towns:
        bench._towns[name] = make()
    return bench._towns[name]


def spread(bench: Any, arm: str, seed: int) -> Spread:
    return once(bench, f"spread {arm} {seed}", lambda: _spread(bench, arm, seed))


def _spread(bench: Any, arm: str, seed: int) -> Spread:
    system = GenerativeAgents(**ARMS[arm])
    world, people, hours = system.world(people=6 if bench.quick else 25, seed=seed), 0, 10 if bench.quick else 48
    people = world.people
    world.run(1)
    before = density(world)
    world.run(hours * HOUR)
    party, candidacy = (knows(world, system, n, {s: n}) for n, s in ((PARTY, 0), (CANDIDACY, 1)))
    table = world.log(kinds=["do"]).table()
    came = {
        who for who, text in zip(table["user"].to_pylist(), table["text"].to_pylist(), strict=True)
        if text and "attending the party" in text
    }  # fmt: skip
    assert people == world.people
    made_up = len(party.made_up) + len(candidacy.made_up)
    return Spread(len(party.says), len(candidacy.says), made_up, len(came), before, density(world))


def examined(bench: Any, arm: str, seed: int) -> float:
    """Share of right answers to 25 questions each, asked at 15:00 of the first day."""
    return float(once(bench, f"examined {arm} {seed}", lambda: _examined(bench, arm, seed)))


def _examined(bench: Any, arm: str, seed: int) -> float:
    system, hour = GenerativeAgents(**ARMS[arm]), 9 if bench.quick else 15
    world = system.world(people=3 if bench.quick else 25, seed=seed).run(hour * HOUR)
    at = world.tick
    ahead = world.fork().run(at + (max(examining.AHEAD) + 1) * HOUR)
    later = {h: examining.where(ahead, at + h * HOUR + HOUR // 2) for h in examining.AHEAD}
    minutes: dict[int, dict[str, float]] = {uid: {} for uid in range(world.people)}
    for sector in world.live.overlay.held[0].mind.living.town.sectors:
        for uid, many in stays(world, sector, 0, at).items():
            minutes[uid][sector] = many
    asked = examining.items(world, examining.lines(world), (PARTY, CANDIDACY), later, minutes, hour, seed)
    found = examining.accuracy(world, system, asked)
    return float(np.mean([v for values in found.values() for v in values]))


def slow(seconds: float, lanes: int) -> Any:
    """The townsfolk behind an endpoint that takes so long for an answer, so many at once."""
    from ethogram.lm import Broker, Limits, ScriptedLM
    from ethogram.simulate.generative_agents.scripted import _rule

    async def rule(messages: Any, rng: Any) -> Any:
        await asyncio.sleep(seconds)
        return _rule(messages, rng)

    return ScriptedLM(rule, name="townsfolk far away", broker=Broker.bare(limits=Limits(concurrency=lanes)))


def raced(bench: Any) -> dict[str, float]:
    """25 people from midnight until they get up: one call at a time, and 16."""
    return dict(once(bench, "raced", lambda: _raced(bench)))


def _raced(bench: Any) -> dict[str, float]:
    people, until, wait = (4, 2, 0.01) if bench.quick else (25, 6 * HOUR + 1, 0.2)
    wall, prints, calls = {}, {}, 0.0
    for lanes in (1, 16):
        world = GenerativeAgents(lm=slow(wait, lanes)).world(people=people, seed=7)
        began = time.perf_counter()
        world.run(until)
        wall[lanes], prints[lanes] = time.perf_counter() - began, world.fingerprint
        calls = sum(r["calls"] for r in world.declared.lm.broker.ledger.rows())
    return {"ratio": wall[1] / wall[16], "same": float(prints[1] == prints[16]), "calls": calls, "seconds": wall[16]}


def replayed(bench: Any) -> dict[str, float]:
    """A day recorded and replayed strictly: seconds, calls that were sent, whether it ended in the same."""
    return dict(once(bench, "replayed", lambda: _replayed(bench)))


def _replayed(bench: Any) -> dict[str, float]:
    from ethogram.lm import Broker
    from ethogram.simulate.generative_agents.scripted import townsfolk

    people, until = (3, 9 * HOUR) if bench.quick else (25, DAY)
    root = Path(tempfile.mkdtemp())
    try:
        first = townsfolk(1, broker=Broker(run=root / "day.lmrun", mode="record", cache=False))
        world = GenerativeAgents(lm=first).world(people=people, seed=1)
        world.run(HOUR * 2)
        asleep = sum(r["calls"] for r in first.broker.ledger.rows())
        world.run(HOUR * 5)
        asleep = sum(r["calls"] for r in first.broker.ledger.rows()) - asleep
        world.run(until)
        told = spent(world)
        first.broker.close()
        again = townsfolk(1, broker=Broker(run=root / "day.lmrun", mode="replay-strict"))
        other = GenerativeAgents(lm=again).world(people=people, seed=1)
        began = time.process_time()
        other.run(until)
        seconds = time.process_time() - began
        sent = len(again.asked)
        again.broker.close()
    finally:
        shutil.rmtree(root)
    return {
        "seconds": seconds, "sent": float(sent), "same": float(world.fingerprint == other.fingerprint),
        "calls": told["calls"], "tokens": told["tokens"], "asleep": float(asleep),
    }  # fmt: skip


def resumed(bench: Any) -> float:
    """Runs that were broken off at a random step and went on to the same end, of those tried.

    Where the last record is newer than the last checkpoint (which is flushed after it), it is cut in half.
    """
    from ethogram.world.checkpoint import saved

    people, until, tries = (3, 30, 2) if bench.quick else (8, 3 * HOUR, 10)

    def town(**options: Any) -> Any:
        return GenerativeAgents().world(people=people, seed=3, start="2026-02-13T07:00", every=50, **options)

    whole, rng, same = town().run(until).fingerprint, np.random.default_rng(5), 0
    for _ in range(tries):
        root = Path(tempfile.mkdtemp())
        try:
            world = town(folder=root / "run").run(int(rng.integers(1, until)))
            world.live.tape.close()
            file, last = root / "run" / "events.bin", world.live.tape.entries[-1]
            if last.tick >= max(saved(root / "run"), default=0):
                file.write_bytes(file.read_bytes()[: -int(rng.integers(1, 60))])
            same += town(folder=root / "run", resume=True).run(until).fingerprint == whole
        finally:
            shutil.rmtree(root)
    return same / tries
