"""``ethogram compare``: records or systems side by side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ethogram.cli.evaluate import Store, judge, name_of, scorer, tell_ties
from ethogram.cli.opening import LogName, Reading, describes, open_log
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError

if TYPE_CHECKING:
    from ethogram.evaluate import Record


def compare(
    *arms: str,
    log: LogName | None = None,
    protocol: Literal["temporal", "leave-last-out", "by-user", "within-user", "new-user", "new-item"] | None = None,
    ties: Literal["groups", "order"] = "groups",
    reference: str | None = None,
    metric: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    seed: int = 0,
    store: Store = None,
    json: Json = None,
    reading: Reading | None = None,
) -> None:
    """Compare systems on the same questions; differences are paired over users.

    Parameters
    ----------
    arms
        Folders of records (or of stores with records), or, with --log, systems to run now, with options after a
        colon where wanted: als:factors=32,alpha=5. A system with a vector per user stands twice, with users as they
        were trained and folded in from their histories, unless its option fold_in is given.
    log
        A log directory, a file or folder of events, or the name of a data set, for systems to run on.
    protocol
        How the log is cut; temporal if not given and the log has a clock.
    ties
        groups: events of one user with equal time are one unordered group. order: the order of the rows is taken
        for the truth.
    reference
        The arm that the others are compared with; the first if not given.
    metric
        Only these metrics; can be repeated.
    seed
        Seed of the training.
    """
    from ethogram.evaluate import compare as side_by_side

    out = Output(json)
    if not arms:
        raise OptionError("compare: give records, or --log LOG and systems.")
    if log is None:
        records = [r for arm in arms for r in load(Path(arm))]
    else:
        built = [one for arm in arms for one in systems_of(arm)]
        events = open_log(log, reading, out)
        out.line(f"log: {describes(events)}")
        if ties == "order":
            tell_ties(events, protocol, out)
            events = events.ties("order")
        how = {"seed": seed, "data": name_of(log), "store": store}
        records = [judge(one, events, protocol, out, **how) for one in built]
    found = side_by_side(records, reference=reference, metrics=metric or None)
    rows = [[m, *(_cell(found.row(arm, m)) for arm in found.arms)] for m in found.metrics]
    told = f"difference from {found.reference} in brackets; * p < 0.05, paired bootstrap over users"
    out.table(["metric", *found.arms], rows, title=told)
    for note in found.notes:
        out.line(note)
    out.result({"reference": found.reference, "rows": found.table.to_pylist(), "notes": found.notes})


def systems_of(arm: str) -> list[Any]:
    """The systems that an arm such as ``als:factors=32,alpha=5`` names."""
    key, _, told = arm.partition(":")
    # a comma that no option's name follows belongs to a value: hidden=128,64
    sets = re.split(r",(?=\w+=)", told) if told else []
    built = scorer(key, sets)
    if getattr(built, "fold_in", "always") == "always" or any(s.startswith("fold_in=") for s in sets):
        return [built]
    return [built, scorer(key, [*sets, "fold_in=always"])]


def load(path: Path) -> list[Record]:
    """A record, or all of a store."""
    from ethogram.evaluate import Record, RecordStore

    if path.is_dir() and not (path / "record.json").exists() and (found := list(RecordStore(path))):
        return found
    if not path.exists():
        raise OptionError(f"compare: there is no record '{path}'; to run systems now, give --log.")
    return [Record.load(path)]


def _cell(row: dict[str, float | None]) -> str:
    if row["value"] is None:
        return "-"
    gap = "" if row["difference"] is None else f" ({row['difference']:+.4f}{_star(row['p'])})"
    return f"{row['value']:.4f}{gap}"


def _star(p: float | None) -> str:
    return "*" if p is not None and p < 0.05 else ""
