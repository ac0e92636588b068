"""Who follows whom among some people of Twitter."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pv

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set


@data_set(
    "twitter_follows",
    what="1,269 follows among 196 people",
    licence="Apache-2.0 (the repository's); of the file's columns only who follows whom is read",
    origin="github.com/camel-ai/oasis, data/twitter_dataset/group_polarization/197_progressive.csv",
    get="put oasis/197_progressive.csv into the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class TwitterFollows:
    """Kind: follow; items are people: assess with ``author=@item`` and ``ties=follows``."""

    def files(self) -> tuple[Path, ...]:
        return found("twitter_follows", "oasis/197_progressive.csv")

    def read(self) -> Reading:
        column = "following_agentid_list"
        parse = pv.ParseOptions(newlines_in_values=True)
        only = pv.ConvertOptions(include_columns=[column], column_types={column: pa.string()})
        told = pv.read_csv(self.files()[0], parse_options=parse, convert_options=only)[column].to_pylist()
        pairs = [(i, int(j)) for i, follows in enumerate(told) for j in ast.literal_eval(follows)]
        events = pa.table(
            {
                "user": [i for i, _ in pairs], "item": [j for _, j in pairs], "kind": ["follow"] * len(pairs),
                "order": pa.array(range(len(pairs))),
            }
        )  # fmt: skip
        return Reading(events, {name: name for name in events.column_names})
