"""Feature hashing: combinations of codes as places in a table of fixed size, in whole arrays.

Collisions are accepted (K. Weinberger et al.: Feature Hashing for Large Scale Multitask Learning. ICML 2009, without
the sign). The same name and codes meet the same place on every machine and in every process.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ethogram.log.columns import hashes

NOTHING = 0
"""Place of what is missing: it never learns and weighs nothing."""


def salt(name: str) -> np.uint64:
    """A number for a feature's name."""
    return np.uint64(hashes(pa.array([name]))[0])


def mix(state: np.ndarray | np.uint64, code: np.ndarray) -> np.ndarray:
    """Fold integer codes (any shape that broadcasts) into hash states, uint64 (SplitMix64's finaliser)."""
    with np.errstate(over="ignore"):
        x = (np.asarray(state, np.uint64) ^ np.asarray(code).astype(np.int64).astype(np.uint64)) * np.uint64(
            0x9E3779B97F4A7C15
        ) + np.uint64(0x632BE59BD9B4E019)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def places(state: np.ndarray, buckets: int, there: np.ndarray | None = None) -> np.ndarray:
    """Places 1 .. buckets - 1 of hash states, int32; `NOTHING` where not `there` (bool, same shape)."""
    found = (state % np.uint64(buckets - 1)).astype(np.int32) + 1
    return found if there is None else np.where(there, found, NOTHING).astype(np.int32)


def steps_of(values: np.ndarray, width: float = 0.5) -> np.ndarray:
    """Numbers as whole steps of `width`, int64; missing is a step of its own."""
    found = np.floor(np.nan_to_num(np.asarray(values, np.float64), nan=-1e6, posinf=1e6, neginf=-1e6) / width)
    return found.astype(np.int64)
