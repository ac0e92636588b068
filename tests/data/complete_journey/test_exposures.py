"""Sampling on a town that fits on a page: two stores, three baskets that can be checked by hand."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from ethogram.data.complete_journey.exposures import sample
from ethogram.data.complete_journey.tables import EVENTS

NOON = dt.datetime(2017, 1, 1, 12)
SHOWN = {(7, 1): [10, 20, 30, 40, 50, 60], (8, 1): [10, 99], (7, 2): [20]}


def baskets(rows: list[tuple[int, int, int, int]]) -> pa.Table:
    """Rows of (basket, household, store, week)."""
    found = dict(
        zip(("basket_id", "household_id", "store_id", "week"), map(list, zip(*rows, strict=True)), strict=True)
    )
    return pa.table({**found, "transaction_timestamp": pa.array([NOON] * len(rows), pa.timestamp("us"))})


def purchases(rows: list[tuple[int, int]]) -> pa.Table:
    """Rows of (basket, product), sorted."""
    return pa.table({"basket_id": [b for b, _ in rows], "product_id": [p for _, p in rows]})


def displays() -> pa.Table:
    rows = [(s, w, p) for (s, w), products in sorted(SHOWN.items()) for p in products]
    store, week, product = zip(*rows, strict=True)
    where = pa.array([p // 10 % 9 for p in product], pa.int8())
    return pa.table({"store_id": store, "week": week, "product_id": product, "location": where})


BASKETS = baskets([(1, 100, 7, 1), (2, 101, 8, 1), (3, 100, 7, 2), (4, 102, 9, 1), (5, 103, 7, 1)])
PURCHASES = purchases([(1, 20), (1, 50), (1, 77), (2, 10), (2, 99), (3, 10), (4, 10), (5, 5)])
ALL = np.ones(5, bool)


def run(asked=ALL, negatives=3, most=None, seed=0) -> list[dict]:
    made = sample(BASKETS, asked, PURCHASES, displays(), negatives, most, seed)
    assert made.schema == EVENTS
    return made.to_pylist()


def of(rows: list[dict], basket: int) -> dict[int, tuple[float, float]]:
    return {r["product_id"]: (r["label"], r["weight"]) for r in rows if r["basket_id"] == basket}


def test_what_was_displayed_and_bought_is_kept_and_the_others_weigh_for_the_rest():
    rows = of(run(), 1)
    assert {p: v for p, v in rows.items() if v[0] == 1} == {20: (1, 1), 50: (1, 1)}
    no = {p: v for p, v in rows.items() if v[0] == 0}
    assert len(no) == 3
    assert set(no) < {10, 30, 40, 60}
    assert all(weight == pytest.approx(4 / 3) for _, weight in no.values())


def test_all_displayed_products_bought_leaves_no_negatives():
    assert of(run(), 2) == {10: (1, 1), 99: (1, 1)}


def test_nothing_displayed_bought_is_a_question_too():
    assert of(run(), 3) == {20: (0, 1)}
    assert sum(weight for _, weight in of(run(), 5).values()) == pytest.approx(6)


def test_a_store_without_displays_asks_nothing():
    assert of(run(), 4) == {}


def test_context_is_the_baskets_and_outcomes_are_empty():
    for row in run():
        store, week = {1: (7, 1), 2: (8, 1), 3: (7, 2), 5: (7, 1)}[row["basket_id"]]
        assert (row["store_id"], row["week"], row["transaction_timestamp"]) == (store, week, NOON)
        assert row["kind"] == "exposure"
        assert row["sales_value"] is None
        assert row["quantity"] is None
        assert row["product_id"] in SHOWN[store, week]
    assert [r["display_location"] for r in run() if r["basket_id"] == 2] == ["store rear", "store front"]


def test_rows_stand_by_basket_and_product():
    rows = [(r["basket_id"], r["product_id"]) for r in run()]
    assert rows == sorted(rows)


def test_draws_do_not_depend_on_what_else_is_asked():
    everything = run()
    alone = run(asked=np.array([False, False, False, False, True]))
    assert alone == [r for r in everything if r["basket_id"] == 5]
    assert any(run(seed=s) != everything for s in range(1, 4))


def test_at_most_so_many_baskets_nested():
    kept = [{r["basket_id"] for r in run(most=m, seed=1)} for m in (1, 2, 3, 4, 9)]
    assert [len(k) for k in kept] == [1, 2, 3, 4, 4]
    assert all(a <= b for a, b in pairwise(kept))


def test_no_basket_asked_gives_no_rows():
    assert run(asked=~ALL) == []
