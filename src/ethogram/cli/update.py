"""``ethogram update MODEL LOG``: a saved system learns from later events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ethogram.cli.opening import Reading, describes, open_log
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError
from ethogram.saving import check_free, notes


def update(
    model: Path, log: str, /, *, out: Path | None = None, json: Json = None, reading: Reading | None = None
) -> None:
    """Let a saved system learn from later events, without a new fit.

    Parameters
    ----------
    model
        The folder of a saved system, fitted with --set remember=true.
    log
        The later events; or the log directory that it was fitted on, of which it takes what was appended since.
    out
        Folder to save it in; the model itself is replaced if not given.
    """
    import numpy as np

    from ethogram.system import load

    say = Output(json)
    target = out or model
    check_free(target)
    built, noted = load(model), notes(model)
    if "update" not in built.info.verbs:
        raise OptionError(f"{built.info.key} cannot be updated; fit it anew: ethogram fit {built.info.key} {log}.")
    events = open_log(log, reading, say)
    ids = events.rows().columns["event"]
    last = int(np.max(ids, initial=-1)) + 1
    begun = noted.get("next_event")
    if begun is not None and str(Path(log).absolute()) == noted.get("log"):
        events = events.where(f"event >= {begun}")
    if not len(events.rows()):
        say.line(f"nothing new in {log}; {target} stays as it is")
        say.result({"system": built.info.key, "path": str(model), "events": 0})
        return
    say.line(f"{built.info.key}: going on from {describes(events)}")
    built.update(events)
    told: dict[str, Any] = {**noted, "next_event": last, "fingerprint": events.source.fingerprint}
    built.save(target, notes=told)
    say.line(f"saved in {target}")
    say.result({"system": built.info.key, "path": str(target), "events": len(events.rows()), **told})
