"""``ethogram forecast MODEL LOG``: when people's next events come, and of which kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ethogram.cli.asking import Users, check_ending, write
from ethogram.cli.opening import Reading, describes, open_log
from ethogram.cli.options import Set, make
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError, UnknownName, nearest
from ethogram.saving import HEAD

SHOWN = 20


def forecast(
    model: str,
    log: str,
    /,
    *,
    users: Users = (),
    k: Annotated[int, Parameter(name=("-k", "--k"))] = 1,
    seed: int = 0,
    out: Path | None = None,
    sets: Set = (),
    json: Json = None,
    reading: Reading | None = None,
    **flags: str,
) -> None:
    """Say when people's next events come, and of which kind.

    Parameters
    ----------
    model
        Folder of a saved system; or the key of a system, which is then fitted on the log first.
    log
        A log directory, a file or folder of events, or the name of a data set: what people did so far.
    k
        How many events ahead.
    seed
        Seed of the draws, and of the fit.
    out
        Also write the table to this file (.parquet or .csv).
    """
    from ethogram.log import Histories
    from ethogram.log.questions import behaviour
    from ethogram.system import load

    say = Output(json)
    check_ending(out)
    saved = (Path(model) / HEAD).is_file()
    if saved and (sets or flags):
        raise OptionError(f"{model} is fitted; its options cannot be changed any more.")
    built: Any = load(Path(model)) if saved else make(model, sets, flags)
    if "forecast" not in built.info.verbs:
        raise OptionError(f"{built.info.key} cannot forecast; its verbs are {', '.join(built.info.verbs)}.")
    events = open_log(log, reading, say)
    if not saved:
        say.line(f"{built.info.key}: learning from {describes(events)}")
        with say.progress(built.info.key) as watch:
            built.fit(events, seed=seed, watch=watch)
    known = events.vocabulary("user")
    for user in users:
        if known.encode([user])[0] < 0:
            raise UnknownName(f"the log has no user '{user}'.{nearest(user, map(str, known.ids.to_pylist()[:20_000]))}")
    sequences = behaviour(events.sequences())
    codes = known.encode(list(users)) if users else sequences.users
    found = built.forecast(Histories.at(sequences, codes, tables=events.tables), k, seed=seed)
    rows = found.to_pylist()
    told = [
        (r["user"], r["step"], *(t and f"{t:%Y-%m-%d %H:%M}" for t in (r["time"], r["low"], r["high"])), r["kind"],
         r["probability"]) for r in rows[:SHOWN]
    ]  # fmt: skip
    say.table(("user", "step", "expected", "10%", "90%", "kind", "probability"), told)
    if len(rows) > SHOWN:
        say.line(f"... and {len(rows) - SHOWN:,} more (--out FILE, --json FILE)")
    if out is not None:
        write(found, out)
    plain = [{n: (v.isoformat() if hasattr(v, "isoformat") else v) for n, v in r.items()} for r in rows]
    say.result(plain)
