"""``ethogram assess KEY LOG``: judge the behaviour in a log, with reasons."""

from __future__ import annotations

from json import loads
from pathlib import Path
from typing import Any

from ethogram.cli.asking import check_ending, worded, write
from ethogram.cli.judges import judging
from ethogram.cli.opening import Reading, describes, open_log
from ethogram.cli.options import Set
from ethogram.cli.output import Json, Output

SHOWN = 20


def assess(
    key: str,
    log: str,
    /,
    *,
    out: Path | None = None,
    sets: Set = (),
    json: Json = None,
    reading: Reading | None = None,
    **flags: str,
) -> None:
    """Judge the behaviour in a log, with reasons.

    Parameters
    ----------
    key
        The system, as in `ethogram systems`; or the folder of a saved one, for systems that learn (`ethogram fit`).
    log
        A log directory, a file or folder of events, or the name of a data set.
    out
        Also write the table to this file (.parquet or .csv).
    """
    say = Output(json)
    check_ending(out)
    built = judging(key, sets, flags)
    events = open_log(log, reading, say)
    say.line(f"{key}: judging {describes(events)}")
    found = built.assess(events)
    rows = found.to_pylist()
    if "accepted" in found.column_names:
        kept = sum(bool(r["accepted"]) for r in rows)
        say.line(f"{kept:,} of {len(rows):,} cases keep to it")
        rows = [r for r in rows if not r["accepted"]]
    whole = loads((found.schema.metadata or {}).get(b"summary", b"[]"))
    if whole:
        say.table(list(whole[0]), [list(r.values()) for r in whole])
    say.table(found.column_names, [[_cell(v) for v in r.values()] for r in rows[:SHOWN]])
    if len(rows) > SHOWN:
        say.line(f"... and {len(rows) - SHOWN:,} more (--out FILE, --json FILE)")
    if out is not None:
        write(found, out)
    say.result({"summary": whole, "cases": found.to_pylist()} if whole else found.to_pylist())


def _cell(value: Any) -> Any:
    return [worded(v) for v in value] if isinstance(value, list) else value
