"""``ethogram compare --area AREA --log LOG``: all systems of an area beside the best floor."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ethogram.cli.evaluate import name_of
from ethogram.cli.opening import Reading, describes, open_log, options_in
from ethogram.cli.options import chosen
from ethogram.cli.output import Output
from ethogram.errors import OptionError, StepError

PROTOCOLS = ("temporal", "leave-last-out", "by-user")


@Parameter(name="*", group="With --area")
@dataclass(kw_only=True)
class Area:
    """Options of a comparison of an area's systems."""

    area: str | None = None
    (
        "Measure every system of this area (recommend, rank) that can take the log, each in a process of its own,"
        " against the best floor. For example: ethogram compare --area recommend --data amazon_beauty --users 3000"
        " --out beauty"
    )
    systems: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=(), show_default=False)] = ()
    "Only these, with options after a colon where wanted: als:factors=32."
    users: int | None = None
    "At most so many people, drawn at random; all if not given."
    budget: str | None = None
    "CPU time of one system, such as 90s or 10m; what takes longer is stopped and told. 10m if not given."
    seeds: int | None = None
    "So many seeds, from --seed on; 1 if not given."
    out: Path | None = None
    "Folder of the page, the picture, the numbers and the records; compare-AREA-DATA if not given."
    quick: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    "Few people, one epoch: only shows that every part runs."

    def given(self) -> str | None:
        """The first flag that was given, but --area."""
        told = {n: v for n, v in vars(self).items() if n != "area" and v not in (None, (), False)}
        return next(iter(told), None)


def compare_area(
    asked: Area, source: str, out: Output, reading: Reading | None, *, protocol: str | None,
    ties: Literal["groups", "order"], reference: str | None, metric: tuple[str, ...], seed: int,
    report: Path | None, store: Path | None,
) -> None:  # fmt: skip
    """Measure, print, write; see `ethogram.lineup`.

    Raises
    ------
    UnknownName, OptionError, RolesError, SourceError
        No such area, system, metric or data; nobody can take part; the log lacks a column; a bad option.
    """
    from ethogram.lineup import lineup
    from ethogram.lineup.entrants import entrants
    from ethogram.lineup.files import as_json, write

    area = str(asked.area)
    if protocol not in (None, *PROTOCOLS):
        raise OptionError(f"--protocol {protocol}: with --area give one of {', '.join(PROTOCOLS)}.")
    if len(metric) > 1:
        raise OptionError(f"--metric {' '.join(metric)}: with --area one metric decides; give one.")
    seconds, seeds = _seconds(asked.budget or "10m"), 1 if asked.seeds is None else asked.seeds
    if seeds < 1 or (asked.users is not None and asked.users < 2):
        raise OptionError(f"--seeds {seeds}, --users {asked.users}: give at least 1 seed and 2 users.")
    entrants(area)  # an unknown area is told before anything is read
    systems = [_system(text) for told in asked.systems for text in _apart(told)]
    events = open_log(source, reading, out)
    out.line(f"log: {describes(events)}")
    name = name_of(source)
    place = asked.out or Path(f"compare-{area}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', Path(source).name)}")
    with out.progress("compare") as watch:
        found = lineup(
            area, events, data=name, folder=place, store=store, systems=systems, protocol=protocol, ties=ties,
            metric=metric[0] if metric else None, reference=reference, users=asked.users,
            seeds=range(seed, seed + seeds), budget=seconds, quick=asked.quick, watch=watch, say=out.line,
        )  # fmt: skip
    out.line(f"used: {found.shared()}")
    files = write(found, place)
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(files["page"].read_text("utf-8"), "utf-8")
    _tell(found, out)
    out.line(f"report: {report or files['page']}")
    out.result(as_json(found))


def _tell(found: Any, out: Output) -> None:
    """The tables and sentences on a terminal: intervals only of the metric that decides."""
    from ethogram.lineup.sheets import sheets

    for sheet in sheets(found):
        out.line()
        out.line(sheet.title)
        decides = {1, len(sheet.head) - 3} if sheet.identity == "quality" else set(range(len(sheet.head)))
        rows = [[c if i in decides else c.partition(" [")[0] for i, c in enumerate(row)] for row in sheet.rows]
        out.table(sheet.head, rows)
    out.line()
    for words in found.words():
        out.line(words.replace("`", ""))
    if found.quick:
        out.line("A quick run: it only shows that every part runs, nothing is decided by it.")


def _apart(told: str) -> list[str]:
    """Systems of a text: keys may be joined by commas where none has options."""
    return [told] if ":" in told else [t for t in told.replace(" ", "").split(",") if t]


def _system(text: str) -> tuple[str, Mapping[str, Any]]:
    key, _, told = text.partition(":")
    return key, chosen(key, options_in(told))


def _seconds(text: str) -> float:
    from ethogram.log.condition import duration

    with contextlib.suppress(StepError):
        if (made := duration(text) / 1e6) > 0:
            return made
    raise OptionError(f"--budget {text} is no length of time; write for example 90s or 10m.")
