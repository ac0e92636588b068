"""A server process as people run it: killed, stopped, switched under load, flooded.

The durability test is small here. In full (50,000 events, 20 kills, some minutes):

    ETHOGRAM_FULL=1 python -m pytest tests/serve/web/test_process.py -k killed
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import threading
import time

import httpx
import msgspec
import numpy as np
import pytest
from tests.serve.web.conftest import Process, event

import ethogram
from ethogram import data
from ethogram.errors import ServiceDown, ServiceError
from ethogram.serve.opening import open_store
from ethogram.serve.prepared import Ready
from ethogram.system import load

FULL = bool(os.environ.get("ETHOGRAM_FULL"))
EVENTS, KILLS = (50_000, 20) if FULL else (2_000, 3)
USERS, BATCH = 40, 50


@pytest.fixture(scope="module")
def hashed(tmp_path_factory):
    """A model that keeps a bucket table of each user."""
    folder = tmp_path_factory.mktemp("hashed") / "home"
    log = data.load("interests", users=30, slates=4, seed=0)
    small = {"epochs": 1, "dim": 8, "side": 4, "hidden": (8,), "hashes": 12, "short": 5}
    ethogram.system("sdim", **small).fit(log, seed=1).save(folder)
    return folder


@pytest.mark.parametrize(
    "backend",
    ["lmdb", pytest.param("redis", marks=pytest.mark.skipif(not FULL, reason="in full only (ETHOGRAM_FULL=1)"))],
)
def test_every_acknowledged_event_is_there_once_after_the_server_was_killed(backend, hashed, tmp_path, request):
    """Property: the ledger holds each event that was acknowledged exactly once, and tables equal a batch rebuild."""
    where = f"lmdb:{tmp_path}/state" if backend == "lmdb" else request.getfixturevalue("redis_server").url
    where += "" if backend == "lmdb" else f"?prefix=killed{os.getpid()}"
    server = Process(str(hashed), "--no-keys", "--store", where, folder=tmp_path)
    rng = random.Random(0)
    sent = [
        {**event(n, user_id=f"u{rng.randrange(USERS)}", item_id=str(rng.randrange(300))), "time": 1_700_000_000 + n}
        for n in range(EVENTS)
    ]
    acknowledged: list[str] = []
    done = threading.Event()

    def writer() -> None:
        client = ethogram.Client(server.url, timeout=10, retries=0)
        for at in range(0, EVENTS, BATCH):
            batch = sent[at : at + BATCH]
            while True:  # until it is acknowledged: what was lost on the way is sent again with its ids
                try:
                    found = client.send(batch)
                    break
                except ServiceError as error:
                    if not error.again:
                        raise
                    time.sleep(0.02)
            assert found.accepted + found.duplicate == len(batch)
            acknowledged.extend(e["event_id"] for e in batch)
            if at % (10 * BATCH) == 0:  # so that tables exist and follow
                with contextlib.suppress(ServiceDown):
                    client.rank(["1", "2"], user=f"u{(at // BATCH) % USERS}")
        done.set()

    with server:
        thread = threading.Thread(target=writer)
        thread.start()
        for kill in range(KILLS):
            # somewhere within the stream, at no particular place of a request
            while len(acknowledged) < EVENTS * (kill + 0.5) / (KILLS + 1) and not done.is_set():
                time.sleep(0.005)
            time.sleep(rng.random() * 0.05)
            server.kill()
            server.start()
        thread.join(timeout=900)
        assert done.is_set()
        client = ethogram.Client(server.url)
        counts = sum(client.user(f"u{u}").count for u in range(USERS))
        assert counts == EVENTS
        for user in range(USERS):
            client.rank(["1", "2"], user=f"u{user}")
        assert server.stop() in (0, -signal.SIGTERM)
    store = open_store(where)
    held = [k.entry.id for k in store.entries()]
    assert len(held) == len(set(held)) == EVENTS
    assert set(held) == set(acknowledged)
    ready = Ready(load(hashed), store)
    for user in range(USERS):
        (kept,) = store.derived(ready.tables.version, [f"u{user}"])
        assert kept is not None
        (built,) = ready.tables.build([[k.entry for k in store.user(f"u{user}").ring]])
        one, other = ready.tables.load(kept).table, ready.tables.load(built).table
        np.testing.assert_array_equal(one.counts, other.counts)
        np.testing.assert_allclose(one.sums, other.sums, atol=1e-5)
    store.close()


def test_versions_change_and_the_server_stops_without_a_failed_request(fitted, tmp_path):
    # stale keep-alive connections are the client's own matter at a stop, so each request of the last part is new
    server = Process(str(fitted / "rank"), "--no-keys", "--store", f"lmdb:{tmp_path}/state", folder=tmp_path)
    statuses: list[int | str] = []
    versions: set[str] = set()
    stop = threading.Event()
    body = {"user_id": "u1", "candidates": list(map(str, range(50)))}

    def load_() -> None:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            while not stop.is_set():
                answer = http.post("/v1/rank", json=body)
                statuses.append(answer.status_code)
                versions.add(answer.json().get("version"))
                more = http.post("/v1/events", json={"events": [event(random.random())]})
                statuses.append(more.status_code)

    with server:
        threads = [threading.Thread(target=load_) for _ in range(3)]
        for thread in threads:
            thread.start()
        client = ethogram.Client(server.url)
        for n in range(6):
            assert client.activate("rank", f"v{1 + n % 2}").version == f"v{1 + n % 2}"
            time.sleep(0.1)
        client.roll_back("rank")
        stop.set()
        for thread in threads:
            thread.join()
        assert len(statuses) > 20
        assert set(statuses) == {200}
        assert versions == {"v1", "v2"}
        # in flight when the signal comes: the request's body is not even sent whole
        line = socket.create_connection(("127.0.0.1", server.port))
        content = msgspec.json.encode(body)
        line.sendall(b"POST /v1/rank HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(content))
        line.sendall(content[:10])
        time.sleep(0.3)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        line.sendall(content[10:])
        assert line.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        assert server.process.wait(timeout=30) in (0, -signal.SIGTERM)
    assert "Traceback" not in server.said()


def test_a_flood_of_10_mb_is_answered_and_the_server_lives(fitted, tmp_path):
    with Process(
        str(fitted / "find"), "--store", f"lmdb:{tmp_path}/state", folder=tmp_path, ETHOGRAM_API_KEY="k"
    ) as server:
        key = {"authorization": "Bearer k"}
        for _ in range(3):
            answer = httpx.post(f"{server.url}/v1/events", content=b"x" * 10_000_000, headers=key, timeout=30)
            assert (answer.status_code, answer.json()["where"]) == (413, "body")
        chunks = (b"y" * 100_000 for _ in range(100))  # no length is told
        assert httpx.post(f"{server.url}/v1/events", content=chunks, headers=key, timeout=30).status_code == 413
        assert httpx.get(f"{server.url}/v1/models", headers=key).status_code == 200
        assert httpx.get(f"{server.url}/v1/models").status_code == 401
        assert ethogram.Client(server.url, key="k").recommend(history=["3"], k=2).items
        told = server.said()
        assert f"Ethogram serves at {server.url}" in told
        assert f"{server.url}/docs" in told
        assert "curl -H" in told


def test_two_servers_on_one_redis_are_one_service(hashed, tmp_path, redis_server):
    where = f"{redis_server.url}?prefix=two{os.getpid()}"
    arguments = (str(hashed), "--no-keys", "--store", where)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with Process(*arguments, folder=folders[0]) as one, Process(*arguments, folder=folders[1]) as two:
        clients = [ethogram.Client(s.url) for s in (one, two)]
        candidates = list(map(str, range(40)))
        acknowledged: list[int] = [0, 0]

        def write(which: int) -> None:
            # both send the same events, each in another order: an id counts once, whoever comes first
            order = list(range(300))
            random.Random(which).shuffle(order)
            for at in range(0, 300, 20):
                numbers = order[at : at + 20]
                batch = [event(n, user_id=f"u{n % 5}", item_id=str(n % 97), time=1_700_000_000 + n) for n in numbers]
                acknowledged[which] += clients[which].send(batch).accepted
                clients[1 - which].rank(candidates, user=f"u{at % 5}")

        threads = [threading.Thread(target=write, args=(i,)) for i in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(acknowledged) == 300
        for user in range(5):
            found = [c.user(f"u{user}") for c in clients]
            assert found[0] == found[1]
            assert found[0].count == 60
            one_, two_ = (c.rank(candidates, user=f"u{user}").items for c in clients)
            assert [i.item_id for i in one_] == [i.item_id for i in two_]
            np.testing.assert_allclose([i.score for i in one_], [i.score for i in two_], atol=1e-5)
        clients[0].forget("u0")
        assert clients[1].user("u0").count == 0
        assert clients[1].rank(candidates, user="u0").read == "nothing"
    store = open_store(where)
    held = [k.entry.id for k in store.entries()]
    assert len(held) == len(set(held)) == 240
    store.close()
