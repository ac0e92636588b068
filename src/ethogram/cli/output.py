"""What commands print: tables for people, JSON for programs, progress on terminals; plain text elsewhere."""

from __future__ import annotations

import contextlib
import json as jsonlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ethogram.errors import OptionError

Json = Annotated[
    str | None,
    Parameter(help="Write the result as JSON to this file; - is standard output.", allow_leading_hyphen=True),
]
_TOLD = ("key", "arm", "data", "seed", "epoch", "loss", "valid")
Watch = Callable[[Mapping[str, Any]], None]


class Output:
    """Where one command prints; with ``--json -`` people's text goes to stderr, so that stdout is JSON alone.

    Raises
    ------
    OptionError
        The JSON file's folder does not exist (told before any work is done).
    """

    def __init__(self, json: str | None = None):
        self.json = json
        if json not in (None, "-") and not Path(json).absolute().parent.is_dir():
            raise OptionError(f"--json {json}: there is no folder {Path(json).absolute().parent}.")
        self.stream = sys.stderr if json == "-" else sys.stdout

    @contextlib.contextmanager
    def silent(self) -> Iterator[Output]:
        """An output that says nothing: of one of several processes that do the same."""
        with Path(os.devnull).open("w") as nowhere:
            self.stream = nowhere
            yield self

    @property
    def rich(self) -> bool:
        return self.stream.isatty()

    def line(self, text: str = "") -> None:
        print(text, file=self.stream)

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Names and values, one line each."""
        width = max(map(len, facts), default=0)
        for name, value in facts.items():
            self.line(f"{name:<{width}}  {shown(value)}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
        """A table; numbers are right-aligned."""
        cells = [[shown(v) for v in row] for row in rows]
        right = [all(isinstance(r[i], int | float) or r[i] is None for r in rows) for i in range(len(columns))]
        if self.rich:
            self._rich(columns, cells, right, title)
            return
        if title:
            self.line(title)
        widths = [max(map(len, [c, *(r[i] for r in cells)])) for i, c in enumerate(columns)]
        for row in [list(columns), *cells]:
            told = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
            self.line("  ".join(told).rstrip())

    def _rich(self, columns: Sequence[str], cells: list[list[str]], right: list[bool], title: str) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        made = Table(title=escape(title) if title else None, header_style="bold", box=None, pad_edge=False)
        for name, aligned in zip(columns, right, strict=True):
            made.add_column(escape(name), justify="right" if aligned else "left", overflow="fold")
        for row in cells:
            made.add_row(*map(escape, row))
        Console(file=self.stream).print(made)

    def result(self, value: Any) -> None:
        """The result as strict JSON, if it was asked for; a file appears whole or not at all."""
        if self.json is None:
            return
        text = jsonlib.dumps(strict(value), indent=1, ensure_ascii=False, allow_nan=False)
        if self.json == "-":
            print(text)
            return
        target = Path(self.json).absolute()
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            fresh.write_text(text + "\n", "utf-8")
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Watch]:
        """A callback for `watch`: a bar on terminals, else a line on stderr every ten seconds."""
        if sys.stderr.isatty():
            with _bar(what) as watch:
                yield watch
            return
        last = time.monotonic()

        def watch(facts: Mapping[str, Any]) -> None:
            nonlocal last
            if time.monotonic() - last > 10:
                last = time.monotonic()
                said = ", ".join(f"{k} {v}" for k, v in _counted(facts))
                print(f"{what}: {said}", file=sys.stderr)

        yield watch


def _counted(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What progress says: names and values, a number beside its total ("epoch", "2 of 30")."""
    totals = {"epoch": "epochs", "step": "steps"}
    for name, value in facts.items():
        beside = facts.get(totals.get(name, ""))
        if value is not None and not (name in totals.values() and facts.get(name[:-1]) is not None):
            yield name, shown(value) if beside is None else f"{shown(value)} of {shown(beside)}"


@contextlib.contextmanager
def _bar(what: str) -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=None, said="")

        def watch(facts: Mapping[str, Any]) -> None:
            done = facts.get("step", facts.get("done"))
            total = facts.get("steps", facts.get("questions"))
            said = "  ".join(f"{k} {v}" for k, v in _counted(facts) if k in _TOLD)
            bars.update(task, completed=done, total=total, said=said)

        yield watch


def shown(value: Any) -> str:
    """A value in a table cell."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "-" if math.isnan(value) else str(value)
        return f"{value:,.0f}" if value == int(value) and abs(value) >= 1_000 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {shown(v)}" for k, v in value.items())
    if isinstance(value, list | tuple | set):
        return ", ".join(map(shown, value)) or "-"
    return str(value)


def strict(value: Any) -> Any:
    """A value as strict JSON has it: NaN and infinities null, times as ISO text, NumPy numbers as numbers."""
    if isinstance(value, Mapping):
        return {str(k): strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [strict(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return strict(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
