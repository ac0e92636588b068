"""People whose payments at a lender rise (yes) or fall (no) with the same sum, between two merchants of no meaning."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ethogram.log import Log

DAY = 86_400_000_000


def stamps(days):
    return pa.array((np.asarray(days, float) * DAY).astype(np.int64), pa.timestamp("us", "UTC"))


def lending(n=240, *, seed=0, scale=1.0, **side):
    """n people, decided on days 200, 201, ...; half of them yes. `scale` multiplies the first person's amounts."""
    rng, rows = np.random.default_rng(seed), []
    for user in range(n):
        decided, yes = 200 + user, bool(rng.random() < 0.5)
        trend = np.linspace(0.4, 1.6, 8)[:: 1 if yes else -1]
        for k in range(8):
            rows.append((user, "lender", decided - 170 + 20 * k, 100 * trend[k], "loan", "repay the loan"))
        for _ in range(12):
            shop = f"shop {rng.integers(0, 2)}"
            rows.append((user, shop, decided - 180 * rng.random(), 30 * rng.random() + 1, "shop", "some bread"))
        for row in range(len(rows) - 20, len(rows)) if user == 0 else ():
            rows[row] = (*rows[row][:3], rows[row][3] * scale, *rows[row][4:])
        side.setdefault("default", []).append(float(yes))
        side.setdefault("user", []).append(user)
        side.setdefault("decided", []).append(decided)
    names = ("user", "item", "time", "value", "category", "description")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["time"] = stamps(columns["time"])
    default = pa.array(side.pop("default"), pa.float64())
    users = {"user": side.pop("user"), "decided": stamps(side.pop("decided")), "default": default}
    return pa.table(columns), pa.table({**users, **side})


def opened(events, users):
    return Log.open(events, users=users)
