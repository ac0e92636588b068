"""``ethogram anticipate MODEL LOG``: what receivers will do, which titles to test, and why they responded."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ethogram.cli.asking import check_ending, fitted, write
from ethogram.cli.opening import Reading, open_log
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError, SourceError

SHOWN = 20
Flag = Annotated[bool, Parameter(negative=())]


def anticipate(
    model: Path,
    log: str,
    /,
    *,
    titles: Path | None = None,
    behaviour: str | None = None,
    why: Flag = False,
    judge: Flag = False,
    known: Flag = False,
    out: Path | None = None,
    json: Json = None,
    reading: Reading | None = None,
) -> None:
    """Say what receivers will do with messages, with a saved model of messages and behaviour.

    Parameters
    ----------
    model
        Folder of the saved model.
    log
        A log of messages: a directory, a file, the name of a data set, or records as JSON lines (.jsonl).
    titles
        File of JSON lines, {"message": ..., "titles": [...]}: titles to be ordered by --behaviour.
    behaviour
        The behaviour that titles are ordered by.
    why
        Name what lies behind the responses that the log holds.
    judge
        Compare with what the log says that receivers did.
    known
        Read the behaviour that the log holds and predict only what is missing.
    out
        Also write the table to this file (.parquet or .csv).
    """
    say = Output(json)
    check_ending(out)
    built = fitted(model, "anticipate")
    if sum([titles is not None, why, judge]) > 1:
        raise OptionError("give one of --titles, --why and --judge.")
    if (titles is None) != (behaviour is None):
        raise OptionError("--titles and --behaviour go together: which titles, and by what they are ordered.")
    messages = open_log(log, reading, say)
    if titles is not None:
        found = built.optimise(messages, _titles(titles), behaviour)
    elif judge:
        found = built.judge(messages)
    else:
        found = built.reasons(messages) if why else built.anticipate(messages, known=known)
    rows = found.to_pylist()
    say.table(found.column_names, [list(r.values()) for r in rows[:SHOWN]])
    if len(rows) > SHOWN:
        say.line(f"... and {len(rows) - SHOWN:,} more (--out FILE, --json FILE)")
    if titles is not None:
        say.line("Predicted, not caused: try the best titles in an experiment before you rely on them.")
    if out is not None:
        write(found, out)
    say.result(rows)


def _titles(path: Path) -> dict[str, list[str]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise SourceError(f"--titles {path}: the file cannot be read.") from None
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                told = jsons.loads(line)
                found[told["message"]] = list(told["titles"])
            except (ValueError, KeyError, TypeError):
                right = '{"message": "m1", "titles": ["...", "..."]}'
                raise SourceError(f"{path}, line {number}: write an object such as {right}.") from None
    return found
