"""``ethogram recommend MODEL``: items for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ethogram.cli.asking import Lists, Source, Users, check_ending, fitted, histories, split, write
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError

SHOWN = ("question", "user", "item", "score", "rank", "status", "met")
"""Columns that every system answers with; others (`listed`) are its own."""
STATUS = {
    "hot": "",
    "warm": ", whom training did not meet: by what they did",
    "cold": ", of whom nothing is known: by what everybody does",
}
NEW = " (training never met it)"


def recommend(
    model: Path,
    /,
    *,
    users: Users = (),
    lists: Lists = (),
    log: Source = None,
    k: Annotated[int, Parameter(name=("-k", "--k"))] = 10,
    exclude_seen: bool | None = None,
    among: str | None = None,
    why: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
    json: Json = None,
) -> None:
    """Recommend items to users of the log or to strangers.

    Parameters
    ----------
    model
        Folder of a saved system.
    k
        How many items each gets.
    exclude_seen
        Leave out what they have met; if not given, where people hardly ever repeat (below 1%).
    among
        Only these items: ids separated by commas.
    why
        Say which past events speak for each item, where the system can.
    out
        Also write the table to this file (.parquet or .csv).
    """
    say = Output(json)
    check_ending(out)
    built = fitted(model, "recommend")
    asked = histories(model, users, lists, log, say)
    only = None if among is None else _among(among, built.recommend(asked[:0], k).schema.field("item").type)
    found = built.recommend(asked, k, exclude_seen=exclude_seen, among=only)
    rows = found.to_pylist()
    reasons: dict[tuple[int, object], str] = {}
    if why and "explain" in built.info.verbs:
        # an item that one person gets is explained to that person only
        lists_ = [[r["item"] for r in rows if r["question"] == q] for q in range(len(asked))]
        for row in built.explain(asked, _ragged(lists_), k=3).to_pylist():
            at = (row["question"], row["candidate"])
            reasons[at] = ", ".join(filter(None, (reasons.get(at), f"{row['item']} ({row['share']:.0%})")))
    elif why:
        say.line(f"({built.info.key} cannot say why)")
    for question in range(len(asked)):
        who = users[question] if users else f"a stranger who did {lists[question] or 'nothing'}"
        mine = [r for r in rows if r["question"] == question]
        who += STATUS.get(mine[0].get("status", ""), "") if mine else ": nothing is left to recommend"
        more = [n for n in found.column_names if n not in SHOWN]
        because = ["because of"] if reasons else []
        told = [
            (r["rank"], f"{r['item']}{'' if r.get('met', True) else NEW}", r["score"], *(r[n] for n in more),
             *(reasons.get((question, r["item"]), "") for _ in because)) for r in mine
        ]  # fmt: skip
        say.table(("rank", "item", "score", *more, *because), told, title=f"for {who}")
    if out is not None:
        write(found, out)
    say.result([{**r, **({"why": reasons.get((r["question"], r["item"]))} if why else {})} for r in rows])


def _among(text: str, kind: Any) -> Any:
    """Items typed by the caller as candidates, their ids of the type that the system answers in."""
    import pyarrow as pa

    from ethogram.log import Candidates

    try:
        ids = pa.array(split(text)).cast(kind)
    except pa.ArrowInvalid:
        raise OptionError(f"--among {text}: item ids of this system are of type {kind}.") from None
    return Candidates.of(ids.unique().to_pylist())


def _ragged(lists: list[list[Any]]) -> Any:
    import numpy as np

    from ethogram.log import Candidates, Vocabulary

    flat = [i for row in lists for i in row]
    ids = Vocabulary(list(dict.fromkeys(flat)))
    return Candidates(ids.encode(flat), ids, np.cumsum([0, *map(len, lists)]))
