"""Small shops with known truth."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.log import Log
from ethogram.world.people.households import Households

DAY = 86_400_000_000
START = int(np.datetime64("2024-01-01", "us").astype(np.int64))


def shop(households=40, days=168, items=120, seed=0):
    """Purchases of households that go every few days, and take favourites or something of two kinds that they like."""
    rng = np.random.default_rng(seed)
    rows = []
    kinds = np.arange(items) % 6
    for h in range(households):
        rate, mine = rng.uniform(0.1, 0.5), rng.choice(items, 8, replace=False)
        liked = rng.choice(6, 2, replace=False)
        near = np.flatnonzero(np.isin(kinds, liked))
        for day in np.flatnonzero(rng.random(days) < rate):
            n = 1 + rng.poisson(3)
            own = rng.random(n) < 0.6
            took = np.unique(np.where(own, rng.choice(mine, n), rng.choice(near, n)))
            rows += [(h, int(i), START + int(day) * DAY + 36_000_000_000, 1.0 + i % 7) for i in took]
    user, item, time, value = map(list, zip(*rows, strict=True))
    events = pa.table({"user": user, "item": item, "time": pa.array(time, pa.timestamp("us", "UTC")), "value": value})
    side = pa.table(
        {"item": np.arange(items), "kind_of": [f"k{k}" for k in kinds], "half": [f"h{k % 2}" for k in kinds]}
    )
    return Log.open(events, items=side)


LEVELS = ("half", "kind_of")


@pytest.fixture(scope="session")
def shop_log():
    return shop()


@pytest.fixture(scope="session")
def people(shop_log):
    return Households.fit(shop_log, levels=LEVELS, neighbours=5)
