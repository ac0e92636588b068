"""Sequences of events in continuous time, ragged, with the span that each was observed for.

What a point process is judged on is the events after `begin`, given those up to it, and the silence up to `end`. Events
of one sequence with equal times know nothing of each other: what a process knows at time t is the events strictly
before t, and `before` says how many those are for each event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit

from ethogram.errors import StepError


@dataclass(frozen=True, eq=False)
class Streams:
    """n sequences of (time, kind).

    Attributes
    ----------
    time : float64[N], not descending within a sequence. kind : int64[N], 0 to ``kinds - 1``; -1 is an unknown kind.
    offsets : int64[n + 1]; sequence i owns events ``offsets[i]:offsets[i + 1]``.
    begin, end : float64[n]; the sequence is judged on ``(begin, end]``.
    """

    time: np.ndarray
    kind: np.ndarray
    offsets: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    kinds: int

    def __len__(self) -> int:
        return len(self.begin)

    @classmethod
    def of(
        cls, sequences: Iterable[tuple[Sequence[float], Sequence[int]]], kinds: int, *, begin: Any = "first",
        end: Any = "last",
    ) -> Streams:  # fmt: skip
        """From (times, kinds) of each sequence.

        Parameters
        ----------
        begin, end : numbers for all sequences or one for each; ``first`` and ``last`` are the sequence's own events.

        Raises
        ------
        StepError
            Times that run backwards or are not finite, or an unknown kind; says which sequence and event.

        Examples
        --------
        >>> Streams.of([([0.0, 1.0, 1.5], [0, 1, 0])], 2).judged.tolist()
        [False, True, True]
        """
        pairs = [(np.asarray(t, np.float64), np.asarray(k, np.int64)) for t, k in sequences]
        for i, (time, kind) in enumerate(pairs):
            _check(i, time, kind, kinds)
        lengths = np.array([len(t) for t, _ in pairs], np.int64)
        time = np.concatenate([t for t, _ in pairs]) if pairs else np.zeros(0)
        kind = np.concatenate([k for _, k in pairs]) if pairs else np.zeros(0, np.int64)
        empty = np.zeros(len(pairs))
        first = np.array([t[0] if len(t) else 0.0 for t, _ in pairs]) if pairs else empty
        last = np.array([t[-1] if len(t) else 0.0 for t, _ in pairs]) if pairs else empty
        begins = first if isinstance(begin, str) else np.broadcast_to(np.asarray(begin, np.float64), len(pairs)).copy()
        ends = last if isinstance(end, str) else np.broadcast_to(np.asarray(end, np.float64), len(pairs)).copy()
        return cls(time, kind, np.append(0, np.cumsum(lengths)), begins, np.maximum(begins, ends), kinds)

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    @cached_property
    def owner(self) -> np.ndarray:
        """Sequence of each event, int64[N]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def judged(self) -> np.ndarray:
        """bool[N]: the event lies in its sequence's (begin, end]."""
        return (self.time > self.begin[self.owner]) & (self.time <= self.end[self.owner])

    @cached_property
    def before(self) -> np.ndarray:
        """int64[N]: how many events of the sequence are strictly earlier."""
        return _before(self.time, self.offsets)

    def last(self) -> States:
        """Each sequence at its end, all of its events up to there known."""
        inside = self.time <= self.end[self.owner]
        known = np.bincount(self.owner[inside], minlength=len(self)).astype(np.int64)
        return States(np.arange(len(self)), known, self.end)

    @cached_property
    def gaps(self) -> Gaps:
        """Stretches between which nothing happens; see `Gaps`."""
        return Gaps(*_gaps(self.time, self.offsets, self.begin, self.end))

    def take(self, rows: Any) -> Streams:
        """Some of the sequences, in that order."""
        rows = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        lengths = self.lengths[rows]
        offsets = np.append(0, np.cumsum(lengths))
        at = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return replace(
            self, time=self.time[at], kind=self.kind[at], offsets=offsets, begin=self.begin[rows], end=self.end[rows]
        )

    @cached_property
    def origin(self) -> np.ndarray:
        """Where `scaled` counts each sequence's time from, float64[n]: its first event, or its begin if earlier."""
        if not len(self.time):
            return self.begin
        first = self.time[np.minimum(self.offsets[:-1], len(self.time) - 1)]
        return np.where(self.lengths > 0, np.minimum(first, self.begin), self.begin)

    def scaled(self, unit: float) -> Streams:
        """Times counted in `unit` from `origin`."""
        time = (self.time - self.origin[self.owner]) / unit
        begin, end = (self.begin - self.origin) / unit, (self.end - self.origin) / unit
        return replace(self, time=time, begin=begin, end=end)


