"""``ethogram fit KEY LOG``: fit a system and save it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ethogram.cli.opening import Reading, describes, open_log
from ethogram.cli.options import Set, make
from ethogram.cli.output import Json, Output
from ethogram.saving import check_free


def fit(
    key: str,
    log: str,
    /,
    *,
    out: Path | None = None,
    protocol: str = "all",
    seed: int = 0,
    sets: Set = (),
    json: Json = None,
    reading: Reading | None = None,
    **flags: str,
) -> None:
    """Fit a system on a log and save it.

    Parameters
    ----------
    key
        The system, as in `ethogram systems`.
    log
        A log directory, a file or folder of events, or the name of a data set.
    out
        Folder to save it in; KEY.model if not given. A system saved there before is replaced.
    protocol
        all: learn from the whole log. temporal, leave-last-out, by-user: learn from the training part, stop by the
        validation part.
    seed
        Seed of everything that is drawn.
    """
    say = Output(json)
    built = make(key, sets, flags)
    target = out or Path(f"{key}.model")
    check_free(target)
    events = open_log(log, reading, say)
    cut = None if protocol == "all" else events.split(protocol)
    train, valid = (events, None) if cut is None else (cut.train, cut.valid)
    say.line(f"{key}: learning from {describes(train)}")
    from ethogram.evaluate import measure

    with measure() as cost, say.progress(key) as watch:
        built.fit(train, valid, seed=seed, watch=watch)
    place = str(Path(log).absolute()) if Path(log).exists() else log
    noted: dict[str, Any] = {
        "log": place,
        "reading": (reading or Reading()).given(),
        "fingerprint": events.fingerprint(),
        "protocol": protocol,
        "seed": seed,
    }
    if protocol == "all" and len(events.rows()):  # what `ethogram update` goes on from
        noted["next_event"] = int(events.rows().columns["event"].max()) + 1
    built.save(target, notes=noted)
    say.line(f"saved in {target} after {cost.wall_seconds:.1f} s")
    say.result({"system": key, "path": str(target), "seconds": cost.wall_seconds, "peak_mb": cost.peak_mb, **noted})
