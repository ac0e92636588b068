"""A log of slates over items with columns, small enough to count by hand."""

import numpy as np
import pyarrow as pa

from ethogram.log import Log

DAY = 86_400


def log(rows, items=None):
    """From (user, item, day, label or None, slate or None, weight) rows."""
    user, item, day, label, slate, weight = (list(c) for c in zip(*rows, strict=True))
    table = pa.table(
        {
            "user": user, "item": pa.array(item, pa.int64()), "time": [1_700_000_000 + int(d * DAY) for d in day],
            "label": pa.array(label, pa.float32()), "slate": pa.array(slate, pa.int64()),
            "weight": pa.array(weight, pa.float32()),
        }
    )  # fmt: skip
    return Log.open(table, items=items)


def catalogue(n):
    """Items 1 ... n with a category, a number and a list of tags each."""
    tags = [[f"t{i % 3}", f"t{i % 2}"] if i % 4 else [] for i in range(n)]
    return pa.table(
        {
            "item": np.arange(1, n + 1),
            "category": [f"c{i % 4}" for i in range(n)],
            "price": np.arange(n) ** 1.5,
            "tags": pa.array(tags, pa.list_(pa.string())),
        }
    )


def random_log(users=12, items=8, slates=5, seed=0):
    """Behaviour of different lengths (none for some) and slates of different sizes, weighted, each at its own time."""
    rng = np.random.default_rng(seed)
    rows = []
    for u in range(users):
        for day in np.sort(rng.choice(30, 2 * u % 9, replace=False)):
            rows.append((f"u{u}", int(rng.integers(1, items + 1)), int(day), None, None, None))
        for s in range(slates):
            shown = rng.choice(items, int(rng.integers(1, 5)), replace=False) + 1
            for i in shown:
                label = float(rng.random() < 0.4)
                rows.append((f"u{u}", int(i), 12 + 4 * s + 0.001 * u, label, 10 * u + s, 1.0 if label else 3.0))
    return log(rows, catalogue(items))
