"""``ethogram audit KEY``: put an audit's cases to its subject, and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ethogram.cli.options import Set, make
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError, SourceError

if TYPE_CHECKING:
    from ethogram.verbs import Report

INCONCLUSIVE, FAILED = 3, 1


def audit(
    key: str,
    /,
    *,
    subject: Annotated[str, Parameter(name=("--subject", "--lm"))] = "local",
    most: int | None = None,
    planted: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
    report: Path | None = None,
    sets: Set = (),
    json: Json = None,
    **flags: str,
) -> int:
    """Put an audit's cases to its subject, a model or a service, and report. Exit code: 0 pass, 1 fail, 3 inconclusive.

    Parameters
    ----------
    key
        The audit, as in `ethogram systems --area audit`.
    subject
        What is audited. A language model: local, torch, a URL, scripted:TEXT. A recommender (model_extraction): the
        folder of a saved system, the URL of `ethogram serve`, local.
    most
        Only so many cases, the first.
    planted
        Audit the audit: subjects with known behaviour, which it must recover.
    seed
        Seed of the cases and of everything that is drawn.
    report
        Also write what was found as an HTML page, with pictures where the audit draws some.
    """
    from ethogram.lm import LM
    from ethogram.lm.auditing import audit as put
    from ethogram.lm.blocking import run
    from ethogram.system import info

    say = Output(json)
    if "audit" not in info(key).verbs:
        raise OptionError(f"{key} cannot audit; its verbs are {', '.join(info(key).verbs)}.")
    built = make(key, sets, flags)
    if planted:
        return _planted(built, say, seed)
    told = built.subject(subject) if hasattr(built, "subject") else LM.connect(subject)
    with say.progress(key) as watch:
        found = run(put(built, told, seed=seed, most=most, watch=watch))
    say.line(f"{key} of {found.subject}: {found.verdict} ({found.why})")
    say.table(("metric", "value", "low", "high"), [(n, *v) for n, v in found.metrics.items()])
    if found.contrasts:
        say.table(("difference", "value", "low", "high"), [(n, *v) for n, v in found.contrasts.items()])
    for note in found.notes:
        say.line(f"note: {note}")
    if report is not None:
        _write(found, report)
        say.line(f"report: {report}")
    say.result({
        "key": key, "subject": found.subject, "verdict": found.verdict, "why": found.why,
        "metrics": found.metrics, "contrasts": found.contrasts, "notes": found.notes,
        "rows": found.rows.to_pylist() if found.rows is not None else [],
    })  # fmt: skip
    return {"pass": 0, "fail": FAILED}.get(found.verdict, INCONCLUSIVE)


def _write(found: Report, path: Path) -> None:
    """The report as one HTML page."""
    from ethogram.evaluate.report.html import table, tag
    from ethogram.evaluate.report.page import Page

    page = Page(f"{found.key}: {found.verdict}", found.subject)
    page.lead(found.why)
    for i, (caption, (draw, reading)) in enumerate(found.pictures.items()):
        page.section(f"picture-{i}", caption, page.chart(f"picture-{i}", draw, caption, reading))
    for name, told in (("metrics", found.metrics), ("contrasts", found.contrasts)):
        rows = [[label, *(f"{v:.4g}" for v in ends)] for label, ends in told.items()]
        if rows:
            page.section(
                name, name.capitalize(), tag("div", table([name, "value", "low", "high"], rows, numbers=[1, 2, 3]))
            )
    page.section("notes", "Notes", tag("ul", *(tag("li", note) for note in found.notes)) if found.notes else None)
    try:
        path.write_text(page.html(), "utf-8")
    except OSError as error:
        raise SourceError(f"the report cannot be written to {path} ({error.strerror}).") from None


def _planted(built: object, say: Output, seed: int) -> int:
    """The audit on subjects with known behaviour: what was planted beside what was found."""
    from ethogram.lm.auditing import audit as put
    from ethogram.lm.blocking import run

    rows = []
    for one in built.planted():  # type: ignore[attr-defined]
        found = run(put(built, one.lm, seed=seed))  # type: ignore[arg-type]
        for name, truth in one.truth.items():
            value = found.metrics[name][0]
            rows.append((one.name, name, truth, value, abs(value - truth) <= one.tolerance))
    say.table(("subject", "metric", "planted", "found", "recovered"), rows)
    say.result([dict(zip(("subject", "metric", "planted", "found", "recovered"), r, strict=True)) for r in rows])
    return 0 if all(r[-1] for r in rows) else FAILED
