"""Limits per endpoint: calls at once, calls and tokens per minute, pauses that the endpoint asked for; and retries."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass

from ethogram.errors import LMError


@dataclass(frozen=True)
class Limits:
    """Bounds of one endpoint.

    Attributes
    ----------
    concurrency : calls at once; None takes what suits the endpoint (1,000 for a URL, its slots for the embedded).
    calls_per_minute, tokens_per_minute : None is no bound. Tokens are held at their estimate, then settled.
    """

    concurrency: int | None = None
    calls_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(frozen=True)
class Retries:
    """When a call is tried again: connection lost, 429, 5xx, half a reply.

    The wait before try n is uniform in (0, first * 2^(n-1)], at most `most` seconds, or what the endpoint asked for
    (`Retry-After`), if that is at most `patience` seconds; a longer demand ends the call.
    """

    tries: int = 4
    first: float = 0.5
    most: float = 30.0
    patience: float = 120.0

    def wait(self, done: int, error: LMError) -> float | None:
        """Seconds before the next try, None where there is none."""
        if not error.again or done >= self.tries:
            return None
        if error.after is not None:
            return error.after if error.after <= self.patience else None
        return random.uniform(0, min(self.most, self.first * 2 ** (done - 1)))


class Bucket:
    """A rate: `take(n)` says how long to wait until n more fit into it. A minute's worth may go at once."""

    def __init__(self, per_minute: float | None):
        self.rate = per_minute / 60 if per_minute else None
        self.room = per_minute or 0.0
        self._left = self.room
        self._at = time.monotonic()

    def take(self, n: float) -> float:
        if self.rate is None:
            return 0.0
        now = time.monotonic()
        self._left = min(self.room, self._left + (now - self._at) * self.rate)
        self._at = now
        self._left -= n
        return max(0.0, -self._left / self.rate)

    def give_back(self, n: float) -> None:
        self._left = min(self.room, self._left + n)


class Lane:
    """The way to one endpoint on one event loop; first come, first served."""

    def __init__(self, limits: Limits, lanes: int):
        self.free = limits.concurrency or lanes
        self.calls = Bucket(limits.calls_per_minute)
        self.tokens = Bucket(limits.tokens_per_minute)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0

    async def enter(self, tokens: int) -> None:
        """Wait for a place, for the rates, and for the end of a pause."""
        if self.free > 0 and not self._waiting:
            self.free -= 1
        else:
            await self._place()
        wait = max(self.calls.take(1), self.tokens.take(tokens), self._paused_until - time.monotonic())
        if wait > 0:
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:
                self.leave()
                raise

    async def _place(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to the next in line."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1

    def pause(self, seconds: float) -> None:
        """Nobody new goes for so long (`Retry-After` speaks to all calls of the endpoint, not to one)."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)
