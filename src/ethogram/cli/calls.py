"""``ethogram lm log RUN``: the calls of a run, filtered, compared with another run's, handed to a viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError, SourceError

Flag = Annotated[bool, Parameter(negative=())]
_SHOWN = 60


def log_(
    run: str | None = None, /, *, against: str | None = None, purpose: str | None = None, source: str | None = None,
    model: str | None = None, text: str | None = None, errors: Flag = False, same: Flag = False, full: Flag = False,
    last: int = 0, inspect: Path | None = None, json: Json = None,
) -> None:  # fmt: skip
    """Show the calls of a run, filter them, or compare two runs; without a run, list the runs.

    Parameters
    ----------
    run
        Name of a run, or a path ending in .lmrun.
    against
        Another run: show the questions that were answered otherwise, or by one of them alone.
    purpose
        Only calls for this purpose.
    source
        Only calls answered from here: live, cache, joined, recording.
    model
        Only calls whose model's identity contains this.
    text
        Only calls whose question or answer contains this.
    errors
        Only calls that failed.
    same
        With --against: show the equal answers, too.
    full
        Show questions and answers whole.
    last
        Only so many of the last calls (without a run: of the last runs).
    inspect
        Also write the calls shown to this file (.eval), which the viewer of inspect_ai opens.
    """
    from ethogram import folders
    from ethogram.lm import viewing
    from ethogram.lm.compare import compare, question, told

    out = Output(json)
    if inspect is not None:
        folders.target(inspect, ".eval")
        if against is not None:
            raise OptionError("--inspect writes the calls of one run; leave --against out.")
    if run is None:
        if against or inspect:
            raise OptionError(f"{'--against compares with' if against else '--inspect writes'} a run; name it first.")
        _runs(out, last)
        return

    def calls(name: str) -> list[dict[str, Any]]:
        found = [
            c
            for c in _calls(name)
            if (purpose is None or c["purpose"] == purpose)
            and (source is None or c["source"] == source)
            and (model is None or model in c["identity"])
            and (not errors or c["error"])
            and (text is None or text.casefold() in (question(c) + told(c)).casefold())
        ]
        return found[-last:] if last else found

    def cut(said: str | None) -> str:
        flat = " ".join((said or "").split())
        return flat if full or len(flat) <= _SHOWN else flat[: _SHOWN - 1] + "…"

    if against is not None:
        pairs = [p for p in compare(calls(run), calls(against)) if same or p.state != "same"]
        rows = [(p.state, p.purpose, cut(p.question), cut(p.first), cut(p.second)) for p in pairs]
        out.table(("", "purpose", "question", run, against), rows)
        out.result([{"state": p.state, **vars(p)} for p in pairs])
        return
    found = calls(run)
    out.table(
        ("", "purpose", "from", "s", "tokens", "money", "question", "answer"),
        [
            (c["seq"], c["purpose"], c["source"], round(c["seconds"], 3), c["prompt"] + c["completion"], c["money"],
             cut(question(c)), cut(told(c)))
            for c in found
        ],
    )  # fmt: skip
    out.line(_sums(found))
    if inspect is not None:
        place = viewing.to_inspect(found, inspect, run=run)
        out.line(f"{place}: look at it with `inspect view --log-dir {place.absolute().parent}`")
    out.result(found)


def _runs(out: Output, last: int) -> None:
    """The runs that are kept, the newest at the end."""
    from ethogram.lm import transcript

    rows = []
    for name in transcript.names()[-last:]:
        try:
            recording = transcript.Recording(transcript.place(name), must=True)
        except SourceError as error:
            rows.append({"run": name, "error": str(error)})
            continue
        rows.append({"run": name, **recording.totals()})
        recording.close()
    columns = ("run", "began", "calls", "sent", "failed", "tokens", "money")
    out.table(columns, [tuple(row.get(c) for c in columns) for row in rows])
    out.line("see one: ethogram lm log RUN" if rows else "no runs are kept.")
    out.result(rows)


def _calls(name: str) -> list[dict[str, Any]]:
    from ethogram.lm.transcript import Recording, place

    recording = Recording(place(name), must=True)
    try:
        return list(recording.calls())
    finally:
        recording.close()


def _sums(calls: list[dict[str, Any]]) -> str:
    live = [c for c in calls if c["source"] == "live"]
    tokens = sum(c["prompt"] + c["completion"] for c in live)
    money = sum(c["money"] for c in live)
    failed = sum(bool(c["error"]) for c in calls)
    return f"{len(calls)} calls, {len(live)} sent, {failed} failed; {tokens:,} tokens, {money:.4g} in money"
