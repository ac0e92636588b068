"""Real purchases and visits as cases: will this customer buy again, will spending halve, does this visit buy?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

DAY = 86_400_000_000
PAGES = ("Administrative", "Informational", "ProductRelated")
SEEN = ("month", *(f"pages {p}" for p in PAGES), "BounceRates", "ExitRates", "SpecialDay", "VisitorType", "Weekend",
        "TrafficType")  # fmt: skip
"""What is read of a visit beside the seconds by type of page."""


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


def visits(log: Any) -> Any:
    """Visits of `online_shoppers`, folded by type of page: does the visit end in a purchase?

    The file has one row of sums per visit, no clicks and no clock. The seconds on each type of page become its single
    event, a day before a decision that is the same for all; the rest is profile. So nothing here is a sequence.
    PageValues is left out: it is worked out of purchases, that of the visit itself perhaps among them.
    """
    from ethogram.log import Log

    told = log.table()
    n, type_ = len(told), np.arange(len(PAGES))
    seconds = np.stack([told[f"{p}_Duration"].to_numpy() for p in PAGES], 1).astype(np.float64)
    seen = np.stack([told[p].to_numpy() for p in PAGES], 1)
    moment = int(np.datetime64("2018-01-02", "us").astype(np.int64))
    visit, page = np.nonzero((seen > 0) | (type_ == len(PAGES) - 1))  # a visit without any page stays a case
    events = pa.table(
        {
            "user": told["user"].take(pa.array(visit)).combine_chunks(),
            "item": pa.array(PAGES).take(pa.array(page)),
            "time": pa.array(np.full(len(visit), moment - DAY), pa.timestamp("us", "UTC")),
            "value": seconds[visit, page],
        }
    )
    made = {"month": told["item"], **{f"pages {p}": seen[:, i].astype(np.float64) for i, p in enumerate(PAGES)}}
    made |= {name: told[name] for name in SEEN if name not in made}
    users = pa.table(
        {
            "user": told["user"], **made, "decided": pa.array(np.full(n, moment), pa.timestamp("us", "UTC")),
            "default": told["label"],
        }
    )  # fmt: skip
    return Log.open(events, users=users, **{name: name for name in ("user", "item", "time", "value")})


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
