"""Requests on a fixed schedule, whatever the server does: an open-loop generator of load over HTTP/1.1.

Request i is due at i / rate. Its latency counts from that instant, not from when it could be sent: a server that stalls
for a second is charged for every request that fell due meanwhile (no coordinated omission). One thread polls sockets
without sleeping when the next instant is near, so that it sends within microseconds of it; `late` says how late it was
itself. It belongs on a core of its own (`cpu`): run as a process,

    python -m benchmarks.load < plan.json        {"port", "rate", "seconds", "requests": [{"path", "body"}, ...], ...}

prints what happened as JSON; `ask` does both.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

NEAR = 0.002
"""Seconds before an instant in which the generator does not sleep: the kernel's timers are too coarse."""
GRACE = 30.0
"""Seconds that answers may come after the last instant."""


@dataclass(frozen=True)
class Plan:
    """What is to be asked.

    Attributes
    ----------
    rate : requests a second. seconds : how long. requests : (path, JSON body) in turn, over and over; `once` ends with
        the last one. connections : sockets at most; where all wait for an answer, the next request waits too, and that
        counts. cpu : core of the generator. key : bearer token.
    """

    port: int
    rate: float
    seconds: float
    requests: Sequence[tuple[str, str]]
    connections: int = 256
    once: bool = False
    cpu: int | None = None
    key: str | None = None
    host: str = "127.0.0.1"

    def wire(self) -> list[bytes]:
        """The requests as bytes."""
        auth = f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        return [
            f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\n{auth}Content-Type: application/json\r\n"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()
            for path, body in self.requests
        ]


@dataclass
class Happened:
    """What came of a plan, by request in the order of their instants.

    Attributes
    ----------
    latency : seconds from the instant to the last byte of the answer, NaN where none came. late : seconds from the
        instant to the sending that are the generator's own, not for want of a socket. status : 0 where none came.
    retry : answers of 503 that name a Retry-After. seconds : from the first instant to the last answer.
    """

    latency: np.ndarray
    late: np.ndarray
    status: np.ndarray
    retry: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    bodies: list[str] = field(default_factory=list)

    def quantile(self, q: float) -> float:
        """Of the latency of answers with status 200, in ms; NaN where there is none."""
        good = self.latency[self.status == 200]
        return float(np.quantile(good, q) * 1e3) if len(good) else float("nan")


@dataclass
class _Socket:
    socket: socket.socket
    request: int = -1
    buffer: bytearray = field(default_factory=bytearray)
    ends: int = 0
    left: memoryview | None = None


