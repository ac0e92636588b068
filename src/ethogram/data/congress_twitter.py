"""Who takes up whose posts among the members of the United States' Congress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pv

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set


@data_set(
    "congress_twitter",
    what="13,289 ties among 475 members of Congress: how likely one retweets, quotes, answers or names another",
    licence="none stated; published for research with C. G. Fink et al., Online Social Networks and Media 2023",
    origin="snap.stanford.edu/data/congress-twitter.html (February to June 2022)",
    get="put social/congress.edgelist into the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class CongressTwitter:
    """One row per tie: `user` takes up what `item`, a person, posted; `weight` is the chance that a post is taken up.

    The file tells ties from the influential to the influenced; here they lead from who acts to whose content it is.
    Assess with ``author=@item``. Kind: take_up.
    """

    def files(self) -> tuple[Path, ...]:
        return found("congress_twitter", "social/congress.edgelist")

    def read(self) -> Reading:
        read = pv.ReadOptions(column_names=["whose", "who", "weight", "nothing"])
        told = pv.read_csv(self.files()[0], read_options=read, parse_options=pv.ParseOptions(delimiter=" "))
        n = len(told)
        events = pa.table(
            {
                "user": told["who"], "item": told["whose"], "weight": told["weight"], "kind": ["take_up"] * n,
                "order": pa.array(range(n)),
            }
        )  # fmt: skip
        return Reading(events, {name: name for name in events.column_names})
