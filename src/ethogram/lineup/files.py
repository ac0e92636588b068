"""A line-up as files: a page that opens offline, its picture, tables as Markdown, numbers as JSON and Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ethogram.evaluate.report import LIMITS, sections
from ethogram.evaluate.report.html import Html, figure, prose, table, tag
from ethogram.evaluate.report.page import Page
from ethogram.evaluate.report.rows import is_better_low, metric_title
from ethogram.evaluate.subject import plain
from ethogram.lineup.picture import quality_cost
from ethogram.lineup.running import Lineup
from ethogram.lineup.sheets import Sheet, circumstances, sheets
from ethogram.lineup.spending import spending
from ethogram.lineup.standing import arms_in

PICTURE = "picture.svg"
READ = (
    "Up is better, left is cheaper; the lower axis is logarithmic, bars are 95% intervals. What lies on the dashed line"
    " is beaten by nothing that costs as much or less; the dotted line is the best floor. Hollow diamonds are floors"
    " and other baselines."
)


def write(found: Lineup, folder: str | Path) -> dict[str, Path]:
    """Write ``report.html``, ``picture.svg``, ``report.md``, ``lineup.json`` and
    ``lineup.parquet`` (a row per arm) into a folder; returns where each is.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    made, told = sheets(found), as_json(found)
    files = {
        "page": "report.html", "picture": PICTURE, "markdown": "report.md", "json": "lineup.json",
        "parquet": "lineup.parquet",
    }  # fmt: skip
    paths = {name: place / file for name, file in files.items()}
    paths["page"].write_text(_page(found, made), "utf-8")
    paths["picture"].write_text(picture(found), "utf-8")
    paths["markdown"].write_text(markdown(found, made), "utf-8")
    paths["json"].write_text(json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    pq.write_table(pa.Table.from_pylist(told["arms"]), paths["parquet"], compression="zstd")
    return paths


def as_json(found: Lineup) -> dict[str, Any]:
    """Everything that a reader needs to believe it or to do it again, as strict JSON."""
    arms, first = arms_in(found.records), found.records[0]
    spent = spending(arms, found.standing.metrics[0])
    rows = [
        {**row, **spent[row["arm"]], "options": json.dumps(plain(arms[row["arm"]][0].options), sort_keys=True),
         "records": [r.key for r in arms[row["arm"]]]}
        for row in found.standing.rows
    ]  # fmt: skip
    return dict(
        plain(
            {
                "area": found.area, "data": found.data, "protocol": first.protocol, "quick": found.quick,
                "share": found.share, "reference": found.standing.reference, "words": found.standing.words(),
                "arms": rows, "ways": found.standing.ways, "left": [x._asdict() for x in found.left],
                "machine": first.machine, "versions": first.versions, "made": max(r.made for r in found.records),
            }
        )
    )  # fmt: skip


def heading(found: Lineup) -> str:
    """Title of the page."""
    return f"Systems of area {found.area} on {found.data}"


def markdown(found: Lineup, made: list[Sheet]) -> str:
    """The tables as a page of Markdown."""
    lines = [f"# {heading(found)}", "", found.standing.chosen, ""]
    lines += [f"- {words}" for words in circumstances(found)]
    for sheet in made:
        lines += ["", *sheet.markdown()]
        if sheet.identity == "quality":
            lines += ["", f"![Quality against the seconds of fitting]({PICTURE})", "", READ]
    lines += ["", "## In words", "", *(f"- {words}" for words in found.standing.words()[1:])]
    return "\n".join([*lines, ""])


def picture(found: Lineup, *, alone: bool = True) -> str:
    """Quality against the cost of fitting as SVG; `alone` with its own colours."""
    first = found.standing.metrics[0]
    spent = spending(arms_in(found.records), first)
    points = [
        {"label": row["arm"], "value": row[first], "low": row[f"{first} low"], "high": row[f"{first} high"],
         "floor": row["floor"], "cost": spent[row["arm"]]["fit_cpu_seconds"]}
        for row in found.standing.rows
    ]  # fmt: skip
    less = is_better_low(first)
    best = found.standing.reference
    return quality_cost(points, metric_title(first), "CPU seconds to fit", low=less, best=best, alone=alone)


def _page(found: Lineup, made: list[Sheet]) -> str:
    words = found.standing.words()
    page = Page(heading(found), f"{found.data}: {found.shared()}; {found.protocol}")
    page.charts = True  # its one picture needs no Altair, so no note says that pictures are left out
    page.lead(*found.words())
    drawn = tag("div", Html(picture(found, alone=False)), class_="chart")
    shown = figure(drawn, "Quality against the seconds of fitting.", READ)
    for sheet in made:
        page.section(sheet.identity, sheet.title, shown if sheet.identity == "quality" else None, _table(sheet))
    page.section("words", "In words", sections.limits(words[1:]))
    page.section("data", "What was measured", sections.limits(circumstances(found)))
    page.section("limits", "Honest limits", sections.limits(LIMITS))
    page.section("machine", "Machine and versions", sections.machine(*sections.circumstances(found.records)))
    return page.html()


def _table(sheet: Sheet) -> Html:
    numbers = [i for i in range(len(sheet.head)) if i not in sheet.text]
    rows = [[_stacked(c) if i in numbers else c for i, c in enumerate(row)] for row in sheet.rows]
    kinds = ["floor" if floor else "" for floor in sheet.floors] or None
    made = table(sheet.head, rows, numbers=numbers, kinds=kinds, wide=True)
    return tag("div", made, tag("p", prose(sheet.note), class_="note") if sheet.note else None)


def _stacked(cell: str) -> Any:
    """An interval below its value, small."""
    value, bracket, ends = cell.partition(" [")
    return tag("span", value, tag("small", ends.rstrip("]").replace(", ", " to "))) if bracket else cell
