"""``ethogram risk explain MODEL LOG --user X``: why one case is risky, and what its person did."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from ethogram.cli.opening import Reading, open_log
from ethogram.cli.options import Set
from ethogram.cli.output import Json, Output
from ethogram.cli.risk_cases import assessed, judging, place_of
from ethogram.evaluate.risk import cases_of
from ethogram.evaluate.risk.timeline import timeline

WIDTH = 24
HIDDEN = ("user", "session", "risk", "reason", "reasons")


def explain(
    model: str,
    log: str,
    /,
    *,
    user: Annotated[str, Parameter(help="Whose case; the riskiest of several.")],
    session: Annotated[str | None, Parameter(help="Which of the user's sessions, where a case is one.")] = None,
    last: int = 15,
    users: str | None = None,
    items: str | None = None,
    sets: Set = (),
    json: Json = None,
) -> None:
    """Tell the reasons of one case.

    Parameters
    ----------
    model
        Folder of a saved system, or the key of a system that need not learn.
    log
        A log directory, a file or folder of events, or the name of a data set.
    last
        So many of the latest events are shown.
    users
        File with a row per user, the id first.
    items
        File with a row per item, its id first. Other columns than the usual ones: write a log directory with
        `ethogram log import` first.
    """
    say = Output(json)
    built = judging(model, sets)
    events = open_log(log, Reading(users=users, items=items), say)
    found = cases_of(events, assessed(built, events, say))
    place = place_of(found, user, session)
    case = found.table.slice(place, 1).to_pylist()[0]
    ahead = float((found.risk < found.risk[place]).mean())
    who = f"user {case['user']}" + (f", session {case['session']}" if "session" in case else "")
    say.line(f"{who}: risk {case['risk']:.4g}, above {ahead:.1%} of {len(found):,} cases")
    say.line(str(case.get("reason") or "The system gives no reason in words."))
    reasons = [r for r in case.get("reasons") or () if isinstance(r, dict)]
    most = max((abs(r["share"]) for r in reasons), default=0) or 1
    say.table(
        ("reason", "value", "share", ""),
        [(r["what"], r["value"], f"{r['share']:.0%}", "#" * round(WIDTH * abs(r["share"]) / most)) for r in reasons],
    )
    more = {n: _cell(v) for n, v in case.items() if n not in HIDDEN and not isinstance(v, list)}
    if more:
        say.facts(more)
    done = timeline(events, case["user"], case.get("session"))
    shown = done[-last:] if last > 0 else []
    there = [c for c in ("time", "kind", "item", "value", "text") if any(r.get(c) is not None for r in shown)]
    if shown:
        say.table(
            there,
            [[_cell(r.get(c)) for c in there] for r in shown],
            title=f"latest {len(shown)} of {len(done):,} events",
        )
    say.result({**case, "riskier_than": ahead, "events": len(done), "latest": shown})


def _cell(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.strftime("%Y-%m-%d %H:%M")
    return value
