"""Posts of investors on a social network, with the emotion that readers found in each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set

EMOTIONS = ("neutral", "happy", "sad", "anger", "disgust", "surprise", "fear")
"""Emotion by the file's number."""
_TICKER = re.compile(r"\$([A-Z]{1,5})\b")


@data_set(
    "investor_posts",
    what="10,000 real posts about shares, with the emotion in each; grouped by the share that a post names first",
    licence="MIT (the repository's)",
    origin="github.com/dvamossy/EmTract",
    get="put emtract/tagged_sample.parquet into the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class InvestorPosts:
    """The file names no authors. Posts that name the same share first stand as those of one `user` ("on AAPL"); posts
    that name none are those of "on nothing". Columns: `text`, `emotion`, order of the file.
    """

    def files(self) -> tuple[Path, ...]:
        return found("investor_posts", "emtract/tagged_sample.parquet")

    def read(self) -> Reading:
        table = pq.read_table(self.files()[0])
        body = table["body"].to_pylist()
        named = [m.group(1) if (m := _TICKER.search(t or "")) else "nothing" for t in body]
        events = pa.table(
            {
                "user": [f"on {n}" for n in named],
                "text": [" ".join((t or "").split()) for t in body],
                "emotion": [EMOTIONS[int(v)] for v in table["label"].to_pylist()],
                "kind": ["post"] * len(body),
                "order": np.arange(len(body)),
            }
        )
        return Reading(events, {"user": "user", "text": "text", "kind": "kind", "order": "order"})
