"""Random events with many equal times, shared by the tests of this folder."""

import numpy as np
import pyarrow as pa


def events(seed=0, n=600, users=25, items=18, times=120):
    """Random events with many equal times."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "user": rng.integers(0, users, n) * 7,
            "item": [f"i{k:02d}" for k in rng.integers(0, items, n)],
            "time": rng.integers(0, times, n) * 600 + 1_500_000_000,
            "value": np.round(rng.normal(3, 1, n), 1),
            "kind": rng.choice(["view", "buy", "turn"], n),
            "merchant": [None if k == 0 else f"m{k}" for k in rng.integers(0, 6, n)],
        }
    )
