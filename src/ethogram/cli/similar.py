"""``ethogram similar MODEL --items ID,ID``: which items are like an item."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ethogram.cli.asking import check_ending, fitted, split, write
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError


def similar(
    model: Path,
    /,
    *,
    items: str = "",
    k: Annotated[int, Parameter(name=("-k", "--k"))] = 10,
    among: str | None = None,
    out: Path | None = None,
    json: Json = None,
) -> None:
    """Name the items that a saved system sees as most alike.

    Parameters
    ----------
    model
        Folder of a saved system.
    items
        The items asked about: ids separated by commas.
    k
        How many are named for each.
    among
        Only these items: ids separated by commas.
    out
        Also write the table to this file (.parquet or .csv).
    """
    from ethogram.log import Candidates

    say = Output(json)
    check_ending(out)
    asked = split(items)
    if not asked:
        raise OptionError("say which items: --items ID,ID,...")
    only = None if among is None else Candidates.of(split(among))
    found = fitted(model, "similar_items").similar_items(asked, k, among=only)
    rows = found.to_pylist()
    for query in dict.fromkeys(row["query"] for row in rows):
        told = [(r["rank"], str(r["item"]), r["similarity"]) for r in rows if r["query"] == query]
        say.table(("rank", "item", "similarity"), told, title=f"like {query}")
    if out is not None:
        write(found, out)
    say.result(rows)
