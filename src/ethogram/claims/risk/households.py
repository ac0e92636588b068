"""Real purchases as cases: will this customer buy again, will this household's spending halve?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

DAY = 86_400_000_000


def halves(log: Any, every: int = 91, after: int = 28, before: int = 84) -> Any:
    """Households of The Complete Journey at one moment each, spread over the year's second half: does spending halve?

    Label 1: less is spent in the `after` days behind the moment than half of what the `before` days ahead of it had in
    as many days. Households that spent nothing in these days before are not asked.
    """
    rows = log.sequences()
    time, value = np.asarray(rows.columns["time"]), np.nan_to_num(np.asarray(rows.columns["value"], np.float64))
    n = len(rows.users)
    first, end = int(time.min()), int(time.max())
    room = (end - after * DAY) - (first + every * 2 * DAY)
    decided = first + every * 2 * DAY + (np.random.default_rng(0).random(n) * room).astype(np.int64)
    own = np.repeat(np.arange(n), rows.lengths)
    at = decided[own]
    past = np.bincount(own, value * ((time < at) & (time >= at - before * DAY)), n)
    next_ = np.bincount(own, value * ((time >= at) & (time < at + after * DAY)), n)
    label = np.where(past > 0, next_ < past * (after / before) / 2, np.nan)
    return _asked(log, rows.users, decided, label, after)


def buys(log: Any, day: str = "1998-04-01", after: int = 84) -> Any:
    """Customers of CDNOW on one day: does anybody buy in the `after` days from it on?"""
    rows = log.sequences()
    time = np.asarray(rows.columns["time"])
    moment = int(np.datetime64(day, "us").astype(np.int64))
    own = np.repeat(np.arange(len(rows.users)), rows.lengths)
    again = np.bincount(own, (time >= moment) & (time < moment + after * DAY), len(rows.users)) > 0
    return _asked(log, rows.users, np.full(len(rows.users), moment), again.astype(float), after)


def _asked(log: Any, codes: np.ndarray, decided: np.ndarray, label: np.ndarray, after: int) -> Any:
    """The log in memory with the decisions as its side table of users."""
    from ethogram.log import Log

    users = pa.table(
        {
            "user": log.vocabulary("user").decode(codes),
            "decided": pa.array(decided, pa.timestamp("us", "UTC")),
            "known": pa.array(decided + after * DAY, pa.timestamp("us", "UTC")),
            "default": pa.array(label, mask=np.isnan(label)),
        }
    )
    table = log.table()
    extra = [c for c in ("store_id", "quantity") if c in table.column_names]
    table = table.select(["user", "item", "time", "value", *extra])
    for name in extra:
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))
    roles = {name: name for name in ("user", "item", "time", "value")}
    return Log.open(table, items=log.items, users=users, **roles)
