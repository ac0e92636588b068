"""A process that appends events and lets tables follow, killed again and again: is what it acknowledged all there?

    python -m tests.serve.killed lmdb:PATH FIRST COUNT      the process: prints each id that was acknowledged
    python -m tests.serve.killed --events 50000 --kills 20  the whole trial, on both stores

The writer is one process with several threads, so that kills hit shared commits; or two ("replicas") on one store. On
Redis every other kill hits the server, which is started again. Every event is sent until it is acknowledged, also after
a kill, as a client with retries does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tests.serve.hashing import hashing
from tests.serve.redis_server import RedisServer

from ethogram.errors import StoreError
from ethogram.serve.derived import Derived
from ethogram.serve.opening import open_store
from ethogram.serve.state import Entry

USERS, KEEP, BATCH, THREADS = 40, 64, 8, 3
WRONG = 3
"""Exit status of a writer that met what must not happen."""


class Verdict(NamedTuple):
    """acknowledged, stored : distinct ids. twice : ids in the ledger more than once. lost : acknowledged, not stored.

    wrong : largest relative difference of a kept table from one made at once of the ring.
    """

    acknowledged: int
    stored: int
    twice: int
    lost: int
    wrong: float
    tables: int
    kills: int


def event(n: int) -> Entry:
    """The n-th event: some late, some of equal times."""
    rng = np.random.default_rng(n)
    time = (n // 3 + int(rng.integers(-200, 1))) * 1_000_000
    return Entry(f"e{n}", f"u{rng.integers(USERS)}", f"i{rng.integers(200)}", "view", time, {"n": n})


def write(location: str, numbers: list[int], keep: int = KEEP) -> None:
    """Append events and print their ids once they are durable; tables follow."""
    store, model = open_store(location, keep=keep), hashing()
    derived, out = Derived(store, model), threading.Lock()
    parts = [numbers[at : at + BATCH] for at in range(0, len(numbers), BATCH)]

    def work() -> None:
        while True:
            with out:
                if not parts:
                    return
                part = parts.pop(0)
            entries = [event(n) for n in part]
            try:
                done = store.append(entries)
                if not set(done.outcomes) <= {"accepted", "duplicate"}:
                    os._exit(WRONG)
                with out:
                    sys.stdout.write("".join(f"{n}\n" for n in part))
                    sys.stdout.flush()
                derived.follow(done.moved)
                derived.read([entries[0].user])  # so that there are tables to follow
            except StoreError:  # the server was killed
                return
            except BaseException:
                os._exit(WRONG)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()


def trial(
    location: str, events: int, kills: int, writers: int = 1, seed: int = 0, pause: float = 0.3,
    server: RedisServer | None = None,
) -> Verdict:  # fmt: skip
    """Kill the writers, and the server in turn, at random moments until all events are acknowledged; then look."""
    rng, told, done = np.random.default_rng(seed), set[int](), 0
    while len(told) < events:
        left = [n for n in range(events) if n not in told]
        # enough for each life that all kills fall into work, and nothing is left after the last
        share = left if done >= kills else left[: max(1, (len(left) * 2) // (kills - done + 1))]
        lives = [_started(location, share[at::writers]) for at in range(writers)]
        readers = [threading.Thread(target=_hear, args=(life, told)) for life in lives]
        for reader in readers:
            reader.start()
        if done < kills:
            before = len(told)
            while len(told) == before and any(life.poll() is None for life in lives):
                time.sleep(0.005)  # Python starts slowly; a kill before the first event tries nothing
            time.sleep(float(rng.uniform(0, pause)))
            victim = lives[int(rng.integers(writers))]
            if victim.poll() is None:
                done += 1
                if server is not None and done % 2 == 0:
                    server.kill()  # writers end with an error
                    server.start()
                else:
                    victim.kill()
        for life, reader in zip(lives, readers, strict=True):
            reader.join()
            assert life.wait() != WRONG
    return _judged(location, told, done)


def _started(location: str, numbers: list[int]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.serve.killed", location]
    pipe = subprocess.PIPE
    life = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    assert life.stdin is not None
    life.stdin.write(" ".join(map(str, numbers)))
    life.stdin.close()
    return life


def _hear(life: subprocess.Popen[str], told: set[int]) -> None:
    assert life.stdout is not None
    for line in life.stdout:
        if line.endswith("\n"):
            told.add(int(line))


def _judged(location: str, told: set[int], kills: int) -> Verdict:
    store, model = open_store(location, keep=KEEP), hashing()
    stored = [k.entry for k in store.entries()]
    ids = [e.id for e in stored]
    assert all(e == event(int(e.id[1:])) for e in stored)
    wrong, tables = 0.0, 0
    for user in store.users():
        ring = [k.entry for k in store.user(user).ring]
        mine = sorted((e for e in stored if e.user == user), key=lambda e: e.time)
        assert sorted(e.id for e in ring) == sorted(e.id for e in _last(ring, mine))
        [kept] = store.derived(model.version, [user])
        tables += kept is not None
        found = model.load(kept or Derived(store, model).read([user])[0]).table
        made = model.load(model.build([ring])[0]).table
        assert np.array_equal(found.counts, made.counts)
        wrong = max(wrong, float(np.abs(found.sums - made.sums).max() / np.abs(made.sums).max()))
    store.close()
    lost = {f"e{n}" for n in told} - set(ids)
    return Verdict(len(told), len(set(ids)), len(ids) - len(set(ids)), len(lost), wrong, tables, kills)


def _last(ring: list[Entry], mine: list[Entry]) -> list[Entry]:
    """The last events by time, those of the ring among equal times at the edge."""
    edge = mine[-len(ring)].time
    return [e for e in mine if e.time > edge] + [e for e in ring if e.time == edge]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("location", nargs="?")
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("lmdb", "redis"))
    parser.add_argument("--writers", type=int)
    asked = parser.parse_args()
    if asked.location:
        write(asked.location, [int(n) for n in sys.stdin.read().split()])
        return
    for kind in (asked.only,) if asked.only else ("lmdb", "redis"):
        for writers in (asked.writers,) if asked.writers else (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                server = RedisServer(Path(folder)) if kind == "redis" else None
                location = server.url if server else f"lmdb:{folder}/state"
                begun = time.monotonic()
                found = trial(location, asked.events, asked.kills, writers, asked.seed, server=server)
                if server:
                    server.stop()
            print(f"{kind}, {writers} writers: {found}, {time.monotonic() - begun:.0f} s", flush=True)
            assert found.stored == asked.events
            assert (found.twice, found.lost) == (0, 0)
            assert found.wrong <= 1e-5


if __name__ == "__main__":
    main()
