"""What a simulated period was worth: per household sums, and effects of an adviser with intervals.

An outcome is a ratio of two sums over households (repeated items over items, spending over households), so that it can
be resampled. Effects are paired: the same households with the same luck, with and without an adviser. Intervals are
percentiles over households drawn with replacement and, where there are several, over seeds drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import WorldError
from ethogram.evaluate import bootstrap as boot
from ethogram.world.people.households import Households
from ethogram.world.people.shoppers import BUY, SHOW
from ethogram.world.world import World

OUTCOMES = (
    "purchases", "spending", "repeat share", "new items", "categories", "category entropy", "share outside the top 1%",
)  # fmt: skip
Sums = dict[str, tuple[np.ndarray, np.ndarray]]
"""Outcome -> (over, under), float64[rows] each."""


def outcomes(world: World, people: Households) -> tuple[Sums, dict[str, float]]:
    """Sums of each row, and facts of the whole: how much of the catalogue was bought and shown."""
    table = world.log(kinds=[BUY]).table()
    rows, item = table["user"].to_numpy().astype(np.int64), table["item"].to_numpy().astype(np.int64)
    value, n = table["value"].to_numpy().astype(float), world.people
    p = people.purchases
    groups = list(p.groups.values())
    group = groups[min(1, len(groups) - 1)] if groups else np.arange(p.catalogue)
    one = np.ones(n)
    count = np.bincount(rows, minlength=n).astype(float)
    household = world.state["household"].astype(np.int64)
    # the first time in the simulation, and never in the real past
    _, first = np.unique(rows * p.catalogue + item, return_index=True)
    known = np.isin(household[rows[first]] * p.catalogue + item[first], people.tastes.record.keys)
    fresh = np.bincount(rows[first], ~known, n)
    pair, times = np.unique(rows * (int(group.max()) + 1) + group[item], return_counts=True)
    whose = pair // (int(group.max()) + 1)
    share = times / count[whose]
    sold = np.bincount(p.item, minlength=p.catalogue)
    top = np.argsort(-sold, kind="stable")[: max(p.catalogue // 100, 1)]
    tail = np.bincount(rows, ~np.isin(item, top), n)
    sums: Sums = {
        "purchases": (count, one), "spending": (np.bincount(rows, value, n), one),
        "repeat share": (count - fresh, count), "new items": (fresh, one),
        "categories": (np.bincount(whose, minlength=n).astype(float), one),
        "category entropy": (np.bincount(whose, -share * np.log(share), n), one),
        "share outside the top 1%": (tail, count),
    }  # fmt: skip
    facts = {"items bought": float(len(np.unique(item))), "trips a household": float(_trips(table) / n)}
    return sums, facts | _shown(world, rows, item, table)


def _trips(table: Any) -> int:
    return len(table.group_by(["user", "time"]).aggregate([]))


def _shown(world: World, rows: np.ndarray, item: np.ndarray, bought: Any) -> dict[str, float]:
    """How many items were shown, and which part of what was shown was bought on the same trip."""
    try:
        shown = world.log(kinds=[SHOW]).table()
    except WorldError:
        return {}
    whom, what = shown["user"].to_numpy().astype(np.int64), shown["item"].to_numpy().astype(np.int64)
    day = [t["time"].to_numpy().astype("datetime64[D]").astype(np.int64) for t in (shown, bought)]
    keys = [(r << 40) + (i << 16) + d % 2**16 for r, i, d in ((whom, what, day[0]), (rows, item, day[1]))]
    hit = np.isin(keys[0], keys[1])
    return {
        "items shown": float(len(np.unique(what))),
        "shown": float(len(shown)),
        "bought of shown": float(hit.mean()),
    }


def effects(
    arms: Mapping[str, Sequence[Sums]], reference: str, *, resamples: int = boot.RESAMPLES, seed: int = 0
) -> list[dict[str, Any]]:
    """A row for each arm and outcome: `value` with `low`, `high`, and beside the reference `difference` with
    `difference_low`, `difference_high` and `p`, and the same as shares of the reference's value (`change` ...).

    Parameters
    ----------
    arms : name -> the sums of each seed, in the same order of seeds and rows.
    """
    drawn: dict[tuple[str, str], np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    luck = np.random.default_rng([seed, 1])
    seeds = len(arms[reference])
    picks = luck.multinomial(seeds, np.full(seeds, 1 / seeds), resamples)
    for name, runs in arms.items():
        for what in OUTCOMES:
            over, under = (np.stack([r[what][i] for r in runs], 1) for i in (0, 1))
            sums = boot.sums(np.concatenate([over, under], 1), resamples, seed)
            drawn[name, what] = (sums[:, :seeds] * picks).sum(1) / np.maximum((sums[:, seeds:] * picks).sum(1), 1e-300)
            value = float(over.sum() / max(under.sum(), 1e-300))
            found = boot.interval(value, drawn[name, what])
            by_seed = (over.sum(0) / np.maximum(under.sum(0), 1e-300)).tolist()
            rows.append({"arm": name, "outcome": what, **found._asdict(), "by seed": by_seed})
    base = {r["outcome"]: r["value"] for r in rows if r["arm"] == reference}
    for row in rows:
        if row["arm"] != reference:
            at = row["outcome"]
            gap = boot.difference(row["value"] - base[at], drawn[row["arm"], at] - drawn[reference, at])
            row |= {"difference": gap.value, "difference_low": gap.low, "difference_high": gap.high, "p": gap.p}
            share = 1 / base[at] if base[at] else float("nan")
            row |= {"change": gap.value * share, "change_low": gap.low * share, "change_high": gap.high * share}
    return rows
