"""``ethogram log``: import, describe, convert, append, export."""

from __future__ import annotations

from pathlib import Path

from ethogram.cli.asking import check_ending, write
from ethogram.cli.opening import Reading, as_flags, describes, ingest, open_log, told
from ethogram.cli.output import Json, Output
from ethogram.errors import LogFormatError


def import_(source: str, /, *, out: Path, json: Json = None, reading: Reading | None = None) -> None:
    """Read a file or folder of events into a log directory; what is larger than memory is sorted on disk.

    Parameters
    ----------
    source
        CSV, TSV, JSONL, Parquet, an atomic file (.inter), or lines of `user item item ...`; a folder of such files or
        a pattern in quotes, 'part-*.csv.gz'.
    out
        The folder to write; it must not hold a log yet.
    """
    say = Output(json)
    if (out / "log.toml").exists():
        raise LogFormatError(f"{out} is a log already; add to it with `ethogram log append`, or choose another folder.")
    stored = ingest(source, out, reading, say)
    say.line(f"{describes(stored)} written to {out}")
    say.result({"path": str(out), **stored.describe()})


def describe_(log: str, /, *, json: Json = None, reading: Reading | None = None) -> None:
    """Say what is in a log.

    Parameters
    ----------
    log
        A log directory, a file or folder of events, or the name of a data set.
    """
    say = Output(json)
    facts = open_log(log, reading, say).describe()
    say.facts({n.replace("_", " "): v for n, v in facts.items()})
    say.result(facts)


def convert_(source: str, out: Path, /, *, json: Json = None, reading: Reading | None = None) -> None:
    """Write a log's events as one table with the caller's ids.

    Parameters
    ----------
    source
        A log directory, a file or folder of events, or the name of a data set.
    out
        The file to write: .parquet or .csv.
    """
    say = Output(json)
    check_ending(out)
    log = open_log(source, reading, say)
    table = log.table()
    write(table.drop_columns([c for c in table.column_names if c in ("user_code", "item_code")]), out)
    say.line(f"{describes(log)} written to {out}")
    say.result({"path": str(out), "events": table.num_rows, "columns": table.column_names})


def append_(log: Path, source: str, /, *, json: Json = None, reading: Reading | None = None) -> None:
    """Add the events of a file to a log directory.

    Parameters
    ----------
    log
        The log directory.
    source
        The events to add.
    """
    from ethogram.log import Log

    say = Output(json)
    if log.is_file():
        raise LogFormatError(f"{log} is a file; make a log of it first: ethogram log import {log} --out DIR.")
    before = Log.open(log)
    with as_flags():
        after = before.append(source, **(reading or Reading()).given())
    added = len(after.events) - len(before.events)
    say.line(f"{added:,} events added to {log}: {describes(after)}")
    if sum(after.events.quarantined.values()) > sum(before.events.quarantined.values()):
        told(after, say)
    say.result({"path": str(log), "added": added, **after.describe()})


def export_(store: str, out: Path, /, *, attribution: str = "30m", json: Json = None) -> None:
    """Write what a service stored as a log: events, and what was shown with the answers that came.

    Parameters
    ----------
    store
        The service's store: lmdb:PATH or redis://HOST:PORT/NUMBER; the service may go on running.
    out
        The folder to write; the next export into it goes on where this one ends.
    attribution
        Time within which an event answers what was shown, such as 30m or 2h.
    """
    from ethogram.log.condition import duration
    from ethogram.serve.export import export
    from ethogram.serve.opening import open_store

    say = Output(json)
    window = duration(attribution)
    held = open_store(store)
    try:
        done = export(held, out, window=window)
    finally:
        held.close()
    say.line(f"{done.events:,} events and {done.slates:,} answered lists written to {out}; {done.open:,} still wait")
    say.result({"events": done.events, "slates": done.slates, "place": done.place, "open": done.open})
