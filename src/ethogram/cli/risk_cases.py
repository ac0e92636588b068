"""What the commands of ``ethogram risk`` share: a system that judges, the cases of a log, and two windows of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from cyclopts import Parameter

from ethogram.cli.asking import MOST_COMPARED
from ethogram.cli.judges import judging as judging
from ethogram.cli.opening import Reading, describes, open_log
from ethogram.cli.output import Output
from ethogram.errors import OptionError, StepError, UnknownName, nearest

if TYPE_CHECKING:
    from ethogram.evaluate.risk import Cases, Judgement
    from ethogram.log import Log
    from ethogram.verbs import Table

WHOLE = ("by-decision", "by-user")
"""Splits that keep whole users back."""


@Parameter(name="*", group="Judging")
@dataclass(kw_only=True)
class Judging:
    """How risks are held against what is known."""

    approve: float = 0.9
    "Share of the validation window that is to be approved; its threshold is then applied to the test window."
    valid: str | None = None
    "Validation window: a log, or the instant (2024-05-01) that ends it; else the split it was fitted with, or halves."
    outcome: str | None = None
    "Column of the users that holds the outcome: 1 bad, 0 good, empty not known yet; found by usual names if not given."
    by: Annotated[str | None, Parameter(name="--group")] = None
    "Column of the users with a protected attribute; `group` if there is one."
    money: str | None = None
    "Column of the users with the money at stake; usual names, else the values of the events, if not given."
    loss: float = 1.0
    "What approving a bad case costs, as a share of its money."
    margin: float = 0.1
    "What declining a good case costs, as a share of its money."


class Windows(NamedTuple):
    """Cases in two windows, and how they were cut, in words."""

    valid: Cases
    test: Cases
    words: str


def assessed(built: Any, log: Log, say: Output) -> Table:
    """What a system says of every case of a log."""
    if not len(log.sequences()):
        raise StepError("the log holds no events: there is nobody to judge.")
    say.line(f"{built.info.key}: judging {describes(log)}")
    table = built.assess(log)
    if not len(table):
        raise StepError(f"{built.info.key} finds no case in this log.")
    if "risk" not in table.column_names:
        raise OptionError(f"{built.info.key} judges, but tells no risk; `ethogram assess` shows what it tells.")
    return table


def windows(
    model: str, built: Any, source: str, how: Judging, reading: Reading | None, say: Output
) -> tuple[Windows, Log]:  # fmt: skip
    """The cases of a log in a validation and a test window, and the log."""
    from ethogram.evaluate.risk.cases import NEVER

    log = open_log(source, reading, say)
    protocol = fitted_on(model, log)
    if how.valid is None and protocol in WHOLE:
        parts = log.split(protocol)
        before, after = _cases(built, parts.valid, how, say), _cases(built, parts.test, how, say)
        words = f"validation: {len(before):,} cases; test: {len(after):,}; of the {protocol} split it was fitted with"
        return Windows(before, after, words), log
    found = _cases(built, log, how, say)
    if how.valid is not None and _instant(how.valid) is None:
        other = _cases(built, open_log(how.valid, None, say), how, say)
        return Windows(other, found, f"validation: all {len(other):,} cases of {how.valid}"), log
    if found.time is None:
        raise OptionError(
            "nothing tells when cases were decided (column `decided` of the users, or the system's `time`), so there "
            "is no earlier window to choose a threshold on; give one: --valid LOG."
        )
    timed = found.time != NEVER
    untimed = "" if timed.all() else f"; {int((~timed).sum()):,} without an instant of decision are in neither"
    found = found.take(timed)
    time = found.time
    assert time is not None
    cut = _instant(how.valid) if how.valid else int(np.median(time)) if len(time) else 0
    early = time < cut
    if not early.any() or early.all():
        what = f"before {how.valid}" if how.valid else "before the others: all at one instant"
        right = "another instant, or a log of other cases: --valid LOG"
        raise OptionError(f"{int(early.sum()):,} of {len(found):,} cases were decided {what}; give {right}.")
    day = str(np.datetime64(cut, "us").astype("datetime64[s]")).replace("T", " ").removesuffix(" 00:00:00")
    before, after = found.take(early), found.take(~early)
    words = f"validation: {len(before):,} cases decided before {day}; test: {len(after):,} from then on{untimed}"
    return Windows(before, after, words), log


def judged(found: Windows, how: Judging) -> Judgement:
    """The judgement of the test window."""
    from ethogram.evaluate.risk import judge

    return judge(found.valid, found.test, approve=how.approve, loss=how.loss, margin=how.margin)


def place_of(cases: Cases, user: str, session: str | None = None) -> int:
    """The row of a user's case, of several the riskiest.

    Raises
    ------
    UnknownName
        No such user or session was judged; the nearest is told.
    """
    told = [str(u) for u in cases.users.to_pylist()]
    rows = [n for n, u in enumerate(told) if u == user]
    if not rows:
        near = nearest(user, told) if len(told) <= MOST_COMPARED else ""
        raise UnknownName(f"no case is of a user '{user}'.{near}")
    if session is not None:
        if "session" not in cases.table.column_names:
            raise OptionError(f"--session {session}: here a case is a whole user; leave it out.")
        sessions = [str(s) for s in cases.table["session"].to_pylist()]
        mine = [n for n in rows if sessions[n] == session]
        if not mine:
            there = ", ".join(sessions[n] for n in rows[:10])
            raise UnknownName(f"user '{user}' has no session '{session}'; there are {there}.")
        rows = mine
    return max(rows, key=lambda n: cases.risk[n])


def fitted_on(model: str, log: Log) -> str:
    """The protocol by which a saved system was fitted on this very log; "" where it was not."""
    from ethogram.saving import notes

    place = Path(model).expanduser()
    noted = notes(place) if place.is_dir() else {}
    return str(noted.get("protocol", "")) if noted.get("fingerprint") == log.fingerprint() else ""


def flattered(model: str, log: Log, how: Judging) -> list[str]:
    """A warning where the cases that are judged are those that the system learned from."""
    protocol = fitted_on(model, log)
    if not protocol or (protocol in WHOLE and how.valid is None):
        return []
    return [
        "The system learned from cases of this log: the figures flatter it. Fit it with --protocol by-decision, or "
        "judge it on a log that it has not seen."
    ]


def remarks(model: str, built: Any, log: Log, how: Judging) -> list[str]:
    """What a reader has to know of the system: `flattered`, and whether it reads what is protected."""
    from ethogram.evaluate.risk.cases import GROUP

    name = how.by or GROUP
    reads = name in getattr(built, "profile", ())
    told = f"The system reads '{name}', the attribute whose groups are compared here; many laws forbid deciding by it."
    return [*flattered(model, log, how), *([told] if reads else [])]


def _cases(built: Any, log: Log, how: Judging, say: Output) -> Cases:
    from ethogram.evaluate.risk import cases_of

    own = [getattr(built, name, None) for name in ("outcome", "label")]
    there = () if log.users is None else log.users.column_names
    outcome = how.outcome or next((c for c in own if c in there), None)
    return cases_of(log, assessed(built, log, say), outcome=outcome, group=how.by, money=how.money)


def _instant(text: str) -> int | None:
    """Microseconds of an instant; None where the text names a log."""
    from ethogram import data
    from ethogram.log import condition
    from ethogram.log.finding import there

    name = text.partition(":")[0]
    if there(Path(text).expanduser()) or name in data.names():
        return None
    try:
        return condition.micros(text)
    except StepError:
        known = nearest(name, data.names())
        raise OptionError(f"--valid {text}: it is neither an instant like 2024-05-01 nor a log.{known}") from None
