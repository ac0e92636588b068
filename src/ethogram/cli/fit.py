"""``ethogram fit KEY LOG``: fit a system and save it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from ethogram.cli.opening import Reading, describes, open_log
from ethogram.cli.options import Set, make
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError
from ethogram.saving import check_free
from ethogram.system import options


def fit(
    key: str,
    log: str,
    /,
    *,
    out: Path | None = None,
    protocol: str = "all",
    seed: int = 0,
    devices: int = 1,
    checkpoint: Path | None = None,
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
        all: learn from the whole log. temporal, leave-last-out, by-user, by-decision: learn from the training part,
        stop by the validation part.
    seed
        Seed of everything that is drawn.
    devices
        Processes of this machine that learn together, each from its share of the questions.
    checkpoint
        Folder that keeps the last epoch of a training, so that one that was stopped goes on there.
    """
    say = Output(json)
    built = make(key, sets, flags)
    target = out or Path(f"{key}.model")
    check_free(target)
    if devices < 1:
        raise OptionError(f"--devices {devices}: give a whole number of processes, 1 or more.")
    with contextlib.ExitStack() as stack:
        ranks = _join(stack)
        if ranks is not None and ranks.rank:
            say = stack.enter_context(Output().silent())
        _fit(key, built, log, target, protocol, seed, checkpoint, reading, say, ranks, stack)


def _join(stack: contextlib.ExitStack) -> Any:
    """The processes that torchrun started with this one, None if it is alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return None
    from ethogram.nn import distributed

    return stack.enter_context(distributed.joined())


def _fit(
    key: str, built: Any, log: str, target: Path, protocol: str, seed: int, checkpoint: Path | None,
    reading: Reading | None, say: Output, ranks: Any, stack: contextlib.ExitStack,
) -> None:  # fmt: skip
    events = open_log(log, reading, say)
    cut = None if protocol == "all" else events.split(protocol)
    train, valid = (events, None) if cut is None else (cut.train, cut.valid)
    say.line(f"{key}: learning from {describes(train)}")
    from ethogram.evaluate import measure

    if checkpoint is not None:
        from ethogram.nn.train import checkpoints

        known = f"{key} {options(built)!r} {train.fingerprint()} {valid and valid.fingerprint()} {seed}"
        stack.enter_context(checkpoints(checkpoint, hashlib.blake2b(known.encode(), digest_size=16).hexdigest()))
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
    if ranks is not None:
        from ethogram.nn.distributed import facts

        if not ranks.moved.steps:
            raise OptionError(f"{key} does not learn in several processes; leave --devices at 1.")
        noted |= facts(ranks)
        if ranks.rank:
            return
    built.save(target, notes=noted)
    say.line(f"saved in {target} after {cost.wall_seconds:.1f} s")
    say.result({"system": key, "path": str(target), "seconds": cost.wall_seconds, "peak_mb": cost.peak_mb, **noted})
