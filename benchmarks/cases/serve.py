"""The decision service under load: one core for the service, another for the generator, requests on a fixed schedule.

The model is `sdim` at its default size over 5,000 items. p99 stands only where the rest of the machine used less than
half a core for each core meanwhile; else p50 stands alone and the goal is not measurable. `python -m benchmarks serve`
measures; `--quick` shows in a minute that everything runs and writes nothing; `--soak` adds ten minutes at half of what
one core can do.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import served
from benchmarks.harness import Target
from benchmarks.load import Happened, Plan, ask
from benchmarks.race import Found, Race

QUIET = 0.5
"""Other load for each core, up to which the 99th percentile says something of the service."""
Part = slice | np.ndarray
BATCH = 100
"""Events of a request."""


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    items: int = 5_000
    seconds: float = 20.0
    rate: float = 200.0
    slow: float = 100.0
    naive: float = 4.0
    lengths: tuple[int, int, int] = (256, 10_000, 16_384)
    others: tuple[int, int] = (50, 1_024)
    minutes: int = 10
    minute: float = 60.0
    waiting: int = 256
    fit: Mapping[str, Any] = field(default_factory=dict)


FULL = Size()
QUICK = Size(
    items=300, seconds=0.5, rate=20, slow=10, naive=4, lengths=(64, 300, 400), others=(3, 50), minutes=2, minute=0.5,
    waiting=8,     fit={"dim": 8, "side": 4, "hidden": (16,)},
)  # fmt: skip


@dataclass
class Told:
    """One scenario as measured."""

    name: str
    happened: Happened
    rate: float
    cpu_ms: float
    others: float
    memory: int

    @property
    def quiet(self) -> bool:
        return self.others < QUIET * (os.cpu_count() or 1)

    def row(self, part: Part = slice(None), name: str | None = None) -> dict[str, Any]:
        """As the table has it."""
        one = cut(self.happened, part)
        return {
            "scenario": name or self.name, "requests/s": self.rate, "answered": int((one.status == 200).sum()),
            "not": int((one.status != 200).sum()), "p50 ms": one.quantile(0.5),
            "p99 ms": one.quantile(0.99) if self.quiet else "not measurable", "CPU ms": self.cpu_ms,
            "generator late, p99 ms": float(np.quantile(one.late, 0.99) * 1e3), "other load, cores": self.others,
        }  # fmt: skip

    def into(self, values: dict[str, float], key: str, part: Part = slice(None)) -> None:
        """Values that goals are about."""
        one = cut(self.happened, part)
        values[f"{key} p50"], values[f"{key} cpu"] = one.quantile(0.5), self.cpu_ms
        values[f"{key} failed"] = float((one.status != 200).sum())
        if self.quiet:
            values[f"{key} p99"] = one.quantile(0.99)


def cut(found: Happened, part: Part) -> Happened:
    """Some of the requests."""
    return Happened(found.latency[part], found.late[part], found.status[part])


class Bench:
    """A folder with a model and people, and scenarios on servers over them."""

    def __init__(self, size: Size, folder: Path) -> None:
        self.size, self.folder = size, folder
        self.rng = np.random.default_rng(0)
        self.server_core, self.own_core = served.cores()
        _, path = served.model(folder, size.items, **size.fit)
        self.models = {"sdim": str(path)}
        self.store = f"lmdb:{folder}/state"
        short, middle, long = size.lengths
        self.crowd = [f"u{i}" for i in range(size.others[0])]
        lengths = {"short": short, "middle": middle, "long": long} | dict.fromkeys(self.crowd, size.others[1])
        served.people(self.store, lengths, size.items)
        self.events = 0

    def serving(self, **more: Any) -> Any:
        limits = {"waiting": self.size.waiting}
        return served.serving(models=self.models, store=self.store, cpu=self.server_core, limits=limits, **more)

    def ranks(self, users: Sequence[str], candidates: int, count: int = 400) -> list[tuple[str, str]]:
        """Requests for these users in turn."""
        return [("/v1/rank", rank(users[i % len(users)], self.drawn(candidates))) for i in range(count)]

    def drawn(self, candidates: int) -> list[str]:
        size = min(candidates, self.size.items)
        return [str(x) for x in self.rng.choice(self.size.items, size, replace=False)]

    def batches(self, count: int, size: int = BATCH) -> list[tuple[str, str]]:
        """Requests with new events of the crowd."""
        made = []
        for _ in range(count):
            users = self.rng.integers(0, len(self.crowd), size)
            events = [
                {"event_id": f"e{self.events + i}", "user_id": self.crowd[u], "kind": "view",
                 "item_id": str(self.rng.integers(self.size.items)), "time": 1_720_000_000 + self.events + i}
                for i, u in enumerate(users)
            ]  # fmt: skip
            self.events += size
            made.append(("/v1/events", json.dumps({"events": events})))
        return made

    def run(
        self, server: served.Server, name: str, asked: list[tuple[str, str]], rate: float, seconds: float, **more: Any
    ) -> Told:  # fmt: skip
        """One scenario; where requests are sent again and again, half a second of them warms the server."""
        plan = {"port": server.port, "rate": rate, "requests": asked, "cpu": self.own_core, **more}
        if not more.get("once"):
            ask(Plan(seconds=max(0.5, 4 / rate), **plan))
        before = server.look()
        found = ask(Plan(seconds=seconds, **plan))
        after = server.look()
        others = (after.busy - before.busy) - (after.cpu - before.cpu) - found.cpu
        cpu = 1e3 * (after.cpu - before.cpu) / max(len(found.status), 1)
        return Told(name, found, rate, cpu, max(0.0, others / (after.at - before.at)), after.memory)


def rank(user: str, candidates: Sequence[str]) -> str:
    """The body of a request."""
    return json.dumps({"user_id": user, "candidates": list(candidates)})


def requests(size: Size) -> Found:
    """All scenarios but the soak."""
    found, values = Found(), dict[str, float]()
    with tempfile.TemporaryDirectory(prefix="ethogram-serve-") as folder:
        bench = Bench(size, Path(folder))
        short, middle, long = size.lengths
        with bench.serving() as server:
            name = f"200 candidates, {size.others[1]:,} past events"
            told = bench.run(server, name, bench.ranks(bench.crowd, 200), size.rate, size.seconds)
            found.rows.append(told.row())
            told.into(values, "usual")
            large = f"500 candidates, {middle:,} past events"
            told = bench.run(server, large, bench.ranks(["middle"], 500), size.slow, size.seconds)
            found.rows.append(told.row())
            told.into(values, "large")
            # the two lengths mixed at random, so that both meet the same moments and no rhythm favours one
            mixed = bench.rng.permutation(["short", "long"] * 200)
            told = bench.run(server, "lengths", bench.ranks(mixed.tolist(), 200), size.slow, 2 * size.seconds)
            who = mixed[np.arange(len(told.happened.status)) % len(mixed)]
            for key, length in (("short", short), ("long", long)):
                found.rows.append(told.row(who == key, f"200 candidates, {length:,} past events, mixed"))
                told.into(values, key, who == key)
            most = 1e3 / values["usual cpu"]
            found.notes.append(f"one core answers about {most:,.0f} requests of 200 candidates a second (by its CPU)")
            much = {"connections": 1_024, "seconds": min(3.0, size.seconds)}
            some = bench.ranks(bench.crowd, 200)
            told = bench.run(server, "overload: three times what a core can do", some, 3 * most, **much)
            found.rows.append(told.row() | {"p99 ms": None})
            busy = int((told.happened.status == 503).sum())
            values["overload lost"] = float((told.happened.status == 0).sum())
            values["overload without Retry-After"] = float(busy - told.happened.retry)
            values["overload refused"] = float(busy)
            _ingest(bench, server, found, values)
        _durable(bench, found, values)
        with bench.serving(naive=True) as server:
            told = bench.run(server, f"naive: {large}", bench.ranks(["middle"], 500, 20), size.naive, size.seconds)
            found.rows.append(told.row())
            told.into(values, "naive")
    values["lengths p50"] = values["long p50"] / values["short p50"]
    if "long p99" in values:
        values["lengths p99"] = values["long p99"] / values["short p99"]
    values["naive / ours, cpu"] = values["naive cpu"] / values["large cpu"]
    found.values = values
    found.notes.append("naive: the same model; the history is fetched from the store and read in each request")
    found.notes.append("CPU ms: of the server's process, all threads, for each request asked")
    return found


def _ingest(bench: Bench, server: served.Server, found: Found, values: dict[str, float]) -> None:
    rate = 40.0
    count = max(2, int(rate * bench.size.seconds))
    told = bench.run(server, f"events, {BATCH} a request", bench.batches(count), rate, count / rate, once=True)
    found.rows.append(told.row())
    accepted = BATCH * int((told.happened.status == 200).sum())
    values["events/s"] = accepted / told.happened.seconds
    values["events at most"] = BATCH * 1e3 / told.cpu_ms
    values["accepted"] = float(accepted)
    found.notes.append(
        f"events: {values['events/s']:,.0f} a second were sent, and durable when acknowledged; by its CPU one core "
        f"takes {values['events at most']:,.0f}"
    )


def _durable(bench: Bench, found: Found, values: dict[str, float]) -> None:
    """What was acknowledged lies in the store of a server that has ended, each event once."""
    from ethogram.serve.opening import open_store

    held = open_store(bench.store)
    try:
        seen = sum(k.entry.id.startswith("e") for k in held.entries())
    finally:
        held.close()
    values["events missing"] = abs(values["accepted"] - seen)


def soak(size: Size) -> Found:
    """Ranks and events at half of what a core can do, minute by minute."""
    found, values = Found(), dict[str, float]()
    with tempfile.TemporaryDirectory(prefix="ethogram-soak-") as folder:
        bench = Bench(size, Path(folder))
        with bench.serving() as server:
            mixed = bench.ranks(bench.crowd, 200, 360)
            first = bench.run(server, "first", mixed, size.slow, size.seconds / 2)
            rate = min(500 / first.cpu_ms, 2_000.0)
            told: list[Told] = []
            for minute in range(size.minutes):
                # a tenth of the requests are events, new ones each minute
                new = bench.batches(int(rate * size.minute / 10) + 1, 10)
                asked = [
                    new.pop() if i % 10 == 0 and new else mixed[i % len(mixed)] for i in range(int(rate * size.minute))
                ]
                told.append(bench.run(server, f"minute {minute + 1}", asked, rate, size.minute, once=True))
                found.rows.append(told[-1].row() | {"memory MiB": told[-1].memory / 2**20})
    start, end = told[1:3] or told, told[-2:]
    values["drift p50"] = _median(end) / _median(start) - 1
    values["growth MiB"] = (end[-1].memory - start[0].memory) / 2**20
    values["failed"] = float(sum((t.happened.status != 200).sum() for t in told))
    values["quiet"] = float(all(t.quiet for t in told))
    if not values["quiet"]:
        found.notes.append("the machine did other work meanwhile: drift is not measurable")
        del values["drift p50"]
    found.values = values
    found.notes.append(f"{rate:,.0f} requests a second, half of what the CPU of one core allows; a tenth are 10 events")
    return found


def _median(told: Sequence[Told]) -> float:
    return float(np.median(np.concatenate([t.happened.latency[t.happened.status == 200] for t in told])))


def _of(name: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda values: values[name]


GOALS = (
    Target("200 candidates at 200 requests/s, p50 ms", _of("usual p50"), most=2.0),
    Target("200 candidates at 200 requests/s, p99 ms", _of("usual p99"), most=6.0),
    Target("500 candidates, 10,000 past events, p99 ms", _of("large p99"), most=10.0),
    Target("16,384 past events over 256, p50", _of("lengths p50"), most=1.1),
    Target("16,384 past events over 256, p99", _of("lengths p99"), most=1.2),
    Target("events/s, durable when acknowledged", _of("events/s"), least=3_000),
    Target("acknowledged events missing or twice", _of("events missing"), most=0),
    Target("overload: requests refused by 503", _of("overload refused"), least=1),
    Target("overload: 503 without Retry-After", _of("overload without Retry-After"), most=0),
    Target("overload: requests without an answer", _of("overload lost"), most=0),
    Target("naive / ours, CPU of a request", _of("naive / ours, cpu"), least=5),
)
SOAKED = (
    Target("drift of p50 from minutes 2-3 to the last two", _of("drift p50"), most=0.05),
    Target("growth of memory, MiB", _of("growth MiB"), most=8),
    Target("requests that failed", _of("failed"), most=0),
)


def flags() -> list[str]:
    """What `python -m benchmarks` was asked with: quick, soak."""
    return os.environ.get("ETHOGRAM_BENCH", "").split(",")


def cases() -> Iterable[Any]:
    """The harness' form."""
    size = QUICK if "quick" in flags() else FULL
    yield Race("serve_requests", "The service under load, one core, open loop", lambda: requests(size), GOALS)
    if "soak" in flags():
        yield Race("serve_soak", "Ten minutes at half of what one core can do", lambda: soak(size), SOAKED)
