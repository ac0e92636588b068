"""``ethogram risk report MODEL LOG --out report.html``: the cases as one page that an analyst can act on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ethogram import __version__
from ethogram.cli.opening import Reading
from ethogram.cli.options import Set
from ethogram.cli.output import Json, Output
from ethogram.cli.risk_cases import Judging, judged, judging, remarks, windows
from ethogram.errors import OptionError


def report(
    model: str,
    log: str,
    /,
    *,
    how: Judging | None = None,
    out: Path = Path("report.html"),
    title: str = "Cases by risk",
    cases: int = 50,
    charts: Annotated[bool, Parameter(negative="--no-charts")] = True,
    sets: Set = (),
    json: Json = None,
    reading: Reading | None = None,
) -> None:
    """Write the cases of a log as one HTML page that opens offline: a queue, reasons, threshold, costs, drift, groups.

    Parameters
    ----------
    model
        Folder of a saved system, or the key of a system that need not learn.
    log
        A log directory, a file or folder of events, or the name of a data set.
    out
        The file to write.
    title
        Its heading.
    cases
        So many cases are shown whole, those with most risk times money.
    charts
        Draw pictures.
    """
    from ethogram.evaluate.risk.page import risk_report

    say, how = Output(json), how or Judging()
    if out.suffix not in (".html", ".htm"):
        raise OptionError(f"--out {out}: the name must end in .html.")
    if cases < 1:
        raise OptionError(f"--cases {cases}: give 1 or more.")
    built = judging(model, sets)
    found, events = windows(model, built, log, how, reading, say)
    told = judged(found, how)
    written = risk_report(
        out, told, found.valid, found.test, events, title=title, subtitle=f"{built.info.key} on {log}",
        words=found.words + ".", cards=cards_of(built), limit=cases, charts=charts,
        notes=remarks(model, built, events, how), machine={"system": built.info.key, "ethogram": __version__},
    )  # fmt: skip
    say.line(f"{found.words}")
    say.line(f"{min(cases, len(found.test)):,} of {len(found.test):,} cases written to {written}")
    say.result({"path": str(written), "cases": min(cases, len(found.test)), "threshold": told.threshold})


def cards_of(built: Any) -> Any:
    """Clusters of a system that finds some, else None."""
    return built.cards() if callable(getattr(built, "cards", None)) else None
