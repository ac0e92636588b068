"""Whom a saved system is asked about: users of the log that it learned from, or strangers given as item ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ethogram.cli.opening import Reading, open_log
from ethogram.cli.output import Output
from ethogram.errors import OptionError, UnknownName, nearest
from ethogram.saving import notes
from ethogram.system import load

if TYPE_CHECKING:
    from ethogram.log import Histories, Log

Users = Annotated[
    tuple[str, ...], Parameter(name="--user", negative=(), help="Id of a user of the log; can be repeated.")
]
Lists = Annotated[
    tuple[str, ...],
    Parameter(
        name="--history",
        negative=(),
        allow_leading_hyphen=True,
        help="What a stranger did: item ids separated by commas, oldest first, '' for nothing; can be repeated.",
    ),
]
Source = Annotated[
    str | None, Parameter(name="--log", help="The log; the one that the system learned from if not given.")
]
MOST_COMPARED = 20_000
"""Ids that are compared letter by letter to find the nearest to a wrong one."""


def fitted(model: Path, verb: str) -> Any:
    """A saved system that has a verb."""
    built = load(model)
    if verb not in built.info.verbs:
        raise OptionError(f"{built.info.key} cannot {verb}; its verbs are {', '.join(built.info.verbs)}.")
    return built


def log_of(model: Path, given: str | None, out: Output) -> Log:
    """The log given, or the one that the model learned from."""
    noted = notes(model)
    if given is None and not noted.get("log"):
        raise OptionError(f"{model} does not say which log it learned from; give --log.")
    if given is None:
        return open_log(noted["log"], Reading(**noted["reading"]), out)
    return open_log(given, None, out)


def histories(model: Path, users: Sequence[str], lists: Sequence[str], given: str | None, out: Output) -> Histories:
    """What the asked people did so far: users of the log, or strangers; not both in one call."""
    from ethogram.log import Histories
    from ethogram.log.questions import behaviour

    if bool(users) == bool(lists):
        raise OptionError("say whom: --user ID (of the log), or --history ID,ID,... (a stranger).")
    if lists:
        return Histories.of([split(text) for text in lists])
    log = log_of(model, given, out)
    known = log.vocabulary("user")
    codes = known.encode(list(users))
    for user, code in zip(users, codes, strict=True):
        if code < 0:
            near = nearest(user, map(str, known.ids.to_pylist())) if len(known) <= MOST_COMPARED else ""
            raise UnknownName(f"the log has no user '{user}'.{near}")
    return Histories.at(behaviour(log.sequences()), codes, tables=log.tables)


def split(text: str) -> list[str]:
    """Item ids in a text (ids given as text find ids that are numbers)."""
    return [part.strip() for part in text.split(",") if part.strip()]


def write(table: Any, path: Path) -> None:
    """A table as Parquet or CSV, by the ending of the name; CSV has lists as text (see `flat`).

    Raises
    ------
    OptionError
        Another ending.
    """
    check_ending(path)
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, path)
    else:
        from pyarrow import csv

        csv.write_csv(flat(table), path)


def flat(table: Any) -> Any:
    """A table with lists as text: ``what: value (31%); ...`` for reasons."""
    for place, name in enumerate(table.column_names):
        if str(table.schema.field(name).type).startswith("list"):
            told = ["; ".join(map(worded, row or ())) for row in table[name].to_pylist()]
            table = table.set_column(place, name, [told])
    return table


def worded(reason: Any) -> str:
    """A reason in a line."""
    if not isinstance(reason, dict) or "what" not in reason:
        return str(reason)
    share = reason.get("share")
    return f"{reason['what']}: {reason.get('value')}" + ("" if share is None else f" ({share:.0%})")


def check_ending(path: Path | None) -> None:
    """Refuse, before any work, a name that ends in neither .parquet nor .csv."""
    if path is not None and path.suffix not in (".parquet", ".csv"):
        raise OptionError(f"--out {path}: the name must end in .parquet or .csv.")
