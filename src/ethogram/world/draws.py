"""Random numbers by counting: a number is a function of who, when, what for and which, never of what was drawn before.

Philox4x32-10 over the counter (agent, tick, draw), keyed by a hash of (seed, stream). So results do not hang on the
size of batches, on threads, on the order of calls, or on a run that was broken off and resumed.

J. Salmon et al.: Parallel Random Numbers: As Easy as 1, 2, 3. SC 2011.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numba import njit

WORLD = 2**32 - 1
"""The agent whose numbers are the world's own."""
BIRTH = 2**32 - 1
"""The tick of what is drawn before the first one: initial columns."""
Word = np.uint64
"""32 bits in 64."""
PART = 65_536
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@njit(cache=True, nogil=True, inline="always")
def philox(c0: Word, c1: Word, c2: Word, c3: Word, k0: Word, k1: Word) -> tuple[Word, Word, Word, Word]:
    """Four 32-bit words (held in uint64) of a counter and a key."""
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c2 = (p1 >> _HALF) ^ c1 ^ k0, (p0 >> _HALF) ^ c3 ^ k1
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@njit(cache=True, nogil=True)
def _words(agents: np.ndarray, tick: Word, first: int, k0: Word, k1: Word, out: np.ndarray) -> None:
    n, m = out.shape
    for i in range(n):
        for block in range(first // 4, (first + m + 3) // 4):
            w = philox(np.uint64(agents[i]), np.uint64(tick), np.uint64(block), np.uint64(0), k0, k1)
            for lane in range(4):
                at = 4 * block + lane - first
                if 0 <= at < m:
                    out[i, at] = w[lane]


def key(seed: int, *names: str) -> tuple[np.uint64, np.uint64]:
    """The key of a stream: two 32-bit words."""
    told = "\0".join((str(int(seed)), *names)).encode()
    value = int.from_bytes(blake2b(told, digest_size=8).digest(), "little")
    return np.uint64(value & 0xFFFFFFFF), np.uint64(value >> 32)


def _by_parts(agents: np.ndarray, n: int, part: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """float64[agents, n], a part of the agents at a time: what lies between is as large as a part, not as a million."""
    if len(agents) <= PART:
        return part(agents)
    out = np.empty((len(agents), n))
    for at in range(0, len(agents), PART):
        out[at : at + PART] = part(agents[at : at + PART])
    return out


@dataclass(frozen=True)
class Draws:
    """Numbers of a run.

    Examples
    --------
    >>> luck = Draws(seed=1)
    >>> whole = luck.uniform("walk", np.arange(5), tick=3, n=2)
    >>> bool((whole[2:4] == luck.uniform("walk", [2, 3], tick=3, n=2)).all())
    True
    """

    seed: int
    domain: str = ""
    "Further name under which streams are drawn; a fork with luck of its own has another."

    def words(self, stream: str, agents: Any, tick: int, n: int = 1, first: int = 0) -> np.ndarray:
        """Raw words uint32[len(agents), n]: draws number `first` to `first + n - 1` of each agent at a tick."""
        agents = np.atleast_1d(np.asarray(agents, np.uint32))
        out = np.empty((len(agents), n), np.uint32)
        _words(agents, np.uint64(tick), first, *key(self.seed, self.domain, stream), out)
        return out

    def uniform(self, stream: str, agents: Any, tick: int, n: int = 1, first: int = 0) -> np.ndarray:
        """float64[len(agents), n] strictly between 0 and 1, multiples of 2^-33."""
        agents = np.atleast_1d(np.asarray(agents, np.uint32))
        return _by_parts(agents, n, lambda some: (self.words(stream, some, tick, n, first) + 0.5) * 2.0**-32)

    def at(self, agents: Any, tick: int) -> Luck:
        """The numbers of some agents at one tick."""
        return Luck(self, np.atleast_1d(np.asarray(agents, np.uint32)), tick)


@dataclass(frozen=True)
class Luck:
    """The numbers of some agents at one tick: what a policy is given. Rows of every answer are these agents'."""

    draws: Draws
    agents: np.ndarray
    tick: int

    def __len__(self) -> int:
        return len(self.agents)

    def __getitem__(self, rows: Any) -> Luck:
        """The numbers of some of them."""
        return Luck(self.draws, np.atleast_1d(self.agents[rows]), self.tick)

    def uniform(self, stream: str, n: int = 1) -> np.ndarray:
        """float64[agents, n] in (0, 1)."""
        return self.draws.uniform(stream, self.agents, self.tick, n)

    def chance(self, stream: str, probability: Any) -> np.ndarray:
        """bool[agents]: true with a probability (one, or one for each)."""
        return self.uniform(stream)[:, 0] < np.asarray(probability)

    def integers(self, stream: str, high: Any, n: int = 1) -> np.ndarray:
        """int64[agents, n] from 0 to `high` - 1; `high` is a number or one for each agent."""
        whole = np.floor(self.uniform(stream, n) * np.asarray(high, np.float64).reshape(-1, 1))
        return whole.astype(np.int64)

    def gumbel(self, stream: str, n: int = 1) -> np.ndarray:
        """float64[agents, n], standard Gumbel."""
        return -np.log(-np.log(self.uniform(stream, n)))

    def normal(self, stream: str, n: int = 1) -> np.ndarray:
        """float64[agents, n], standard normal (Box and Muller)."""

        def part(agents: np.ndarray) -> np.ndarray:
            u = self.draws.uniform(stream, agents, self.tick, 2 * n)
            return np.asarray(np.sqrt(-2 * np.log(u[:, :n])) * np.cos(2 * np.pi * u[:, n:]))

        return _by_parts(self.agents, n, part)

    def among(self, stream: str, weights: np.ndarray | Sequence[float]) -> np.ndarray:
        """int64[agents]: a place in `weights` ([m], or [agents, m]; none below 0) with that probability."""
        table = np.atleast_2d(np.asarray(weights, np.float64))
        ends = np.cumsum(table, 1)
        point = self.uniform(stream) * ends[:, -1:]
        return (ends <= point).sum(1).clip(0, table.shape[1] - 1)

    def key(self, stream: str) -> tuple[np.uint64, np.uint64]:
        """The key of a stream, for compiled loops of one's own over `philox`."""
        return key(self.draws.seed, self.draws.domain, stream)
