"""``ethogram simulate KEY``: let a system's own people live for a while, and write what they did as a log."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ethogram.cli.options import Set, make
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError


def simulate(
    key: str,
    /,
    *,
    until: int = 100,
    seed: int = 0,
    out: Path | None = None,
    sets: Set = (),
    json: Json = None,
    **flags: str,
) -> None:
    """Run a system's own world, and tell what happened.

    Parameters
    ----------
    key
        The system, as in `ethogram systems`.
    until
        Ticks to run.
    seed
        Seed of everything that is drawn.
    out
        Write the log of what happened to this folder.
    """
    from ethogram.system import info

    say = Output(json)
    if "simulate" not in info(key).verbs:
        raise OptionError(f"{key} cannot simulate; its verbs are {', '.join(info(key).verbs)}.")
    if until < 1:
        raise OptionError(f"--until {until}: give 1 tick or more.")
    if out is not None and (out / "log.toml").exists():
        raise OptionError(f"--out {out}: there is a log already; give a new folder.")
    built = make(key, sets, flags)
    # the whole population, where the system has more than its example
    world = built.world(seed=seed) if hasattr(built, "world") else built.example(seed=seed)
    log = built.run(world, until, seed=seed)
    table = log.table()
    kinds = Counter(table.column("kind").to_pylist()).most_common()
    people = len(set(table.column("user").to_pylist()))
    say.line(f"{key}: {len(table):,} events of {people:,} people in {until:,} ticks")
    say.table(("kind", "events"), kinds)
    if out is not None:
        log.write(out)
        say.line(f"written to {out}")
    say.result({"events": len(table), "people": people, "ticks": until, "kinds": dict(kinds)})
