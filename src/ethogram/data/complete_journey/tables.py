"""The tables of The Complete Journey, read by DuckDB from the Parquet files of the installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.data.complete_journey.words import titles

PURCHASE, EXPOSURE = "purchase", "exposure"
LOCATIONS = {
    "1": "store front",
    "2": "store rear",
    "3": "front end cap",
    "4": "mid-aisle end cap",
    "5": "rear end cap",
    "6": "side-aisle end cap",
    "7": "in-aisle",
    "9": "secondary location",
    "A": "in-shelf",
}
"""Codes of promotions.display_location as the study documents them; "0" is not on display."""

ROLES = {
    "user": "household_id",
    "item": "product_id",
    "time": "transaction_timestamp",
    "kind": "kind",
    "value": "sales_value",
    "label": "label",
    "weight": "weight",
    "slate": "basket_id",
}
EVENTS = pa.schema(
    [
        ("household_id", pa.int64()),
        ("product_id", pa.int64()),
        ("transaction_timestamp", pa.timestamp("us")),
        ("kind", pa.dictionary(pa.int8(), pa.string())),
        ("sales_value", pa.float32()),
        ("label", pa.float32()),
        ("weight", pa.float32()),
        ("basket_id", pa.int64()),
        ("store_id", pa.int64()),
        ("week", pa.int64()),
        ("quantity", pa.int64()),
        ("display_location", pa.dictionary(pa.int8(), pa.string())),
    ]
)


def baskets(transactions: Path) -> pa.Table:
    """All 155,848 baskets by id: basket_id, household_id, store_id, week, transaction_timestamp."""
    return query(
        """SELECT basket_id, any_value(household_id) AS household_id, any_value(store_id) AS store_id,
            any_value(week) AS week, any_value(transaction_timestamp) AS transaction_timestamp
            FROM read_parquet($file) GROUP BY basket_id ORDER BY basket_id""",
        file=transactions,
    )


def purchases(transactions: Path, households: np.ndarray) -> pa.Table:
    """One row per product in a basket of these households, by basket and product; schema `EVENTS`."""
    found = query(
        """SELECT household_id, product_id, transaction_timestamp, sales_value, basket_id, store_id, week, quantity
            FROM read_parquet($file) WHERE household_id IN (SELECT unnest($households::BIGINT[]))
            ORDER BY basket_id, product_id""",
        file=transactions,
        households=households.tolist(),
    )
    return complete(found, PURCHASE)


def displays(promotions: Path, baskets: pa.Table) -> pa.Table:
    """What stood on display where and when these baskets were filled, by store, week and product.

    Columns store_id, week, product_id, location (place in `LOCATIONS`). A product that a store listed twice in
    a week (two mailer pages) is one row.
    """
    here = baskets.select(["store_id", "week"]).group_by(["store_id", "week"]).aggregate([])
    codes = "".join(LOCATIONS)
    return query(
        """SELECT store_id, week, product_id, (min(strpos($codes, display_location)) - 1)::TINYINT AS location
            FROM read_parquet($file) SEMI JOIN here USING (store_id, week)
            WHERE display_location <> '0' GROUP BY ALL ORDER BY store_id, week, product_id""",
        views={"here": here},
        file=promotions,
        codes=codes,
    )


def items(products: Path) -> pa.Table:
    """Side table of the products. The manufacturer's number is text: it is a name and not an amount."""
    found = query(
        """SELECT product_id AS item, department, brand, product_category, product_type, package_size,
            manufacturer_id::VARCHAR AS manufacturer_id FROM read_parquet($file) ORDER BY product_id""",
        file=products,
    )
    told = (found[c].to_pylist() for c in ("product_category", "product_type", "package_size", "department"))
    return found.add_column(1, "title", pa.array(titles(zip(*told, strict=True))))


def users(demographics: Path) -> pa.Table:
    """Side table of the 801 households whose demographics are known."""
    return query(
        "SELECT household_id AS user, * EXCLUDE (household_id) FROM read_parquet($file) ORDER BY household_id",
        file=demographics,
    )


def complete(found: pa.Table, kind: str) -> pa.Table:
    """The rows in schema `EVENTS`, null where a kind of event has no such column."""
    n = len(found)
    told = {"kind": pa.DictionaryArray.from_arrays(np.zeros(n, np.int8), [kind])}
    columns = [told.get(f.name, found[f.name] if f.name in found.column_names else pa.nulls(n, f.type)) for f in EVENTS]
    return pa.Table.from_arrays([c.cast(f.type) for c, f in zip(columns, EVENTS, strict=True)], schema=EVENTS)


def query(sql: str, *, views: dict[str, pa.Table] | None = None, file: Path, **values: Any) -> pa.Table:
    from ethogram.log.engine import DuckDB

    cursor = DuckDB().connection().cursor()  # its views are nobody else's
    try:
        for name, table in (views or {}).items():
            cursor.register(name, table)
        # not cursor.execute(...).to_arrow_table(): with preserve_insertion_order off that loses even ORDER BY
        return cursor.sql(sql, params={"file": str(file), **values}).to_arrow_table()
    finally:
        cursor.close()
