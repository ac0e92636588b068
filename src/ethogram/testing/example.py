"""A small log that has everything that trips systems up: ties, repeats, kinds, side tables, slates, rare items."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ethogram.log import Log

USERS, ITEMS = 60, 40
START = 1_700_000_000
"""Seconds since 1970 at which the log begins."""


def example(*, shuffled: bool = False, repeats: bool = True, exposures: bool = True, seed: int = 7) -> Log:
    """About 1,300 events of 60 people and 40 items in 4 categories; people keep to one or two categories.

    Parameters
    ----------
    shuffled : the rows come in another order; nothing that is known differs.
    repeats : people come back to items.
    exposures : also slates of 4 items, each with `label` and `weight`, one of them taken with a probability
        that depends on the person's category.
    """
    rng, chance = np.random.default_rng(seed), np.random.default_rng(seed + 2)
    rows: list[dict[str, object]] = []
    for user in range(USERS):
        taste = rng.permutation(4)[:2]
        clock, seen = START + int(rng.integers(0, 30 * 86_400)), set()
        for visit in range(int(rng.integers(3, 9))):
            clock += int(rng.integers(3_600, 5 * 86_400))
            wanted = [_item(rng, taste) for _ in range(int(rng.integers(1, 4)))]
            for item in dict.fromkeys(i for i in wanted if repeats or i not in seen):
                kind = "buy" if rng.random() < 0.4 else "view"
                rows.append(_row(user, item, clock, kind=kind, value=float(rng.integers(1, 6)), store=f"s{visit % 3}"))
                seen.add(item)
            if exposures and visit % 2:
                rows.extend(_slate(chance, user, taste, clock + 1_800, len(rows)))
    if shuffled:
        rows = [rows[i] for i in np.random.default_rng(seed + 1).permutation(len(rows))]
    if not exposures:
        rows = [{k: v for k, v in r.items() if k not in ("label", "weight", "slate")} for r in rows]
    return Log.open(pa.Table.from_pylist(rows), items=items())


def items() -> pa.Table:
    """The items' side table: id, category, price (one is missing)."""
    category = [f"c{i % 4}" for i in range(ITEMS)]
    price = [None if i == 5 else 1.0 + i / 4 for i in range(ITEMS)]
    return pa.table({"item": [_id(i) for i in range(ITEMS)], "category": category, "price": price})


def _id(item: int) -> int:
    return 1_000 + 7 * item


def _item(rng: np.random.Generator, taste: np.ndarray) -> int:
    category = taste[0] if rng.random() < 0.7 else taste[1]
    return int(4 * min(int(rng.geometric(0.25)) - 1, ITEMS // 4 - 1) + category)


def _slate(rng: np.random.Generator, user: int, taste: np.ndarray, clock: int, name: int) -> list[dict[str, object]]:
    shown = rng.permutation(ITEMS)[:4].tolist()
    chance = [0.6 if i % 4 == taste[0] else 0.15 for i in shown]
    return [
        _row(user, i, clock, kind="shown", store="s0", label=float(rng.random() < c), weight=w, slate=f"l{name}")
        for i, c, w in zip(shown, chance, (1.0, 1.0, 2.5, 2.5), strict=True)
    ]


def _row(user: int, item: int, clock: int, **more: object) -> dict[str, object]:
    empty: dict[str, object] = {"value": None, "label": None, "weight": None, "slate": None}
    return {"user": f"u{user:02d}", "item": _id(item), "time": clock, **empty, **more}
