"""``ethogram risk clusters MODEL LOG``: what a system's clusters are, their rules, and who of a log falls into them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ethogram.cli.opening import Reading, describes, open_log
from ethogram.cli.output import Json, Output
from ethogram.cli.risk_cases import judging
from ethogram.errors import OptionError


def clusters(
    model: str,
    log: str,
    /,
    *,
    rules: Path | None = None,
    json: Json = None,
    reading: Reading | None = None,
) -> None:
    """Show the clusters of a system that finds some, their rules, and how many cases of a log fall into each.

    Parameters
    ----------
    model
        Folder of a saved system (`ethogram fit fin_deep_cluster LOG --out FOLDER`).
    log
        A log directory, a file or folder of events, or the name of a data set.
    rules
        Also write the rules to this file (.json), for `ethogram serve --rules` and other rule engines.
    """
    say = Output(json)
    if rules is not None and rules.suffix != ".json":
        raise OptionError(f"--rules {rules}: the name must end in .json.")
    built = judging(model)
    lacking = [n for n in ("cards", "assign") if not callable(getattr(built, n, None))]
    if lacking:
        raise OptionError(f"{built.info.key} finds no clusters; `ethogram risk score` shows its risks.")
    events = open_log(log, reading, say)
    say.line(f"{built.info.key}: assigning {describes(events)}")
    raise NotImplementedError
