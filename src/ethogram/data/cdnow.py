"""CDNOW: every purchase of the customers who first bought at an online music shop in the first quarter of 1997."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set
from ethogram.errors import SourceError

COLUMNS = ("customer_id", "date", "number_of_cds", "dollar_value")


@data_set(
    "cdnow",
    what="69,659 purchases of CDs by 23,570 customers over 18 months: day, number of CDs, dollars",
    licence="MIT (the repository's); a teaching data set",
    origin="github.com/CamDavidsonPilon/lifetimes, CDNOW_master.txt",
    get="put purchases/CDNOW_master.txt into the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class CDNow:
    """An event is a purchase: value = dollars (0 for a few), `quantity` = CDs, time = midnight (UTC) of its day.

    What was bought is not recorded, so there is one item, "cd". Users are the customers' numbers, as integers. Several
    purchases of a day stay several events with one time. From 1997-01-01 to 1998-06-30; everybody's first purchase
    lies in the first quarter of 1997, before which nobody was a customer.
    """

    def files(self) -> tuple[Path, ...]:
        return found("cdnow", "purchases/CDNOW_master.txt")

    def read(self) -> Reading:
        path = self.files()[0]
        # the columns stand under each other, behind a varying number of blanks
        told = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
        wrong = next((n for n, line in enumerate(told, 1) if len(line) != len(COLUMNS)), None)
        if not told or tuple(told[0]) != COLUMNS or wrong:
            raise SourceError(f"{path}, line {wrong or 1}: not the four columns {' '.join(COLUMNS)}.")
        number = np.array(told[1:], dtype=np.float64).reshape(-1, len(COLUMNS))
        day = pc.strptime(pa.array([line[1] for line in told[1:]]), format="%Y%m%d", unit="s")
        events = pa.table(
            {
                "user": number[:, 0].astype(np.int64),
                "item": pa.array(["cd"]).take(pa.array(np.zeros(len(number), np.int32))),
                "time": pc.assume_timezone(day, "UTC"),
                "value": number[:, 3],
                "quantity": number[:, 2].astype(np.int32),
            }
        )
        return Reading(events, {name: name for name in events.column_names if name != "quantity"})
