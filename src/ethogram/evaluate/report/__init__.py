"""One self-contained HTML file about a measurement: opens offline, reads in light and dark, prints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ethogram.evaluate import plots
from ethogram.evaluate.comparison import Comparison
from ethogram.evaluate.deleting import Deletion
from ethogram.evaluate.record import Record
from ethogram.evaluate.report import sections
from ethogram.evaluate.report.advice import cards
from ethogram.evaluate.report.html import Html, prose, tag
from ethogram.evaluate.report.page import Page
from ethogram.evaluate.report.reading import tasks_of
from ethogram.evaluate.report.rows import Row, Task

__all__ = ["Page", "Row", "Task", "report"]

LIMITS = (
    "Intervals say how far a figure would move with other people like these. They do not cover another time, another "
    "platform, or other seeds.",
    "The figures reward guessing what people did anyway. Whether a recommendation changes what they do takes an "
    "experiment.",
)


def report(
    measured: Iterable[Record] | Comparison,
    path: str | Path,
    *,
    title: str,
    subtitle: str = "",
    log_description: Mapping[str, Any] | None = None,
    lengths: Any = None,
    floors: Collection[str] = (),
    metric: str | None = None,
    titles: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    curves: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    recommendations: Any = None,
    reasons: Any = None,
    words: Callable[[Any], str] | Mapping[Any, str] | None = None,
    people: Sequence[Mapping[str, Any]] = (),
    deletions: Sequence[Deletion] = (),
    claims: Sequence[Mapping[str, Any]] = (),
    limits: Sequence[str] = (),
    charts: bool = True,
) -> Path:
    """Write a report.

    Parameters
    ----------
    measured : records, of any number of tasks (they are told apart by their questions); or one comparison.
    path : of the HTML file; its folder is made.
    log_description : `Log.describe()`. lengths : events per user, for the histogram.
    floors : keys (or labels) of the systems that are floors.
    metric : the metric to order by and to draw; default the first there of ndcg@10, gauc, auc.
    titles : task (``next``, ``slates``) -> heading. labels : arm as `compare` names it -> what it is called here.
    curves : label -> what `watch` was told in training ({"epoch", "loss", "valid"}).
    recommendations, reasons : answers of `recommend` and `explain`; words : item id -> what people call it.
    people : per question of the recommendations {"title", "note", "recent": [words]}.
    deletions : answers of `ethogram.evaluate.deletion`, which test the reasons.
    claims : summaries of `ethogram.claims.run`. limits : further sentences; the general ones always stand.
    charts : False leaves the pictures out; they are also left out, with a note, where Altair is not installed.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OptionError
        There is nothing to report.
    """
    records = [] if isinstance(measured, Comparison) else list(measured)
    found = measured if isinstance(measured, Comparison) else records
    tasks = tasks_of(found, floors=floors, metric=metric, curves=curves, titles=titles, labels=labels)
    page = Page(title, subtitle, charts=charts)
    page.lead(*(task.found() for task in tasks))
    page.section("data", "What was measured", *_data(page, log_description, lengths))
    for task in tasks:
        asked = tag("p", prose(task.words)) if task.words else None
        page.section(task.identity, task.title, asked, sections.results(task), *sections.pictures(page, task))
    told = sections.people(cards(recommendations, reasons, words, people))
    page.section("recommendations", "Recommendations and reasons", told, sections.deletions(deletions))
    page.section("claims", "Claims", sections.claims(claims))
    page.section("limits", "Honest limits", sections.limits([*limits, *LIMITS]))
    page.section("machine", "Machine and versions", sections.machine(*sections.circumstances(records)))
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page.html(), "utf-8")
    return target


def _data(page: Page, described: Mapping[str, Any] | None, lengths: Any) -> list[Html | None]:
    histogram = None
    if lengths is not None:
        histogram = page.chart(
            "lengths",
            lambda: plots.history_lengths(lengths),
            "How long are the histories?",
            "Users by the number of their events; each bar covers twice the range of the one before it.",
        )
    return [sections.facts(sections.described(described)) if described else None, histogram]
