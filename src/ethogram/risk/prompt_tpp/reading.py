"""Logs and histories as sequences of (time, kind)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, StepError
from ethogram.log.histories import FOREVER
from ethogram.numeric.streams import Streams
from ethogram.verbs import Histories, Log, Vocabulary

MOST = 256
"""Kinds that a process can tell apart."""
ORDINAL = "order"


@dataclass(frozen=True, eq=False)
class Marks:
    """What the kinds are.

    Attributes
    ----------
    column : of the events, empty where all events are of one kind.
    ids : the values that training met, if they are names. edges : between the bins, if they are numbers.
    """

    column: str
    ids: Vocabulary | None = None
    edges: np.ndarray | None = None

    @classmethod
    def of(cls, done: Histories, mark: str | None, bins: int, kinds: tuple[str, ...] = ()) -> Marks:
        """From a training log.

        Raises
        ------
        StepError
            No such column. OptionError: too many values.
        """
        name = mark or ("kind" if "kind" in done.columns else "")
        if not name:
            return cls("")
        if name not in done.columns:
            told = ", ".join(sorted(done.columns))
            raise StepError(
                f"prompt_tpp: the log has no column '{name}' to be the kind of an event; there are: {told}."
            )
        rows = done.flat()[0]
        values = np.asarray(done.columns[name])[rows]
        if name in done.vocabularies:
            met = np.unique(values[values >= 0])
            if kinds:
                lacking = [k for k in done.vocabularies[name].decode(met).to_pylist() if str(k) not in kinds]
                if lacking:
                    raise OptionError(f"prompt_tpp: the log holds '{lacking[0]}', which is none of kinds = {kinds}.")
                return cls(name, Vocabulary(list(kinds)))
            if len(met) > MOST:
                raise OptionError(f"prompt_tpp: '{name}' has {len(met):,} values; {MOST} kinds are the most.")
            return cls(name, Vocabulary(done.vocabularies[name].decode(met)))
        known = values[np.isfinite(values)]
        shares = np.linspace(0, 1, bins + 1)[1:-1]
        edges = np.unique(np.quantile(known, shares)) if len(known) else np.zeros(0)
        return cls(name, edges=edges)

    def __len__(self) -> int:
        if self.ids is not None:
            return max(len(self.ids), 1)
        return 1 if self.edges is None else len(self.edges) + 1

    def names(self) -> pa.Array:
        """What each kind is called."""
        if self.ids is not None:
            return self.ids.decode(np.arange(len(self.ids), dtype=np.int32))
        if self.edges is None:
            return pa.array(["event"])
        told = [f"{e:g}" for e in self.edges]
        both = [*(f"{a} to {b}" for a, b in itertools.pairwise(told))]
        return pa.array([f"up to {told[0]}", *both, f"over {told[-1]}"] if told else ["any"])

    def codes(self, done: Histories, rows: np.ndarray) -> np.ndarray:
        """Kind of each row, -1 for an unknown one; int64."""
        if not self.column:
            return np.zeros(len(rows), np.int64)
        if self.column not in done.columns:
            return np.full(len(rows), -1, np.int64)
        values = np.asarray(done.columns[self.column])[rows]
        if self.ids is not None:
            if self.column not in done.vocabularies:
                return np.full(len(rows), -1, np.int64)
            place = np.append(done.vocabularies[self.column].codes_in(self.ids), -1)
            return place[values].astype(np.int64)
        number = values.astype(np.float64)
        found = np.searchsorted(self.edges, number, side="left")  # type: ignore[arg-type]
        return np.where(np.isnan(number), -1, found).astype(np.int64)


def streams(done: Histories, marks: Marks, unit: float) -> tuple[Streams, bool]:
    """(sequences judged from first to last event, whether their times are instants).

    Times are microseconds. Histories without times have events one mean gap apart. Events of one instant are put in the
    order of their kinds, since the order in which they are stored says nothing.
    """
    rows, offsets = done.flat()
    owner = np.repeat(np.arange(len(done)), np.diff(offsets))
    dated = "time" in done.columns
    if dated:
        time = np.asarray(done.columns["time"])[rows].astype(np.float64)
    else:
        time = (np.arange(len(rows)) - offsets[owner]) * unit
    kind = marks.codes(done, rows)
    order = np.lexsort((kind, time, owner))
    time, kind = time[order], kind[order]
    some = np.diff(offsets) > 0
    padded = np.append(time, 0.0)
    begin = np.where(some, padded[np.minimum(offsets[:-1], len(time))], 0.0)
    end = np.where(some, padded[offsets[1:] - 1], 0.0)
    return Streams(time, kind, offsets.astype(np.int64), begin, end, len(marks)), dated


def window(log: Log, marks: Marks, silence: bool) -> tuple[Streams, Histories]:
    """The behaviour of a log, a sequence for each person.

    Raises
    ------
    StepError
        The log has no times.
    """
    done = log.histories()
    if "time" not in done.columns:
        raise StepError("prompt_tpp: the log has no times; a point process has to know when events happened.")
    done = done[done.lengths > 0]
    found, _ = streams(done, marks, 1.0)
    if silence and len(found.time):
        end = np.full(len(found), found.time.max())
        found = Streams(found.time, found.kind, found.offsets, found.begin, end, found.kinds)
    return found, done


def asked_at(done: Histories, found: Streams, dated: bool) -> np.ndarray:
    """Instant from which each question's future runs: when it is asked, else its last event; float64[n]."""
    if not dated:
        return found.end
    asked = np.where(done.time == FOREVER, -np.inf, done.time.astype(np.float64))
    return np.maximum(found.end, asked)
