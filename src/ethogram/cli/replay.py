"""``ethogram replay RUN``: a run as one HTML page, made by repeating it from its tape."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError, StateError


def replay(
    folder: Path,
    /,
    *,
    out: Path | None = None,
    events: int = 20_000,
    people: int = 400,
    prompts: int = 400,
    verify: Annotated[bool, Parameter(negative=())] = False,
    json: Json = None,
) -> None:
    """Write a page that shows a run: the map or the feed, the timeline, what each mind remembered, was told, and why.

    The run is repeated from its tape; no model is asked, and every tick must end as it ended.

    Parameters
    ----------
    folder
        The folder of a run, from `ethogram simulate --out`.
    out
        The page; FOLDER/replay.html if not given. One file, opens offline.
    events
        Events on the page at most; of more, all acts of minds and an even share of the others.
    people
        People on the page at most; those with minds first.
    prompts
        Prompts on the page at most, evenly over the run.
    verify
        Also decide everything anew, with the model's recorded answers alone, and compare the fingerprints.
    """
    from ethogram.replay import gathered, opened, page
    from ethogram.replay.gathering import Limits
    from ethogram.replay.running import again

    say = Output(json)
    if min(events, people) < 1 or prompts < 0:
        raise OptionError(f"--events {events}, --people {people}, --prompts {prompts}: give 1, 1 and 0 or more.")
    target = out or folder / "replay.html"
    if not target.absolute().parent.is_dir():
        if out is not None:
            raise OptionError(f"--out {out}: there is no folder {out.absolute().parent}.")
        opened(folder)  # says what is wrong with it
    with opened(folder) as run:
        found = gathered(run, Limits(events=events, people=people, prompts=prompts))
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        fresh.write_text(page(found), "utf-8")
        fresh.replace(target)
        world = run.world
        size = target.stat().st_size / 2**20
        say.line(f"{target}: {world.tick:,} ticks, {world.events:,} events, {size:.1f} MB; no model was asked")
        for what in found.left:
            say.line(f"not on the page: {what}")
        same = None
        if verify:
            if again(run) != world.fingerprint:
                raise StateError(f"{folder} is decided otherwise now: its fingerprint {world.fingerprint} is not met.")
            same = True
            say.line("decided anew from the recorded answers: the same, to the last bit")
        say.line(f"fingerprint {world.fingerprint}")
        say.result(
            {"page": str(target), "ticks": world.tick, "events": world.events, "left": found.left, "megabytes": size,
             "fingerprint": world.fingerprint, "verified": same}
        )  # fmt: skip
