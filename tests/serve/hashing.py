"""A model without a network: an item's vector comes from its name, its signature from fixed directions."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from ethogram.nn.buckets import BucketTable
from ethogram.serve.state import Entry
from ethogram.serve.tables import BucketTables

GROUPS, WIDTH, DIM = 16, 3, 40


def hashing(seed: int = 0, memory: float | None = None) -> BucketTables:
    directions = np.random.default_rng(seed).standard_normal((DIM, GROUPS, WIDTH))
    powers = 1 << np.arange(WIDTH)
    held: dict[str, np.ndarray] = {}

    def vector(item: str) -> np.ndarray:
        if item not in held:
            held[item] = np.random.default_rng(zlib.crc32(item.encode())).standard_normal(DIM).astype(np.float32)
        return held[item]

    def events(lists: Sequence[Sequence[Entry]]) -> tuple[np.ndarray, np.ndarray]:
        flat = [vector(e.item or "") for events in lists for e in events]
        vectors = np.array(flat, np.float32).reshape(-1, DIM)
        signs = np.tensordot(vectors.astype(np.float64), directions, 1) > 0
        return (signs @ powers).astype(np.int32), vectors

    return BucketTables(BucketTable.empty(GROUPS, 1 << WIDTH, DIM, f"seed {seed}", memory=memory), events)
