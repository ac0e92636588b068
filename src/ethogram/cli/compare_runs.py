"""``ethogram compare RUN RUN``: runs of simulated people side by side, paired by person and seed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ethogram.cli.output import Output
from ethogram.errors import OptionError, UnknownName, unknown

if TYPE_CHECKING:
    from ethogram.replay import Run


def holds_runs(arm: str) -> bool:
    """Whether an arm is the folder of a run, or of several."""
    return bool(_folders(arm))


def compare_runs(arms: Sequence[str], out: Output, *, metric: Sequence[str], reference: str | None, seed: int) -> None:
    """Each run against the reference (the last one, if none is named): differences per person, first difference."""
    from ethogram.replay.comparing import compared
    from ethogram.replay.running import opened

    places = [str(Path(a)) for a in arms]
    if len(set(places)) < 2:
        raise OptionError("compare: give two runs or more.")
    if wrong := [a for a in arms if not _folders(a)]:
        raise OptionError(f"compare: {wrong[0]} is no run, and holds none; the others are runs of simulated people.")
    last = str(Path(reference)) if reference is not None else places[-1]
    if last not in places:
        raise UnknownName(unknown("run", last, places))
    told = []
    with ExitStack() as stack:

        def runs(arm: str) -> list[Run]:
            return [stack.enter_context(opened(f)) for f in _folders(arm)]

        against = runs(last)
        for arm in (p for p in places if p != last):
            mine = runs(arm)
            found = compared(mine, against, seed=seed)
            rows = [r for r in found.rows if not metric or r["metric"] in metric]
            if missing := [m for m in metric if m not in {r["metric"] for r in found.rows}]:
                raise UnknownName(unknown("metric", missing[0], [r["metric"] for r in found.rows]))
            _tell(arm, last, found, rows, out)
            told.append({"run": arm, "reference": last, **asdict(found), "rows": rows})
    out.result(told)


def _tell(arm: str, last: str, found: Any, rows: list[dict[str, Any]], out: Output) -> None:
    cells = [
        (r["metric"], r["one"], r["other"], f"{r['difference']:+.4g}", f"[{r['low']:.4g}, {r['high']:.4g}]",
         "*" if r["p"] < 0.05 else "")
        for r in rows
    ]  # fmt: skip
    title = f"{arm} against {last}: per person, {found.people:,} people, {found.ticks:,} ticks; 95% interval"
    out.table(("metric", arm, last, "difference", "interval", "p < 0.05"), cells, title=title)
    if not found.paired:
        out.line("The seeds differ: people are the same, their luck is not.")
    if found.parting is None:
        out.line("No event differs: the same run, to the last bit.")
        return
    for what, parting in (("first difference", found.parting), ("first act that differs", found.acting)):
        if parting is not None:
            out.line(f"{what}, {parting.time} (tick {parting.tick:,}): {arm}: {parting.one} | {last}: {parting.other}")


def _folders(arm: str) -> list[Path]:
    from ethogram.replay.manifest import is_run

    path = Path(arm)
    if is_run(path):
        return [path]
    return sorted(p for p in path.iterdir() if is_run(p)) if path.is_dir() else []
