"""The generator keeps its schedule and charges the server for every instant that it let pass."""

import asyncio
import contextlib
import json
import threading
import time
from typing import ClassVar

import numpy as np
import pytest
from benchmarks.load import Generator, Plan

from benchmarks import load


class Server(asyncio.Protocol):
    """Answers at once, except as `acts` says for the body's number."""

    acts: ClassVar[dict] = {}
    seen: ClassVar[list] = []

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0 or len(self.buffer) < end + 4 + load._length(self.buffer[:end]):
            return
        number = json.loads(self.buffer[end + 4 :])["n"]
        type(self).seen.append((number, b"Bearer secret" in self.buffer))
        self.buffer = b""
        act = self.acts.get(number)
        if act == "hang up":
            self.transport.close()
            return
        if act == "busy":
            self.transport.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nno")
            return
        if act == "close":
            self.transport.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
            self.transport.close()
            return
        if act:
            time.sleep(act)  # the whole server stands still
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000
        self.transport.write(whole[:50])
        self.transport.write(whole[50:])


@contextlib.contextmanager
def serving(**acts):
    made = type("Made", (Server,), {"acts": {int(k[1:]): v for k, v in acts.items()}, "seen": []})
    loop, ready = asyncio.new_event_loop(), threading.Event()

    def run():
        made.server = loop.run_until_complete(loop.create_server(made, "127.0.0.1", 0))
        ready.set()
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(5)
    try:
        yield made, made.server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def numbered(n):
    return [("/v1/rank", json.dumps({"n": i})) for i in range(n)]


def test_a_stall_is_charged_to_everything_that_fell_due_meanwhile():
    with serving(n20=0.4) as (_, port):
        found = Generator(Plan(port, 100, 1.0, numbered(100))).run()
    assert (found.status == 200).all()
    assert found.latency[20] >= 0.4
    # request i fell due (i - 20) / 100 s into the stall and was answered behind it
    for i in (25, 35, 50):
        assert found.latency[i] >= 0.4 - (i - 20) / 100 - 0.02
    assert np.median(found.latency) < 0.2
    assert found.quantile(1.0) == pytest.approx(1e3 * found.latency.max())
    assert np.median(found.late) < 0.005, "the schedule was kept while the server stood still"


def test_what_goes_wrong_is_told_and_the_rest_goes_on():
    with serving(n3="busy", n5="hang up", n7="close") as (server, port):
        found = Generator(Plan(port, 200, 0.1, numbered(20), key="secret"), keep=2).run()
    status = found.status.tolist()
    assert (status[3], status[5], status[7]) == (503, 0, 200)
    assert status.count(200) == 18
    assert np.isnan(found.latency[5])
    assert found.retry == 1
    assert sorted(n for n, _ in server.seen) == list(range(20))
    assert all(authorised for _, authorised in server.seen)
    assert len(found.bodies) == 2
    assert len(found.bodies[0]) == 70_000


def test_too_few_sockets_make_requests_wait_and_that_counts():
    with serving(n0=0.3) as (_, port):
        found = Generator(Plan(port, 100, 0.2, numbered(20), connections=1)).run()
    assert (found.status == 200).all()
    assert found.latency[1] >= 0.28


def test_in_a_process_of_its_own_requests_are_sent_once():
    with serving() as (server, port):
        found = load.ask(Plan(port, 400, 9.0, numbered(40), once=True), keep=1)
    assert len(found.latency) == len(server.seen) == 40
    assert (found.status == 200).all()
    assert 0 < found.quantile(0.5) <= found.quantile(0.99)
    assert found.cpu > 0
