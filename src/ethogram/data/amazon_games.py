"""Amazon reviews of video games, with titles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set


@data_set(
    "amazon_games",
    what="147,861 reviews of 7,676 video games by 15,264 people, in order of time but without times; titles",
    licence="none stated; Amazon review data, for research",
    origin="github.com/Palpitate18/ULMRec",
    get="put games/events.parquet and games/items.parquet into the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class AmazonGames:
    """User, place in the user's history, item. Order is the only clock; items have a title."""

    def files(self) -> tuple[Path, ...]:
        return found("amazon_games", "games/events.parquet", "games/items.parquet")

    def read(self) -> Reading:
        events, items = (pq.read_table(f) for f in self.files())
        return Reading(events, {"user": "user_id", "item": "item_id", "order": "position"}, items)
