"""Visits of an online shop with what was seen in each, and whether it ended in a purchase."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set

BOUGHT = "Revenue"
CODES = ("OperatingSystems", "Browser", "Region", "TrafficType")


@data_set(
    "online_shoppers",
    what="12,330 real visits of a shop: pages and seconds by type of page, bounce and exit rates, purchase or not",
    licence="CC BY 4.0 (UCI; the copy's repository names none)",
    origin="UCI Machine Learning Repository, Online Shoppers Purchasing Intention (Sakar, Kastro 2018)",
    get="put sessions/online_shoppers_intention.csv into the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class OnlineShoppers:
    """One event per visit, of kind ``visit`` and item its month: the file has no clicks, no clock and no people.

    `user` and `session` are the number of the visit; `label` is 1 for a purchase; all other columns are the file's, the
    codes of system, browser, region and source of traffic as text.
    """

    def files(self) -> tuple[Path, ...]:
        return found("online_shoppers", "sessions/online_shoppers_intention.csv")

    def read(self) -> Reading:
        table = pa.csv.read_csv(self.files()[0], parse_options=pa.csv.ParseOptions(delimiter=";"))
        n = table.num_rows
        made = {
            "user": [f"v{i:05d}" for i in range(n)],
            "session": np.arange(n),
            "order": np.arange(n),
            "item": table["Month"],
            "kind": ["visit"] * n,
            "label": pc.cast(table[BOUGHT], pa.int8()).cast(pa.float64()),
        }
        for name in table.column_names:
            if name in (BOUGHT, "Month"):
                continue
            held = table[name]
            if pa.types.is_boolean(held.type):
                held = held.cast(pa.int8())
            made[name] = held.cast(pa.string()) if name in CODES else held
        return Reading(pa.table(made), {r: r for r in ("user", "session", "order", "item", "kind", "label")})
