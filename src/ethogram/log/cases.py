"""Cases to judge: each user as of the moment of a decision, with the outcome where it is known.

The users' side table says when each was decided, what came of it, and when that was known. Events at or behind the
decision are a leak: a model that reads them knows what nobody knew. They are refused, or cut off and counted, never
read. An outcome that is not known (null, or known only after `as_of`) is censored: it is left out of training and
counted, never taken for a no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from ethogram.errors import LeakError, OptionError, RolesError, nearest
from ethogram.log import kernels
from ethogram.log.decisions import LATER, Decided, instants, users

if TYPE_CHECKING:
    from ethogram.log.log import Log
    from ethogram.log.sequences import Sequences

Leak = Literal["refuse", "cut"]


@dataclass(frozen=True, eq=False)
class Cases:
    """The users that have events in a log, in order of their codes.

    Attributes
    ----------
    log : where they are from. sequences : its events.
    user : int32[n] codes. row : int64[n], place in the users' side table, -1 without one.
    decided : int64[n], microseconds UTC; without one, the instant behind the log's last event.
    start, stop : int64[n]; the events strictly before the decision are rows ``start[i]:stop[i]`` of `sequences`.
    label : float32[n], NaN where censored.
    cut : events at or behind a decision that were cut off. late : outcomes that were known too late.
    """

    log: Log
    sequences: Sequences
    user: np.ndarray
    row: np.ndarray
    decided: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    label: np.ndarray
    cut: int
    late: int

    def __len__(self) -> int:
        return len(self.user)

    @property
    def known(self) -> np.ndarray:
        """bool[n], whether the outcome is known."""
        return ~np.isnan(self.label)

    @property
    def ids(self) -> pa.Array:
        """The users' ids."""
        return self.sequences.vocabularies["user"].decode(self.user)

    def since(self, days: float | None) -> np.ndarray:
        """First row of each case that lies within so many days before its decision; all rows for None."""
        if days is None:
            return self.start
        from_ = self.decided - int(days * 86_400_000_000)
        time = np.asarray(self.sequences.columns["time"])
        return kernels.strictly_before(self.start, self.stop, [time], [from_])


def cases(
    log: Log, *, label: str = "default", decided: str = "decided", known: str = "known", leak: Leak = "refuse",
    needed: bool = False,
) -> Cases:  # fmt: skip
    """The cases of a log.

    Parameters
    ----------
    label, decided, known : columns of the users' side table; the latter two may be missing.
    leak : what to do with events at or behind the decision.
    needed : whether the label's column has to be there.

    Raises
    ------
    LeakError
        Events lie at or behind a decision, and `leak` is "refuse": how many, whose, and how to cut them off.
    RolesError
        The log has no time, or a column is missing or of the wrong type. OptionError: a label outside [0, 1].
    """
    sequences = log.sequences()
    if "time" not in sequences.columns:
        raise RolesError("cases: the log has no time, so nothing lies before a decision.")
    codes, row = users(log)
    time = np.asarray(sequences.columns["time"])
    when = instants(log, decided, needed=False)
    end = int(time.max()) + 1 if len(time) else 0
    moment = np.full(len(codes), LATER) if when is None else np.where(row >= 0, when[np.maximum(row, 0)], LATER)
    start, whole = sequences.offsets[:-1].astype(np.int64), sequences.offsets[1:].astype(np.int64)
    stop = kernels.strictly_before(start, whole, [time], [moment])
    behind = whole - stop
    if leak == "refuse" and behind.any():
        worst = np.argsort(-behind, kind="stable")[: min(3, int((behind > 0).sum()))]
        names = sequences.vocabularies["user"].decode(codes[worst]).to_pylist()
        whose = ", ".join(f"{name!r} ({behind[i]:,})" for name, i in zip(names, worst, strict=True))
        more = f" and {int((behind > 0).sum()) - len(worst):,} more" if (behind > 0).sum() > len(worst) else ""
        raise LeakError(
            f"{int(behind.sum()):,} events lie at or behind their user's '{decided}': of {whose}{more}. Nobody knew "
            "them at the decision. Cut them off with leak='cut', or write another instant into the side table."
        )
    answer, late = _labels(log, label, known, row, codes, needed)
    return Cases(
        log, sequences, codes, row, np.where(moment == LATER, end, moment), start, stop, answer, int(behind.sum()), late
    )


def _labels(
    log: Log, label: str, known: str, row: np.ndarray, codes: np.ndarray, needed: bool
) -> tuple[np.ndarray, int]:
    names = [] if log.users is None else log.users.column_names
    if label not in names:
        if needed:
            there = ", ".join(names) or "no side table of users"
            raise RolesError(
                f"users: no column '{label}' that says what came of a decision.{nearest(label, names)} There: {there}. "
                "Give the side table (users=...), and the column's name as option `label`."
            )
        return np.full(len(codes), np.nan, np.float32), 0
    held = log.users[label].combine_chunks()  # type: ignore[index]
    if pa.types.is_boolean(held.type):
        held = held.cast(pa.int8())
    if not (pa.types.is_integer(held.type) or pa.types.is_floating(held.type) or pa.types.is_null(held.type)):
        raise RolesError(f"users: label '{label}' is {held.type}; give 0 and 1, null where it is not known yet.")
    told = held.cast(pa.float32()).to_numpy(zero_copy_only=False)
    found = np.where(row >= 0, told[np.maximum(row, 0)], np.nan).astype(np.float32)
    wrong = np.flatnonzero((found < 0) | (found > 1))
    if len(wrong):
        name = log.vocabulary("user").decode(codes[wrong[:1]])[0].as_py()
        raise OptionError(f"users: label '{label}' of {name!r} is {found[wrong[0]]:g}; it lies in [0, 1], or is null.")
    part = log.steps[-1] if log.steps else None
    if not isinstance(part, Decided) or part.as_of is None or (told_at := instants(log, known, needed=False)) is None:
        return found, 0
    # an outcome whose instant is not told counts as known
    late = (row >= 0) & (told_at[np.maximum(row, 0)] >= part.as_of) & (told_at[np.maximum(row, 0)] < LATER)
    late &= ~np.isnan(found)
    found[late] = np.nan
    return found, int(late.sum())
