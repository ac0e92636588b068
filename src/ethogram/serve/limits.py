"""What one request, one key and one server may ask for; beyond it the answer is 413, 422, 429 or 503, never a crash."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

ID, NAME, CONTENT, DEPTH = 256, 64, 16_384, 16
"""Characters of an id and of a name; bytes of an event's own fields together, and how deep they nest."""


@dataclass(frozen=True)
class Limits:
    """Limits of a server; the defaults are for one machine."""

    body: int = 2**20
    "Bytes of a request's body."
    batch: int = 1_000
    "Events of one request."
    candidates: int = 2_000
    "Candidates of one request."
    history: int = 16_384
    "Events that a stranger may bring along."
    k: int = 500
    "Recommendations of one request."
    recent: int = 1_000
    "Events that one look at a user shows."
    rate: float = 2_000.0
    "Requests a second of one key, on average; a burst may hold as many as two seconds bring."
    waiting: int = 256
    "Requests that wait for the scorer or the writer; the next one is told to come back."
    flying: int = 1_024
    "Requests that the server has in its hands at once, whatever they ask."
    patience: float = 30.0
    "Seconds that a request's body may take to arrive."
    ahead: float = 60.0
    "Seconds that an event's time may lie ahead of the server's clock."
    compact: float = 600.0
    "Seconds after which the bytes of a forgotten user are gone."
    grace: float = 30.0
    "Seconds that requests in flight have when the server stops."


class Rate:
    """A token bucket for each key: `rate` tokens a second, at most two seconds' worth are saved."""

    def __init__(self, rate: float):
        self.rate, self.burst = rate, max(2 * rate, 1.0)
        self._held: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, key: str, now: float | None = None) -> float:
        """Take a token; 0, or the seconds until there is one."""
        now = time.monotonic() if now is None else now
        with self._lock:
            tokens, last = self._held.get(key, (self.burst, now))
            tokens = min(self.burst, tokens + (now - last) * self.rate)
            if tokens < 1:
                self._held[key] = (tokens, now)
                return (1 - tokens) / self.rate
            self._held[key] = (tokens - 1, now)
            return 0.0