@dataclass(frozen=True, eq=False)
class States:
    """Instants at which something is asked of a process: sequence `owner`, of which it knows the first `known` events.

    Attributes
    ----------
    owner, known : int64[m]. now : float64[m], not before the last known event; nothing happened between.
    """

    owner: np.ndarray
    known: np.ndarray
    now: np.ndarray

    def __len__(self) -> int:
        return len(self.owner)

    def take(self, rows: Any) -> States:
        return States(self.owner[rows], self.known[rows], self.now[rows])


@dataclass(frozen=True, eq=False)
class Gaps:
    """Every span (start, stop] of a judged stretch in which no event lies, in order.

    Attributes
    ----------
    owner : int64[G], its sequence. known : int64[G], events of the sequence up to `start`. start, stop : float64[G].
    event : int64[G], place of the first event at `stop`, -1 where the observation ends there without one.
    """

    owner: np.ndarray
    known: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    event: np.ndarray

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def states(self) -> States:
        """Where each gap begins."""
        return States(self.owner, self.known, self.start)


def _check(i: int, time: np.ndarray, kind: np.ndarray, kinds: int) -> None:
    if len(time) != len(kind):
        raise StepError(f"sequence {i}: {len(time)} times but {len(kind)} kinds.")
    if not np.isfinite(time).all():
        at = int(np.flatnonzero(~np.isfinite(time))[0])
        raise StepError(f"sequence {i}, event {at}: time {time[at]} is not a finite number.")
    if (np.diff(time) < 0).any():
        at = int(np.flatnonzero(np.diff(time) < 0)[0]) + 1
        raise StepError(f"sequence {i}, event {at}: time {time[at]:g} lies before {time[at - 1]:g}; sort by time.")
    if len(kind) and (kind.min() < -1 or kind.max() >= kinds):
        at = int(np.flatnonzero((kind < -1) | (kind >= kinds))[0])
        raise StepError(f"sequence {i}, event {at}: kind {kind[at]} is none of 0 to {kinds - 1}.")


@njit(cache=True, nogil=True)
def _before(time, offsets):  # type: ignore[no-untyped-def]
    out = np.empty(len(time), np.int64)
    for i in range(len(offsets) - 1):
        for j in range(offsets[i], offsets[i + 1]):
            same = j > offsets[i] and time[j] == time[j - 1]
            out[j] = out[j - 1] if same else j - offsets[i]
    return out


@njit(cache=True, nogil=True)
def _gaps(time, offsets, begin, end):  # type: ignore[no-untyped-def]
    most = len(time) + len(begin)
    owner, known = np.empty(most, np.int64), np.empty(most, np.int64)
    start, stop, event = np.empty(most), np.empty(most), np.empty(most, np.int64)
    n = 0
    for i in range(len(begin)):
        at = begin[i]
        for j in range(offsets[i], offsets[i + 1]):
            if time[j] <= at or time[j] > end[i]:
                continue
            owner[n], known[n], start[n], stop[n], event[n] = i, j - offsets[i], at, time[j], j
            at = time[j]
            n += 1
        if end[i] > at:
            last = offsets[i]
            while last < offsets[i + 1] and time[last] <= at:
                last += 1
            owner[n], known[n], start[n], stop[n], event[n] = i, last - offsets[i], at, end[i], -1
            n += 1
    return owner[:n], known[:n], start[:n], stop[:n], event[:n]
