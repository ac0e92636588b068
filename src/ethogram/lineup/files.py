"""A line-up as files: a page that opens offline, its picture, tables as Markdown, numbers as JSON and Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ethogram.evaluate import plots
from ethogram.evaluate.report import LIMITS, sections
from ethogram.evaluate.report.html import Html, prose, table, tag
from ethogram.evaluate.report.page import Page
from ethogram.evaluate.report.rows import is_better_low, metric_title
from ethogram.evaluate.subject import plain
from ethogram.lineup.running import Lineup
from ethogram.lineup.sheets import Sheet, circumstances, sheets
from ethogram.lineup.spending import spending
from ethogram.lineup.standing import arms_in

READ = (
    "Up is better, left is cheaper; the lower axis is logarithmic, bars are 95% intervals. What lies on the dashed line"
    " is beaten by nothing that costs as much or less. Hollow diamonds are floors and other baselines."
)


def write(found: Lineup, folder: str | Path) -> dict[str, Path]:
    """Write ``report.html``, ``picture.svg`` (where Altair is installed), ``report.md``, ``lineup.json`` and
    ``lineup.parquet`` (a row per arm) into a folder; returns where each is.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    made, told = sheets(found), as_json(found)
    page, drawn = _page(found, made), svg(found)
    files = {"page": "report.html", "markdown": "report.md", "json": "lineup.json", "parquet": "lineup.parquet"}
    paths = {name: place / file for name, file in files.items()}
    paths["page"].write_text(page, "utf-8")
    if drawn is not None:
        paths["picture"] = place / "picture.svg"
        paths["picture"].write_text(drawn, "utf-8")
    paths["markdown"].write_text(markdown(found, made, drawn is not None), "utf-8")
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


def markdown(found: Lineup, made: list[Sheet], pictured: bool) -> str:
    """The tables as a page of Markdown."""
    lines = [f"# {heading(found)}", "", found.standing.chosen, ""]
    lines += [f"- {words}" for words in circumstances(found)]
    for sheet in made:
        lines += ["", *sheet.markdown()]
        if sheet.identity == "quality" and pictured:
            lines += ["", "![Quality against the seconds of fitting](picture.svg)", "", READ]
    lines += ["", "## In words", "", *(f"- {words}" for words in found.standing.words()[1:])]
    return "\n".join([*lines, ""])


def svg(found: Lineup) -> str | None:
    """Quality against the cost of fitting, as a picture that stands alone in light and dark; None without Altair."""
    page = Page("")
    if not page.charts:
        return None
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg({k: v for k, v in _chart(found).to_dict().items() if k != "$schema"})
    light, dark = ("".join(f"--{n}:{pair[i]};" for n, pair in plots.PALETTE.items()) for i in (0, 1))
    style = f"<style>svg{{{light}background:var(--paper)}}@media (prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    end = drawn.index(">", drawn.index("<svg")) + 1
    return drawn[:end] + style + drawn[end:] + "\n"


def _chart(found: Lineup) -> Any:
    first = found.standing.metrics[0]
    spent = spending(arms_in(found.records), first)
    points = [
        {"label": row["arm"], "value": row[first], "low": row[f"{first} low"], "high": row[f"{first} high"],
         "floor": row["floor"], "cost": spent[row["arm"]]["fit_cpu_seconds"]}
        for row in found.standing.rows
    ]  # fmt: skip
    return plots.quality_cost(points, metric_title(first), cost="CPU seconds to fit", low=is_better_low(first))


def _page(found: Lineup, made: list[Sheet]) -> str:
    words = found.standing.words()
    page = Page(heading(found), f"{found.data}: {found.shared()}; {found.protocol}")
    page.lead(words[0], *(found.standing.word(r) for r in found.standing.rows if r["verdict"] and not r["floor"]))
    picture = page.chart("cost", lambda: _chart(found), "Quality against the seconds of fitting.", READ)
    for sheet in made:
        page.section(sheet.identity, sheet.title, picture if sheet.identity == "quality" else None, _table(sheet))
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
