"""Who wrote to whom on a network of students."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pv

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set


@data_set(
    "college_messages",
    what="59,835 private messages among 1,899 students over half a year",
    licence="none stated; published for research with P. Panzarasa et al., JASIST 2009",
    origin="snap.stanford.edu/data/CollegeMsg.html (University of California, Irvine; April to October 2004)",
    get="put social/CollegeMsg.txt into the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class CollegeMessages:
    """Items are people: assess with ``author=@item``. Kind: message."""

    def files(self) -> tuple[Path, ...]:
        return found("college_messages", "social/CollegeMsg.txt")

    def read(self) -> Reading:
        read = pv.ReadOptions(column_names=["user", "item", "time"], skip_rows=self._header())
        told = pv.read_csv(self.files()[0], read_options=read, parse_options=pv.ParseOptions(delimiter=" "))
        time = told["time"].cast(pa.timestamp("s", "UTC"))
        events = pa.table({"user": told["user"], "item": told["item"], "time": time, "kind": ["message"] * len(told)})
        return Reading(events, {name: name for name in events.column_names})

    def _header(self) -> int:
        with self.files()[0].open(encoding="utf-8") as file:
            return int(not file.readline()[:1].isdigit())
