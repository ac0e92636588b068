"""What the store costs, on this machine: ``python -m tests.serve.speed [FOLDER]`` (folder on the disk to measure).

Ingest in batches with tables that follow (of a model without a network, and of sdim at its default width), append of
one event beside the bare fsync, reads at two lengths of history. Wall and CPU; wall means little on a busy machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tests.serve.hashing import hashing
from tests.serve.redis_server import RedisServer
from tests.serve.test_tables import histories

from ethogram.serve.derived import Derived
from ethogram.serve.opening import open_store
from ethogram.serve.state import Entry, Store
from ethogram.serve.tables import bucket_tables

USERS, BATCH, EVENTS = 2_000, 500, 20_000


def sdim() -> Any:
    from ethogram.rank.sdim import SDIM
    from ethogram.testing.example import example

    return bucket_tables(SDIM(epochs=1).fit(example().split("temporal").train), histories)


def entries(n: int, first: int) -> list[Entry]:
    rng = np.random.default_rng(first)
    users, items = rng.integers(0, USERS, n).tolist(), rng.integers(0, 40, n).tolist()
    return [
        Entry(f"e{first + k}", f"user {u}", str(1_000 + 7 * i), "view", 10**15 + first + k, {"value": 1.0, "page": "a"})
        for k, (u, i) in enumerate(zip(users, items, strict=True))
    ]  # fmt: skip


def clocked(call: Callable[[], object], times: int) -> str:
    """Median and 99th percentile of the wall, mean of the CPU of this process."""
    walls, cpu = [], time.process_time()
    for _ in range(times):
        begun = time.perf_counter()
        call()
        walls.append(time.perf_counter() - begun)
    cpu = time.process_time() - cpu
    p50, p99 = np.quantile(walls, [0.5, 0.99]) * 1e3
    return f"p50 {p50:.3f} ms, p99 {p99:.3f} ms, CPU {cpu / times * 1e3:.3f} ms"


def ingest(store: Store, model: Any, name: str) -> None:
    derived = Derived(store, model)
    store.append([Entry(f"{name} first {u}", f"user {u}", "1000", "view", 1) for u in range(USERS)])
    derived.build(store.users())
    first, followed = int.from_bytes(name.encode()[:4], "big") * 10**6, 0
    batches = [entries(BATCH, first + at) for at in range(0, EVENTS, BATCH)]
    wall, cpu, parts = time.perf_counter(), time.process_time(), [0.0, 0.0]
    for batch in batches:
        begun = time.perf_counter()
        moved = store.append(batch).moved
        parts[0] += time.perf_counter() - begun
        followed += derived.follow(moved)
        parts[1] += time.perf_counter() - begun
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    size = len(derived.read(["user 1"])[0])
    print(
        f"  ingest, batches of {BATCH}, {name}: {EVENTS / wall:,.0f} events/s (CPU alone {EVENTS / cpu:,.0f}); append "
        f"{parts[0] / wall:.0%} of the wall; {followed:,} tables moved on, {size / 1024:.0f} KiB each", flush=True,
    )  # fmt: skip


def measured(store: Store, models: dict[str, Any]) -> None:
    for name, model in models.items():
        ingest(store, model, name)
    numbers = iter(range(10**9))
    single = lambda: store.append([Entry(f"one {next(numbers)}", "single", "1000", "view", 10**15)])  # noqa: E731
    print("  append of one event:", clocked(single, 300), flush=True)
    model = hashing()
    derived = Derived(store, model)
    for length in (256, 16_384):
        past = [Entry(f"{length} {n}", f"long {length}", str(1_000 + n % 280), "view", n) for n in range(length)]
        for at in range(0, length, 2_048):
            store.append(past[at : at + 2_048])
    for length in (256, 16_384, 256, 16_384):
        user = f"long {length}"
        derived.read([user])
        table = clocked(lambda user=user: model.load(derived.read([user])[0]), 2_000)
        print(f"  read of a table, {length} events:", table)
        print(f"  read of the last 50, {length} events:", clocked(partial(store.user, user, 50), 1_000), flush=True)


def fsync(folder: Path) -> str:
    handle = os.open(folder / "probe", os.O_RDWR | os.O_CREAT)
    try:

        def write() -> None:
            os.pwrite(handle, os.urandom(4_096), 0)
            os.fdatasync(handle)

        return clocked(write, 300)
    finally:
        os.close(handle)


def main() -> None:
    models = {"hash": hashing(), "sdim": sdim()}
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        place = Path(folder)
        print("bare write and fdatasync of 4 KiB:", fsync(place), flush=True)
        print("lmdb")
        store = open_store(f"lmdb:{place}/state")
        measured(store, models)
        store.close()
        (place / "redis").mkdir()
        server = RedisServer(place / "redis")
        print("redis")
        store = open_store(server.url)
        measured(store, models)
        store.close()
        server.stop()


if __name__ == "__main__":
    main()