class Generator:
    """Carries a plan out in this process."""

    def __init__(self, plan: Plan, keep: int = 0) -> None:
        self.plan, self.wire, self.keep = plan, plan.wire(), keep
        count = int(plan.rate * plan.seconds)
        self.count = min(count, len(self.wire)) if plan.once else count
        self.found = Happened(*(np.full(self.count, np.nan) for _ in range(2)), np.zeros(self.count, np.int32))
        self.poll, self.by_fd = select.epoll(), dict[int, _Socket]()
        self.free: list[_Socket] = []
        self.waiting: deque[int] = deque()
        self.open = 0

    def run(self) -> Happened:
        """Send everything, wait for what comes."""
        cpu = time.process_time()
        for _ in range(min(8, self.plan.connections)):  # the first requests do not pay for a handshake
            self.free.append(self._connect())
        self.begin = time.perf_counter() + 0.05
        nth, done = 0, 0
        while done < self.count:
            now = time.perf_counter() - self.begin
            while nth < self.count and nth / self.plan.rate <= now:
                self._due(nth, now)
                nth += 1
                now = time.perf_counter() - self.begin
            if nth == self.count and now > self.count / self.plan.rate + GRACE:
                break
            left = nth / self.plan.rate - now if nth < self.count else 0.05
            for fd, event in self.poll.poll(0 if left < NEAR else left - NEAR / 2):
                done += self._ready(self.by_fd[fd], event)
        self.found.seconds = time.perf_counter() - self.begin
        self.found.cpu = time.process_time() - cpu
        for one in self.by_fd.values():
            one.socket.close()
        return self.found

    def _due(self, nth: int, now: float) -> None:
        self.found.late[nth] = now - nth / self.plan.rate
        if not self.free and self.open < self.plan.connections:
            try:
                self.free.append(self._connect())
            except OSError:
                self.waiting.append(nth)
                return
        if self.free:
            self._send(self.free.pop(), nth)
        else:
            self.waiting.append(nth)

    def _connect(self) -> _Socket:
        made = socket.create_connection((self.plan.host, self.plan.port), timeout=5)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setblocking(False)
        one = _Socket(made)
        self.by_fd[made.fileno()] = one
        self.poll.register(made.fileno(), select.EPOLLIN)
        self.open += 1
        return one

    def _send(self, one: _Socket, nth: int) -> None:
        one.request, one.ends = nth, 0
        one.buffer.clear()
        data = memoryview(self.wire[nth % len(self.wire)])
        try:
            sent = one.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lost(one)
            return
        if sent < len(data):
            one.left = data[sent:]
            self.poll.modify(one.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _ready(self, one: _Socket, event: int) -> int:
        """Read or write on; 1 where a request is done."""
        if event & select.EPOLLOUT and one.left is not None:
            with contextlib.suppress(BlockingIOError, OSError):
                one.left = one.left[one.socket.send(one.left) :]
            if not len(one.left):
                one.left = None
                self.poll.modify(one.socket.fileno(), select.EPOLLIN)
        if not event & ~select.EPOLLOUT:
            return 0
        try:
            data = one.socket.recv(1 << 18)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if not data:
            return self._lost(one)
        one.buffer += data
        if not one.ends:
            head = one.buffer.find(b"\r\n\r\n")
            if head < 0:
                return 0
            one.ends = head + 4 + _length(bytes(one.buffer[:head]))
        if len(one.buffer) < one.ends:
            return 0
        return self._answered(one)

    def _answered(self, one: _Socket) -> int:
        nth, now = one.request, time.perf_counter() - self.begin
        status = int(one.buffer[9:12])
        self.found.latency[nth] = now - nth / self.plan.rate
        self.found.status[nth] = status
        if status == 503:
            self.found.retry += b"retry-after:" in bytes(one.buffer[: one.ends]).lower()
        if len(self.found.bodies) < self.keep:
            self.found.bodies.append(bytes(one.buffer[one.buffer.find(b"\r\n\r\n") + 4 : one.ends]).decode())
        one.request = -1
        if b"connection: close" in bytes(one.buffer[:400]).lower():
            self._close(one)
            self._next()
        elif self.waiting:
            self._send(one, self.waiting.popleft())
        else:
            self.free.append(one)
        return 1

    def _lost(self, one: _Socket) -> int:
        """The server hung up; a request that waits for its answer has failed."""
        failed = int(one.request >= 0)
        self._close(one)
        self._next()
        return failed

    def _close(self, one: _Socket) -> None:
        self.poll.unregister(one.socket.fileno())
        del self.by_fd[one.socket.fileno()]
        one.socket.close()
        self.open -= 1
        if one in self.free:
            self.free.remove(one)

    def _next(self) -> None:
        while self.waiting and self.open < self.plan.connections:
            try:
                one = self._connect()
            except OSError:
                return
            self._send(one, self.waiting.popleft())


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"an answer without Content-Length: {head[:80]!r}")


def ask(plan: Plan, keep: int = 0) -> Happened:
    """Carry a plan out in a process of its own, on its core."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"], input=json.dumps(asdict(plan) | {"keep": keep}), text=True,
        stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    told = json.loads(done.stdout)
    arrays: dict[str, Any] = {
        name: np.array(told.pop(name), float if name != "status" else np.int32)
        for name in ("latency", "late", "status")
    }
    return Happened(**arrays, **told)


def main() -> None:
    """Read a plan, print what happened."""
    given = json.load(sys.stdin)
    keep = given.pop("keep")
    plan = Plan(**given)
    if plan.cpu is not None:
        os.sched_setaffinity(0, {plan.cpu})
    found = Generator(plan, keep).run()
    told = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(found).items()}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
