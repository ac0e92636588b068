"""``ethogram assess KEY LOG``: judge the behaviour in a log, with reasons."""

from __future__ import annotations

from json import loads
from pathlib import Path

from ethogram.cli.asking import check_ending, fitted, write
from ethogram.cli.opening import Reading, describes, open_log
from ethogram.cli.options import Set, make
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError
from ethogram.saving import HEAD

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
        The system, as in `ethogram systems`; or the folder of a saved one.
    log
        A log directory, a file or folder of events, or the name of a data set.
    out
        Also write the table to this file (.parquet or .csv).
    """
    from ethogram.system import info

    say = Output(json)
    check_ending(out)
    if (Path(key) / HEAD).is_file():
        if sets or flags:
            raise OptionError(f"{key} is a saved system; its options cannot be changed any more.")
        built = fitted(Path(key), "assess")
        key = built.info.key
    elif "assess" not in info(key).verbs:
        raise OptionError(f"{key} cannot assess; its verbs are {', '.join(info(key).verbs)}.")
    else:
        built = make(key, sets, flags)
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
    say.table(found.column_names, [list(r.values()) for r in rows[:SHOWN]])
    if len(rows) > SHOWN:
        say.line(f"... and {len(rows) - SHOWN:,} more (--out FILE, --json FILE)")
    if out is not None:
        flat = [c for c in found.column_names if str(found.schema.field(c).type).startswith("list")]
        for name in flat if out.suffix == ".csv" else ():
            place = found.column_names.index(name)
            told = [" ".join(map(str, v)) for v in found.column(name).to_pylist()]
            found = found.set_column(place, name, [told])
        write(found, out)
    say.result({"summary": whole, "cases": found.to_pylist()} if whole else found.to_pylist())
