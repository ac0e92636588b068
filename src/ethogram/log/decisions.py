"""A split by the moment of decision: people who applied earlier train, the latest ones judge.

The outcome of a decision is known only some time later. What was not known yet when the test begins takes no part in
training: the part remembers the instant (`as_of`), and `ethogram.log.cases` leaves such outcomes out and counts them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError, RolesError, StepError, nearest
from ethogram.log.sequences import Sequences

if TYPE_CHECKING:
    from ethogram.log.engine import Engine
    from ethogram.log.log import Log

LATER = np.iinfo(np.int64).max
"""Stands for an instant that is not known."""


@dataclass(frozen=True)
class Decided:
    """Whole users, by the instant in a column of their side table: ``start <= instant < stop`` (microseconds UTC).

    `as_of` is the instant as of which outcomes may be known, None without limit. `codes` are the users' codes; they
    follow from the log and the other fields.
    """

    part: Literal["train", "valid", "test"]
    column: str
    start: int | None
    stop: int | None
    as_of: int | None
    codes: np.ndarray = field(compare=False, repr=False)
    asks = "last"

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        return frame.filter(nw.col("user_code").is_in(self.codes.tolist()))

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        start = sequences.offsets[:-1]
        return sequences.cut(start, np.where(np.isin(sequences.users, self.codes), sequences.offsets[1:], start))


def parts(log: Log, valid: float, test: float, decided: str = "decided", known: str = "known") -> list[Decided]:
    """Steps of the three parts.

    Parameters
    ----------
    valid, test : shares of the people that have events and an instant of decision; the share `valid` is counted among
        those whose outcome is known when the test begins, so that it has something to say.
    decided, known : columns of the users' side table; without the second, outcomes count as known at once.

    Raises
    ------
    RolesError
        No side table, no such column, or it holds no instants. StepError: too few people to cut.
    """
    when = instants(log, decided)
    assert when is not None
    told = instants(log, known, needed=False)
    codes, place = users(log)
    there = (place >= 0) & (when[np.maximum(place, 0)] < LATER)
    codes, place = codes[there], place[there]
    at = when[place]
    outcome = at if told is None else told[place]
    if len(codes) < 3:
        raise StepError(f"split: {len(codes)} people have events and an instant of decision; by-decision needs 3.")
    second = int(np.sort(at)[min(int(len(at) * (1 - test)), len(at) - 1)])
    earlier = np.sort(at[(at < second) & (outcome < second)])
    if not len(earlier):
        raise StepError("split: no outcome is known before the test begins; make the test smaller.")
    first = int(earlier[min(int(len(earlier) * (1 - valid / (1 - test))), len(earlier) - 1)])
    bounds: tuple[tuple[Literal["train", "valid", "test"], int | None, int | None, int | None], ...] = (
        ("train", None, first, second), ("valid", first, second, second), ("test", second, None, None),
    )  # fmt: skip
    made = []
    for name, start, stop, as_of in bounds:
        inside = (at >= (-LATER if start is None else start)) & (at < (LATER if stop is None else stop))
        made.append(Decided(name, decided, start, stop, as_of, codes[inside]))
    return made


def users(log: Log) -> tuple[np.ndarray, np.ndarray]:
    """(codes of the users that have events, int32[n], ascending; row of each in the side table, -1 without)."""
    codes = np.asarray(log.sequences().users)
    if log.users is None:
        return codes, np.full(len(codes), -1, np.int64)
    vocabulary = log.vocabulary("user")
    own = vocabulary.encode(log.users["user"])
    row = np.full(len(vocabulary), -1, np.int64)
    row[own[own >= 0]] = np.flatnonzero(own >= 0)
    return codes, row[codes]


def instants(log: Log, column: str, *, needed: bool = True) -> np.ndarray | None:
    """A column of the users' side table as microseconds UTC, int64, `LATER` where null; None where it is not there.

    Raises
    ------
    RolesError
        It is needed and not there, or holds something else than instants.
    """
    from ethogram.log.condition import micros

    names = [] if log.users is None else log.users.column_names
    if column not in names:
        if not needed:
            return None
        known = ", ".join(names) or "no side table of users"
        raise RolesError(f"users: no column '{column}'.{nearest(column, names)} There: {known}.")
    held = log.users[column].combine_chunks()  # type: ignore[index]
    if pa.types.is_string(held.type) or pa.types.is_large_string(held.type):
        try:
            held = pa.array([None if v is None else micros(v) for v in held.to_pylist()], pa.int64())
        except (OptionError, StepError) as error:
            raise RolesError(f"users: column '{column}' holds no instants: {error}") from None
    elif pa.types.is_temporal(held.type):
        zone = getattr(held.type, "tz", None)
        held = held.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
    else:
        raise RolesError(f"users: column '{column}' is {held.type}; give instants (a timestamp, a date or ISO text).")
    return np.asarray(pc.fill_null(held, int(LATER)).to_numpy(zero_copy_only=False), np.int64)
