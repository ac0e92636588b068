"""Amazon reviews of beauty products, every user and item with at least five: the field's small benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set


@data_set(
    "amazon_beauty",
    what="198,502 reviews of 12,101 beauty products by 22,363 people, in order of time but without times",
    licence="Amazon review data, for research; the packaging repository is MIT",
    origin="github.com/QinHsiu/ICSRec, data/Beauty.txt (5-core of the 2014 Amazon review data)",
    get="save Beauty.txt as sequences/amazon-beauty.txt in the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class AmazonBeauty:
    """One line per user: the user, then the items in order of time. Order is the only clock."""

    def files(self) -> tuple[Path, ...]:
        return found("amazon_beauty", "sequences/amazon-beauty.txt")

    def read(self) -> Reading:
        return Reading(self.files()[0], {})
