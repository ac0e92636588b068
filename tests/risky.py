"""A small system that judges risk, and payments with a planted truth: what the tests of working with risk stand on.

People who pay lenders a lot default more often. A default shows within 90 days of the decision; after 90 it is known
that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from ethogram.log import Log
from ethogram.system import system
from ethogram.verbs import State, Table

DAY = 86_400_000_000
START = int(np.datetime64("2024-01-01", "us").astype(np.int64))
NAMES = ("share of payments to lenders", "mean payment")


@system(
    "lender_share", paper="none: a system of the tests", year=2026, area="risk", verbs=("assess",),
)  # fmt: skip
@dataclass(kw_only=True)
class LenderShare:
    """Logistic regression on two numbers."""

    outcome: str = "default"
    "Column of the users."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Any = None) -> Self:
        from sklearn.linear_model import LogisticRegression

        assert train.users is not None
        users, x = numbers(train)
        told = dict(zip(train.users["user"].to_pylist(), train.users[self.outcome].to_pylist(), strict=True))
        y = np.array([np.nan if told[u] is None else told[u] for u in users])
        known = ~np.isnan(y)
        learned = LogisticRegression().fit(x[known], y[known])
        self.fitted = np.r_[learned.coef_[0], learned.intercept_, x.mean(0)]
        return self

    def assess(self, log: Log) -> Table:
        users, x = numbers(log)
        parts = (x - self.fitted[3:]) * self.fitted[:2]
        risk = 1 / (1 + np.exp(-(x @ self.fitted[:2] + self.fitted[2])))
        total = np.maximum(np.abs(parts).sum(1), 1e-12)
        reasons = [
            [
                {"what": n, "value": f"{v:.2f}", "share": p / t}
                for n, v, p in sorted(zip(NAMES, row, part, strict=True), key=lambda r: -abs(r[2]))
            ]
            for row, part, t in zip(x, parts, total, strict=True)
        ]
        kind = pa.list_(pa.struct([("what", pa.string()), ("value", pa.string()), ("share", pa.float64())]))
        said = [f"{r[0]['what']} is {r[0]['value']}." for r in reasons]
        return pa.table({"user": users, "risk": risk, "reason": said, "reasons": pa.array(reasons, kind)})

    def state(self) -> State:
        return State(arrays={"learned": self.fitted})

    def restore(self, state: State) -> Self:
        self.fitted = np.asarray(state.arrays["learned"])
        return self


def numbers(log: Log) -> tuple[list[Any], np.ndarray]:
    """(users, [U, 2]) of a log."""
    rows = log.sequences()
    if "value" not in rows.columns:
        from ethogram.errors import RolesError

        raise RolesError("lender_share: no column is the value; it needs the amount of each payment.")
    names = np.array([str(i).startswith("lender") for i in rows.vocabularies["item"].ids.to_pylist()])
    lender = names[np.asarray(rows.columns["item"])]
    at = rows.find(rows.user)
    value = np.nan_to_num(np.asarray(rows.columns["value"], np.float64))
    n = rows.lengths
    users = rows.vocabularies["user"].decode(rows.users).to_pylist()
    return users, np.stack([np.bincount(at, lender, len(n)) / n, np.bincount(at, value, len(n)) / n / 100], 1)


def payments(n: int = 400, seed: int = 0, unfair: float = 0.0, censored: bool = True, evil: str = "") -> Log:
    """Payments of n people; outcomes as they are known 200 days after the first decision.

    Parameters
    ----------
    unfair : so much more is paid to lenders in the group "south", which default no more for it. evil : name of an item.
    """
    rng = np.random.default_rng(seed)
    group = rng.choice(["north", "south"], n)
    strain = rng.beta(2, 5, n)
    label = (rng.random(n) < 1 / (1 + np.exp(4 - 7 * strain))).astype(float)
    share = np.clip(strain + unfair * (group == "south"), 0, 1)
    decided = START + (rng.random(n) * 140 * DAY).astype(np.int64)
    known = decided + np.where(label == 1, rng.random(n) * 90 * DAY, 90 * DAY).astype(np.int64)
    hidden = censored & (known > START + 200 * DAY)
    count = rng.integers(8, 30, n)
    who = np.repeat(np.arange(n), count)
    lender = rng.random(len(who)) < share[who]
    shops = np.array(["rent", "grocer", evil or "cinema", "fuel"])
    items = np.where(
        lender, np.char.add("lender ", rng.integers(1, 4, len(who)).astype(str)), rng.choice(shops, len(who))
    )
    events = pa.table(
        {
            "user": np.char.add("u", np.char.zfill(who.astype(str), 4)),
            "item": items,
            "time": pa.array(
                decided[who] - (rng.random(len(who)) * 60 * DAY).astype(np.int64), pa.timestamp("us", "UTC")
            ),
            "value": np.round(np.exp(rng.normal(3.5, 0.8, len(who))), 2),
        }
    )
    users = pa.table(
        {
            "user": np.char.add("u", np.char.zfill(np.arange(n).astype(str), 4)),
            "loan": np.round(np.exp(rng.normal(7, 0.5, n))),
            "age": np.round(rng.uniform(20, 70, n)),
            "group": group,
            "decided": pa.array(decided, pa.timestamp("us", "UTC")),
            "known": pa.array(known, pa.timestamp("us", "UTC"), mask=hidden),
            "default": pa.array(label, mask=hidden),
        }
    )
    return Log.open(events, users=users)


@system(
    "gift_rings", paper="none: a system of the tests", year=2026, area="risk", verbs=("assess", "assign"),
)  # fmt: skip
@dataclass(kw_only=True)
class GiftRings:
    """Sessions with at least so many gift cards are cluster 0, with many visits to help cluster 1."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Any = None) -> Self:
        self.fitted = {"rate": 0.4}
        return self

    def table(self, log: Log) -> Table:
        held = log.table().to_pandas()
        made = held.groupby(["user", "session"], sort=True).agg(
            gifts=("item", lambda i: float((i == "gift card").sum())), amount=("value", "sum")
        )
        return pa.Table.from_pandas(made.reset_index(), preserve_index=False)

    def assign(self, log: Log) -> Table:
        rows = self.table(log)
        hit = rows["gifts"].to_numpy() >= 2
        risk = np.where(hit, 0.9, 0.05)
        label = pa.array(np.where(hit, 0, -1), pa.int32())
        told = {"cluster": label, "probability": np.where(hit, 1.0, 0.0), "risk": risk, "flagged": hit}
        return pa.table({"user": rows["user"], "session": rows["session"], **told})

    def assess(self, log: Log) -> Table:
        rows = self.assign(log)
        reason = ["Like a ring." if f else "Like nobody." for f in rows["flagged"].to_pylist()]
        return rows.append_column("reason", pa.array(reason))

    def cards(self) -> Table:
        return pa.table(
            {
                "cluster": pa.array([0, 1], pa.int32()), "size": [12, 9], "tag_rate": [0.5, 0.0], "lift": [9.0, 0.0],
                "risk": [0.9, 0.01], "flagged": [True, False], "at_risk": [500.0, 3.0],
                "rules": pa.array([[str(r) for r in self.mined()[0]], []], pa.list_(pa.string())),
                "narrative": ["12 sessions with gift cards.", None],
            }
        )  # fmt: skip

    def mined(self) -> dict[int, list[Any]]:
        from ethogram.numeric.rules import Condition, Rule

        return {0: [Rule((Condition("gifts", low=2), Condition("amount", low=100)))]}

    def state(self) -> State:
        return State(json=self.fitted)

    def restore(self, state: State) -> Self:
        self.fitted = dict(state.json)
        return self


def visits(n: int = 40, seed: int = 0) -> Log:
    """Sessions of shoppers; in every fifth two gift cards are bought, and half of these are tagged."""
    rng, rows = np.random.default_rng(seed), []
    for s in range(n):
        ring = s % 5 == 0
        items = ["home", *(["gift card", "gift card"] if ring else ["shoes"]), "checkout"]
        for step, item in enumerate(items):
            last = item == "checkout"
            rows.append(
                {
                    "user": f"a{s % 30}", "session": f"s{s}", "item": item, "kind": "pay" if last else "view",
                    "time": 1_700_000_000 + s * 3_600 + step * 20,
                    "value": float(rng.integers(150, 300)) if last else None,
                    "label": float(ring and s % 2 == 0) if last else None,
                }
            )  # fmt: skip
    return Log.open(pa.Table.from_pylist(rows))
