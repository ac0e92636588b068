"""``ethogram fork RUN --at TICK --do COMMAND``: another course of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ethogram.cli.output import Json, Output
from ethogram.cli.simulate import tell


def fork(
    folder: Path,
    /,
    *,
    at: str,
    out: Path,
    do: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    until: str | None = None,
    seed: int | None = None,
    json: Json = None,
) -> None:
    """Branch off a run at a tick that has happened, with something done there, and run on.

    The branch has the run's random numbers, so that only what follows from the change differs.

    Parameters
    ----------
    folder
        The folder of a run, from `ethogram simulate --out`.
    at
        Tick, or time since the beginning such as 12h.
    out
        Folder of the branch.
    do
        What is done there: NAME argument=value ..., values as JSON; can be repeated. Every world knows set (column,
        value, rows), bind (policy, rows), promote (uid, kind, persona) and demote (uid); a wrong name lists the others.
    until
        Tick or time to run on to; to where the run is, if not given.
    seed
        Luck of its own from there on; that of the run if not given.
    """
    from ethogram.replay import fork as branched

    say = Output(json)
    from ethogram.replay import opened

    with opened(folder) as parent:
        end = parent.world.tick
    with branched(folder, out, at, do, seed=seed) as branch:
        say.line(f"{out} leaves {folder} at tick {branch.world.tick:,}" + (f": {'; '.join(do)}" if do else ""))
        with say.progress(branch.told.key) as watch:
            branch.until(until if until is not None else max(end, branch.world.tick), watch)
        told = tell(branch, say)
        say.line(f"run: {out}   compare it: ethogram compare {out} {folder}")
    say.result({**told, "at": branch.told.branches[-1].at})
