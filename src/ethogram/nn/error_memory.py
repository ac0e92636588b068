"""Where a model was wrong lately: errors written under the key of their request, read back for requests like it.

A memory holds rows (k_i, e_i, w_i, t_i): key, error, weight, clock. For a request with key k it tells three sums

    n = sum_i u_i,    s = sum_i u_i e_i,    v = sum_i u_i p_i (1 - p_i)
    u_i = w_i 2^(-(now - t_i) / half_life) K(k, k_i)

and the error to be expected is s / (n + n0): the mean of the neighbours' errors, drawn to 0 where there are few. The
kernel K is what kinds of memory differ in:

    sketch      (1 - theta / pi)^bits in expectation, theta the angle: the collisions of `repeats` SimHash signatures
                (`ethogram.nn.lsh`) in tables of fixed size (`ethogram.numeric.sketch`); time and bytes do not grow
    exact       exp((cos theta - 1) / temperature) for the `neighbours` nearest keys of the last `capacity`, else 0;
                normalised, the softmax of cos / temperature. Time and bytes grow with what is held
    item        1 for the same item, else 0 (but for collisions of its hash): a running residual of each item
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from ethogram.numeric.sketch import Sketch

VALUES = 3
SLOTS = 2**16
"""Cells of the item memory."""
CELLS = 2**23
"""Similarities that are held at once."""


class Keys(NamedTuple):
    """What is known of requests: `vectors` float32[n, d] of length 1, `item` uint64[n], the hash of the candidate."""

    vectors: np.ndarray
    item: np.ndarray

    def __getitem__(self, rows: slice | np.ndarray) -> Keys:  # type: ignore[override]
        return Keys(self.vectors[rows], self.item[rows])


class Memory(Protocol):
    """What kinds of memory have in common."""

    @property
    def nbytes(self) -> int: ...
    def write(self, keys: Keys, values: np.ndarray, clock: np.ndarray) -> None:
        """Add rows; `values` is float64[n, 3]: w, w e, w p (1 - p). `clock` is float64[n]."""
        ...

    def read(self, keys: Keys, now: np.ndarray) -> np.ndarray:
        """(n, s, v) for each request as of `now` float64[n]; float64[n, 3]."""
        ...

    def arrays(self) -> dict[str, np.ndarray]: ...
    def restore(self, held: Mapping[str, np.ndarray]) -> None: ...


class Sketched:
    """The sketch; see the module. Keys are [*, dim]."""

    def __init__(self, dim: int, repeats: int, bits: int, half_life: float | None, seed: int) -> None:
        from ethogram.nn.lsh import SimHash

        self.hash = SimHash(dim, repeats * bits, bits, seed)
        self.table = Sketch(repeats, 2**bits, VALUES, half_life)

    @property
    def nbytes(self) -> int:
        return self.table.nbytes + self.hash.directions.numel() * 8

    def write(self, keys: Keys, values: np.ndarray, clock: np.ndarray) -> None:
        self.table.write(self.hash.codes(keys.vectors), values, clock)

    def read(self, keys: Keys, now: np.ndarray) -> np.ndarray:
        return self.table.read(self.hash.codes(keys.vectors), now)

    def arrays(self) -> dict[str, np.ndarray]:
        return {**self.table.arrays(), "directions": self.hash.directions.numpy()}

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        import torch

        self.table.restore(held)
        self.hash.directions = torch.from_numpy(np.array(held["directions"]))


class ByItem:
    """Running residuals of items."""

    def __init__(self, half_life: float | None) -> None:
        self.table = Sketch(1, SLOTS, VALUES, half_life)

    @property
    def nbytes(self) -> int:
        return self.table.nbytes

    def write(self, keys: Keys, values: np.ndarray, clock: np.ndarray) -> None:
        self.table.write(self._codes(keys), values, clock)

    def read(self, keys: Keys, now: np.ndarray) -> np.ndarray:
        return self.table.read(self._codes(keys), now)

    def _codes(self, keys: Keys) -> np.ndarray:
        return (keys.item % np.uint64(SLOTS)).astype(np.int64)[:, None]

    def arrays(self) -> dict[str, np.ndarray]:
        return self.table.arrays()

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        self.table.restore(held)


class Nearest:
    """The exact neighbours among the last `capacity` rows, a ring that grows up to that."""

    def __init__(
        self, dim: int, neighbours: int, temperature: float, half_life: float | None, capacity: int
    ) -> None:  # fmt: skip
        self.neighbours, self.temperature, self.half_life = neighbours, temperature, half_life
        self.capacity, self.next = capacity, 0
        self.keys = np.zeros((0, dim), np.float32)
        self.values, self.clock = np.zeros((0, VALUES)), np.zeros(0)

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes + self.clock.nbytes

    def write(self, keys: Keys, values: np.ndarray, clock: np.ndarray) -> None:
        new = (keys.vectors[-self.capacity :], values[-self.capacity :], clock[-self.capacity :])
        room = min(self.capacity - len(self.keys), len(new[0]))
        self.keys, self.values, self.clock = (
            np.concatenate([old, more[:room]])
            for old, more in zip((self.keys, self.values, self.clock), new, strict=True)
        )
        over = len(new[0]) - room
        place = (self.next + np.arange(over)) % self.capacity  # the oldest make room
        self.keys[place], self.values[place], self.clock[place] = (more[room:] for more in new)
        self.next = (self.next + over) % self.capacity

    def read(self, keys: Keys, now: np.ndarray) -> np.ndarray:
        found = np.zeros((len(keys.vectors), VALUES))
        if not len(self.keys):
            return found
        step = max(1, CELLS // len(self.keys))
        for first in range(0, len(found), step):
            rows = slice(first, first + step)
            near = keys.vectors[rows] @ self.keys.T
            k = min(self.neighbours, near.shape[1])
            chosen = np.argpartition(near, -k, axis=1)[:, -k:]
            share = np.exp((np.take_along_axis(near, chosen, 1).astype(np.float64) - 1) / self.temperature)
            if self.half_life is not None:
                share *= np.exp2(np.minimum((self.clock[chosen] - now[rows, None]) / self.half_life, 0))
            found[rows] = np.einsum("nk,nkv->nv", share, self.values[chosen])
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        return {"keys": self.keys, "values": self.values, "clock": self.clock, "next": np.array([self.next])}

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        self.keys, self.values, self.clock = (np.array(held[n]) for n in ("keys", "values", "clock"))
        self.next = int(held["next"][0])
