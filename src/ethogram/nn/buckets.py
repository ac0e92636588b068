"""A history as a fixed-size table of hash buckets: what a ranking service fetches instead of the history.

The table of a user is G x 2^width sums of event vectors and their counts, whatever the length of the history (32 KB
as float32 for 16 groups, 8 buckets, 64 dimensions). It changes event by event: `add` what happened, `expire` what
falls out of the window. Reading costs G rows per candidate. NumPy only: no network is needed to serve.

A table with a `memory` T fades: an event of age a weighs exp(-a / T). Nothing is swept: the sums hold the weights as
of the last write, a write first multiplies them by exp(-dt / T), and so does a read that is not normalised. (A
common factor leaves normalised buckets as they are.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numba import njit

from ethogram.errors import OptionError, StateError

Times = np.ndarray | int | None


@dataclass(frozen=True, eq=False)
class BucketTable:
    """Sums of event vectors by signature; a value: `add` and `expire` return another table.

    Attributes
    ----------
    sums : float64[G, B, dim]. Sums of float32 vectors in float64 are exact for any history that fits in memory, so a
        table that was filled and emptied event by event equals one made at once.
    counts : int32[G, B]. version : of the embeddings and directions that made it; tables of another are refused.
    memory : microseconds after which an event weighs 1/e; None lets all weigh alike.
    time : microseconds UTC of the last write to a table that fades, None before the first.

    Examples
    --------
    >>> table = BucketTable.empty(groups=2, buckets=4, dim=3).add(np.array([1, 0]), np.array([3.0, 0.0, 4.0]))
    >>> table.gather(np.array([[1, 3], [1, 0], [2, 2]])).tolist()
    [[0.30000001192092896, 0.0, 0.4000000059604645], [0.6000000238418579, 0.0, 0.800000011920929], [0.0, 0.0, 0.0]]
    """

    sums: np.ndarray
    counts: np.ndarray
    version: str = ""
    memory: float | None = None
    time: int | None = None

    @classmethod
    def empty(
        cls, groups: int, buckets: int, dim: int, version: str = "", *, memory: float | None = None
    ) -> BucketTable:
        """Nobody's history."""
        if memory is not None and not memory > 0:
            raise OptionError(f"bucket table: memory = {memory} is no time; give microseconds above 0, or None.")
        return cls(np.zeros((groups, buckets, dim)), np.zeros((groups, buckets), np.int32), version, memory)

    @classmethod
    def of(
        cls, codes: np.ndarray, vectors: np.ndarray, buckets: int, version: str = "", *,
        memory: float | None = None, time: Times = None,
    ) -> BucketTable:  # fmt: skip
        """The table of events with signatures int[n, G] and vectors float32[n, dim]."""
        return cls.empty(codes.shape[1], buckets, vectors.shape[1], version, memory=memory).add(codes, vectors, time)

    @property
    def events(self) -> int:
        """How many events it holds."""
        return int(self.counts[0].sum())

    @property
    def bytes(self) -> int:
        """Size in memory, what is kept for reading left out."""
        return self.sums.nbytes + self.counts.nbytes

    def add(self, codes: np.ndarray, vectors: np.ndarray, time: Times = None) -> BucketTable:
        """With further events: signatures int[n, G] (or [G]), vectors float32[n, dim] (or [dim]).

        Parameters
        ----------
        time : microseconds UTC of the events, int64[n] or one for all; for a table that fades. They may come late.
        """
        codes, vectors, when = self._checked(codes, vectors, time)
        sums, counts, now = self.sums.copy(), self.counts.copy(), self.time
        weight = np.ones(len(codes))
        if self.memory is not None and len(codes):
            now = int(when.max()) if now is None else max(now, int(when.max()))
            sums *= self._weight(np.array(now if self.time is None else self.time), now)
            weight = self._weight(when, now)
        _move(sums, counts, codes, vectors, weight, 1)
        return replace(self, sums=sums, counts=counts, time=now)

    def expire(self, codes: np.ndarray, vectors: np.ndarray, time: Times = None) -> BucketTable:
        """Without events that were added before, by the same signatures, vectors and times.

        Raises
        ------
        StateError
            A bucket would hold less than nothing: the events were not in it.
        """
        codes, vectors, when = self._checked(codes, vectors, time)
        sums, counts = self.sums.copy(), self.counts.copy()
        weight = np.ones(len(codes))
        if self.memory is not None and self.time is not None:
            weight = self._weight(when, self.time)
        _move(sums, counts, codes, vectors, weight, -1)
        if counts.min(initial=0) < 0:
            raise StateError("bucket table: an event expires that was never added.")
        return replace(self, sums=sums, counts=counts)

    def gather(self, codes: np.ndarray, *, normalise: bool = True, time: int | None = None) -> np.ndarray:
        """Interest of candidates with signatures int[n, G]: float32[n, dim].

        The mean over groups of the candidate's bucket, each sum l2-normalised unless told otherwise; an empty bucket
        is zero.

        Parameters
        ----------
        time : microseconds UTC of the request, for sums of a table that fades; default the last write.
        """
        groups, buckets, dim = self.sums.shape
        codes = np.ascontiguousarray(codes, np.int32)
        if codes.ndim != 2 or codes.shape[1] != groups or (len(codes) and not _within(codes, buckets)):
            raise OptionError(f"bucket table: signatures must be [n, {groups}] with values in 0 ... {buckets - 1}.")
        out = np.empty((len(codes), dim), np.float32)
        _gather(out, codes, self.rows(normalise))
        if not normalise and self.memory is not None and time is not None and self.time is not None:
            out *= np.float32(self._weight(np.array(self.time), time))
        return out

    def rows(self, normalise: bool = True) -> np.ndarray:
        """What reads sum up, float32[G, B, dim]; kept by the table once made."""
        found: np.ndarray = self._units if normalise else self._shares
        return found

    @cached_property
    def _units(self) -> np.ndarray:
        """What normalised reads sum up, float32[G, B, dim]: made by the first of them, not by every one."""
        out = np.empty(self.sums.shape, np.float32)
        _normalise(out, self.sums)
        return out

    @cached_property
    def _shares(self) -> np.ndarray:
        return (self.sums / len(self.sums)).astype(np.float32)

    def check(self, version: str) -> BucketTable:
        """Itself, if it was made by that version."""
        if version != self.version:
            raise StateError(f"bucket table of version '{self.version}' cannot be read by '{version}'; rebuild it.")
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        """For saving; ``BucketTable(**arrays, version=..., memory=..., time=...)`` is the inverse."""
        return {"sums": self.sums, "counts": self.counts}

    def _weight(self, when: np.ndarray, now: int) -> np.ndarray:
        assert self.memory is not None
        return np.exp((when - now) / self.memory)

    def _checked(
        self, codes: np.ndarray, vectors: np.ndarray, time: Times
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        codes = np.ascontiguousarray(np.atleast_2d(codes), np.int32)
        vectors = np.ascontiguousarray(np.atleast_2d(vectors), np.float32)
        groups, buckets, dim = self.sums.shape
        fits = codes.shape == (len(vectors), groups) and vectors.shape[1] == dim
        if not fits or (len(codes) and not _within(codes, buckets)):
            raise OptionError(
                f"bucket table [{groups}, {buckets}, {dim}]: signatures {codes.shape} and vectors {vectors.shape} "
                f"must be [n, {groups}] below {buckets} and [n, {dim}]."
            )
        if len(vectors) and not np.isfinite(vectors).all():
            raise OptionError("bucket table: an event's vector is not finite; it would spoil its buckets for good.")
        if self.memory is not None and time is None and len(codes):
            raise OptionError("bucket table: this table fades (memory), so events need their time.")
        return codes, vectors, np.broadcast_to(np.asarray(0 if time is None else time, np.int64), len(codes))


def _within(codes: np.ndarray, buckets: int) -> bool:
    return bool(codes.min() >= 0 and codes.max() < buckets)


@njit(cache=True, nogil=True)
def _move(
    sums: np.ndarray, counts: np.ndarray, codes: np.ndarray, vectors: np.ndarray, weight: np.ndarray, sign: int
) -> None:
    for i in range(codes.shape[0]):
        by = sign * weight[i]
        for g in range(codes.shape[1]):
            b = codes[i, g]
            counts[g, b] += sign
            if counts[g, b] == 0:
                sums[g, b, :] = 0.0  # an emptied bucket is empty, whatever rounding left
            else:
                for k in range(vectors.shape[1]):
                    sums[g, b, k] += by * vectors[i, k]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _normalise(out: np.ndarray, sums: np.ndarray) -> None:
    groups, buckets, dim = sums.shape
    for g in range(groups):
        for b in range(buckets):
            square = 0.0
            for k in range(dim):
                square += sums[g, b, k] * sums[g, b, k]
            scale = 1.0 / (groups * np.sqrt(square)) if square > 0 else 0.0
            for k in range(dim):
                out[g, b, k] = np.float32(sums[g, b, k] * scale)


@njit(cache=True, nogil=True, fastmath=True)
def _gather(out: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> None:
    for i in range(codes.shape[0]):
        for k in range(out.shape[1]):
            out[i, k] = 0
        for g in range(codes.shape[1]):
            row = rows[g, codes[i, g]]
            for k in range(out.shape[1]):
                out[i, k] += row[k]
