"""How commands open logs: a log directory, a file or folder of events, or the name of a data set."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ethogram.cli.output import Output
from ethogram.errors import OptionError, RolesError, SourceError, nearest

if TYPE_CHECKING:
    from ethogram.log import Log


LogName = Annotated[str, Parameter(name=("--log", "--data"))]


@Parameter(name="*", group="Reading")
@dataclass(kw_only=True)
class Reading:
    """How a source that is no log directory is read."""

    user: str | None = None
    "Column of who behaved; this and the following are guessed by common names if not given."
    item: str | None = None
    "Column of what they met."
    time: str | None = None
    "Column of when: ISO text, dates, unix seconds, milliseconds or microseconds."
    order: str | None = None
    "Column of a rank where there is no clock; @row takes the order of the rows."
    kind: str | None = None
    "Column of the kind of event."
    value: str | None = None
    "Column of how much: rating, amount, dwell."
    label: str | None = None
    "Column of the answer to predict."
    weight: str | None = None
    "Column of how many events one stands for."
    session: str | None = None
    "Column of the visit."
    slate: str | None = None
    "Column of the list that was shown together."
    position: str | None = None
    "Column of the place in that list."
    propensity: str | None = None
    "Column of the probability with which the item was chosen."
    event: str | None = None
    "Column of unique integer ids of the events."
    header: bool = True
    "Whether the first line names the columns; without, roles name columns by number: --no-header --user 1."
    tz: str | None = None
    "Zone of times that name none, such as Europe/Berlin, or the column that names each row's; UTC if not given."
    items: str | None = None
    "File with a row per item, its id first."
    users: str | None = None
    "File with a row per user, the id first."
    strict: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    "Refuse the source if any row has to be set aside."
    engine: str = "duckdb"
    "Program that runs relational steps: duckdb or polars."

    def given(self) -> dict[str, Any]:
        """Arguments for `Log.open` that differ from its defaults."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default}


def open_log(source: str, reading: Reading | None, out: Output) -> Log:
    """Open a log and say what was guessed and what was set aside.

    A data set may have options behind its name: ``complete_journey:households=400,max_baskets=5000``.

    Raises
    ------
    SourceError
        There is neither a file nor a data set of that name.
    """
    from ethogram.log import Log

    reading = reading or Reading()
    from ethogram.log.finding import there

    if not there(Path(source).expanduser()):
        from ethogram import data

        name, _, given = source.partition(":")
        if name in data.names():
            return data.load(name, **_options(name, given))
        raise SourceError(
            f"there is no file or folder '{source}', nor a data set of that name.{nearest(name, data.names())}"
        )
    from ethogram.log import messages

    place = Path(source).expanduser()
    if messages.holds_records(place):
        if given := [f"--{name}" for name in reading.given()]:
            raise OptionError(f"{place} holds records of messages, which name their own fields; leave out {given[0]}.")
        return messages.read(place)
    with as_flags():
        log = Log.open(source, **reading.given())
    if not (Path(source) / "log.toml").exists():
        told(log, out)
    return log


def _options(name: str, given: str) -> dict[str, Any]:
    """Options of a data set from what follows its name: ``households=400,seed=1``."""
    from ethogram import data
    from ethogram.cli.options import read

    return read(name, data.find(name), options_in(given))


def options_in(given: str) -> list[str]:
    """``name=value`` texts of a list; a comma that no name follows belongs to a value: ``hidden=128,64``."""
    return re.split(r",(?=\w+=)", given) if given else []


def ingest(source: str, target: Path, reading: Reading | None, out: Output) -> Log:
    """Write the events of a source of any size as a log; says what was guessed and what was set aside."""
    from ethogram.log import Log
    from ethogram.log.finding import there

    place = Path(source).expanduser()
    if not there(place) or (place / "log.toml").exists():
        return open_log(source, reading, out).write(target)
    options = (reading or Reading()).given()
    with as_flags():
        log = Log.ingest(source, target, **options)
    told(log, out)
    return log


@contextlib.contextmanager
def as_flags() -> Iterator[None]:
    """Errors advise in Python, ``user='who'``; here that is ``--user who``, and ``header=False`` is ``--no-header``."""
    try:
        yield
    except RolesError as error:
        said = str(error).replace("header=False", "--no-header")
        raise RolesError(re.sub(r"\b([a-z]+)='([^']*)'", r"--\1 \2", said)) from None


def told(log: Log, out: Output) -> None:
    """What the columns were taken for, and which rows cannot be events."""
    said = {r: s for r, s in log.events.said.items() if s}
    out.line(f"columns: {log.roles.told()}" + (f" ({'; '.join(f'{r}: {s}' for r, s in said.items())})" if said else ""))
    set_aside(log, out)


def set_aside(log: Log, out: Output) -> None:
    """How many rows are quarantined, and why."""
    counts = log.events.quarantined
    if not counts:
        return
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts.items())
    out.line(f"quarantined: {sum(counts.values()):,} rows ({reasons})")
    table = log.events.quarantine
    if table is not None and table.num_rows:
        row = table.slice(0, 1).to_pylist()[0]
        where = f"{row['file']} line {row['line']}" if row["line"] is not None else row["file"]
        out.line(f"  the first: {where}: {row['reason']}: {row['row'][:120]}")


def describes(log: Log) -> str:
    """One line about a log."""
    facts = log.describe()
    return f"{facts['events']:,} events of {facts['users']:,} users on {facts['items']:,} items"
