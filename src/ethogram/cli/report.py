"""``ethogram report RECORD...``: records as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ethogram import catalogue
from ethogram.cli.compare import load
from ethogram.cli.opening import LogName, Reading, open_log
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError


def report(
    *records: Path,
    out: Path = Path("report.html"),
    title: str = "How well do they know what comes next?",
    log: LogName | None = None,
    metric: str | None = None,
    charts: Annotated[bool, Parameter(negative="--no-charts")] = True,
    json: Json = None,
    reading: Reading | None = None,
) -> None:
    """Write records as one HTML page that opens offline.

    Parameters
    ----------
    records
        Folders of records, or of stores with records.
    out
        The file to write.
    title
        Its heading.
    log
        The log that was measured on, to be described.
    metric
        The metric to order by.
    charts
        Draw pictures.
    """
    from ethogram.evaluate.report import report as write

    say = Output(json)
    if not records:
        raise OptionError("report: give folders of records.")
    found = [r for path in records for r in load(path)]
    more = {}
    if log is not None:
        events = open_log(log, reading, say)
        more = {"log_description": events.describe(), "lengths": events.sequences().lengths}
    floors = [s.key for s in catalogue.systems() if s.baseline]
    written = write(found, out, title=title, metric=metric, floors=floors, charts=charts, **more)
    say.line(f"{len(found)} records written to {written}")
    say.result({"path": str(written), "records": [r.key for r in found]})
