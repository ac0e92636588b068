"""``ethogram report RECORD...``: records as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ethogram import catalogue
from ethogram.cli.asking import Lists, Users, fitted
from ethogram.cli.compare import load
from ethogram.cli.explain import Items, deleted, reasoned
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
    model: Path | None = None,
    users: Users = (),
    lists: Lists = (),
    items: Items = None,
    deletion: Annotated[bool, Parameter(negative=())] = False,
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
    model
        Folder of a saved system: scores of --items for each --user and --history, with the past events that made them.
    deletion
        Also test the reasons of --model by deleting the named events, and random ones, from histories of its log.
    """
    from ethogram.evaluate.report import report as write

    say = Output(json)
    if not records:
        raise OptionError("report: give folders of records.")
    if model is None and (users or lists or items or deletion):
        raise OptionError("report: --user, --history, --items, --deletion are asked of a saved system; give --model.")
    found = [r for path in records for r in load(path)]
    more: dict[str, Any] = {}
    if log is not None:
        events = open_log(log, reading, say)
        more = {"log_description": events.describe(), "lengths": events.sequences().lengths}
    if model is not None:
        more |= _reasons(model, users, lists, items, log, deletion, say)
    floors = [s.key for s in catalogue.systems() if s.baseline]
    written = write(found, out, title=title, metric=metric, floors=floors, charts=charts, **more)
    say.line(f"{len(found)} records written to {written}")
    say.result({"path": str(written), "records": [r.key for r in found]})


def _reasons(
    model: Path, users: Users, lists: Lists, items: str | None, log: str | None, deletion: bool, say: Output
) -> dict[str, Any]:
    """Arguments of the report that tell what a saved system answers, and why."""
    built, more = fitted(model, "explain"), {}
    if users or lists or not deletion:
        scores, reasons = reasoned(built, model, users, lists, items, log, 3, say)
        more = {"recommendations": scores, "reasons": reasons}
        if lists:
            more["people"] = [{"title": f"A stranger who did {done or 'nothing'}"} for done in lists]
    if deletion:
        more["deletions"] = [deleted(built, model, log, 3, 300, say)]
    return more
