"""Which of many sets are like a set? Weighted MinHash, as an index that grows, forgets and is saved as arrays.

A token t has a weight w_t that is the same in every set (rare tokens weigh more), and K exponential clocks:

    e_k(t) = -ln u_k(t) / w_t        u_k(t) uniform in (0, 1), from a hash of the token and k
    m_k(S) = argmin over t in S of e_k(t)
    P(m_k(A) = m_k(B)) = J(A, B) = sum of w over A ∩ B  /  sum of w over A ∪ B

so the share of equal m_k estimates the weighted Jaccard similarity, unbiased, with standard error sqrt(J (1 - J) / K).
With all weights 1 it is Broder's MinHash. Each m_k is a bucket of its own: a question meets the sets that share a
bucket, counts how many they share, and the `depth` that share most are told apart by their exact similarity. A set
with J = 0.02 shares none of 192 buckets with probability 0.98^192 = 2%.

Broder: On the resemblance and containment of documents (Sequences 1997). Exponential clocks: Cohen, Kaplan:
Summarizing data using bottom-k sketches (PODC 2007). Leskovec et al.: Mining of Massive Datasets, chapter 3, for LSH.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numba import njit

from ethogram.errors import OptionError, StateError

NOBODY = np.uint32(0xFFFFFFFF)
"""The signature of an empty set; it equals no other, not even itself."""


class Sets(NamedTuple):
    """Weighted sets, ragged: set i is ``tokens[offsets[i]:offsets[i + 1]]``, distinct hashes, with a weight each."""

    offsets: np.ndarray
    "int64[n + 1]"
    tokens: np.ndarray
    "uint64"
    weights: np.ndarray
    "float64, above 0; one token has one weight wherever it stands."

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: np.ndarray) -> Sets:
        """Some of the sets."""
        sizes = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        at = np.repeat(self.offsets[:-1][rows] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return Sets(offsets, self.tokens[at], self.weights[at])

    def joined(self, other: Sets) -> Sets:
        """These sets, then the others."""
        offsets = np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]])
        return Sets(offsets, np.r_[self.tokens, other.tokens], np.r_[self.weights, other.weights])

    def sorted(self) -> Sets:
        """The same sets with their tokens in ascending order."""
        row = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        order = np.lexsort([self.tokens, row])
        tokens = self.tokens[order]
        if ((tokens[1:] == tokens[:-1]) & (row[1:] == row[:-1])).any():
            raise OptionError("minhash: a set holds a token twice; give each once.")
        if len(self.weights) and not (self.weights > 0).all():
            raise OptionError("minhash: weights are above 0.")
        return Sets(self.offsets, tokens, self.weights[order])


def signatures(sets: Sets, hashes: int = 64, seed: int = 0) -> np.ndarray:
    """m_k of every set as hashes, uint32[n, hashes]; `NOBODY` for an empty set."""
    if hashes < 1:
        raise OptionError(f"minhash: {hashes} hash functions; give 1 or more.")
    return _signed(sets.offsets, sets.tokens, sets.weights, hashes, np.uint64(seed))


def estimate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Estimated weighted Jaccard similarity of rows of signatures, float64[n]."""
    return ((a == b) & (a != NOBODY)).mean(-1)


def similarity(a: Sets, b: Sets) -> np.ndarray:
    """Exact weighted Jaccard similarity, row by row, float64[n]; 0 where either set is empty."""
    a, b = a.sorted(), b.sorted()
    rows = np.arange(len(a))
    return _exact(a.offsets, a.tokens, a.weights, b.offsets, b.tokens, b.weights, rows, rows)


class Shortlist:
    """An index of weighted sets that arrive one after the other.

    Parameters
    ----------
    hashes : K. depth : how many are told apart exactly.

    Examples
    --------
    >>> tokens = np.array([1, 2, 3, 1, 2, 9], np.uint64)
    >>> index = Shortlist(hashes=32)
    >>> index.add(Sets(np.array([0, 3, 6]), tokens, np.ones(6)))
    >>> place, score = index.search(Sets(np.array([0, 2]), np.array([3, 2], np.uint64), np.ones(2)), 2)
    >>> place.tolist(), score.round(2).tolist()
    ([[0, 1]], [[0.67, 0.25]])
    """

    TAIL = 2_048
    """Newest sets that are compared one by one before they are sorted in."""

    def __init__(self, hashes: int = 192, depth: int = 4_000, seed: int = 0):
        if hashes < 1 or depth < 1:
            raise OptionError(f"shortlist: hashes = {hashes}, depth = {depth}; give 1 or more of each.")
        self.hashes, self.depth, self.seed = hashes, depth, seed
        self.sets = Sets(np.zeros(1, np.int64), np.zeros(0, np.uint64), np.zeros(0))
        self.marks = np.zeros((0, hashes), np.uint32)
        self.clock = np.zeros(0, np.int64)
        self._order = np.zeros((hashes, 0), np.int32)

    def __len__(self) -> int:
        return len(self.sets)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        held = (*self.sets, self.marks, self.clock, self._order)
        return sum(a.nbytes for a in held)

    def add(self, sets: Sets, clock: np.ndarray | None = None) -> None:
        """Take in sets; their places follow those that are there. `clock` int64[n]: since when they may be found."""
        made = sets.sorted()
        self.sets = self.sets.joined(made)
        self.marks = np.concatenate([self.marks, signatures(made, self.hashes, self.seed)])
        self.clock = np.r_[self.clock, np.zeros(len(made), np.int64) if clock is None else np.asarray(clock, np.int64)]
        if len(self) - self._order.shape[1] > self.TAIL:
            self._sort()

    def remove(self, places: np.ndarray) -> None:
        """Forget sets: they are found no more; what they held is overwritten."""
        self.clock[places] = np.iinfo(np.int64).max
        self.marks[places] = NOBODY
        for i in np.asarray(places).tolist():
            self.sets.tokens[self.sets.offsets[i] : self.sets.offsets[i + 1]] = np.uint64(NOBODY)
        self._sort()

    def search(self, sets: Sets, k: int = 50, before: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k most similar sets of each question.

        Parameters
        ----------
        before : int64[n], only sets whose clock is below are found.

        Returns
        -------
        places : int64[n, k], -1 where fewer share anything. similarity : float64[n, k], descending, exact.
        """
        if k < 1:
            raise OptionError(f"shortlist: k = {k}; give 1 or more.")
        asked = sets.sorted()
        limit = np.full(len(asked), np.iinfo(np.int64).max) if before is None else np.asarray(before, np.int64)
        marks = signatures(asked, self.hashes, self.seed)
        return _search(
            *asked, marks, limit, *self.sets, self.marks, self.clock, self._order, k, max(self.depth, k),
        )  # fmt: skip

    def _sort(self) -> None:
        self._order = np.argsort(self.marks, axis=0, kind="stable").T.astype(np.int32, order="C")

    def arrays(self) -> dict[str, np.ndarray]:
        """For a system's State."""
        return {
            **self.sets._asdict(), "clock": self.clock, "settings": np.array([self.hashes, self.depth, self.seed]),
        }  # fmt: skip

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Shortlist:
        """The inverse of `arrays`; StateError where they do not fit together."""
        made = cls(*(int(v) for v in arrays["settings"]))
        sets = Sets(*(np.array(arrays[name]) for name in Sets._fields))
        if len(sets) != len(arrays["clock"]) or sets.offsets[-1] != len(sets.tokens):
            raise StateError(f"shortlist: {len(sets)} sets, {len(arrays['clock'])} clocks, {len(sets.tokens)} tokens.")
        gone = np.flatnonzero(arrays["clock"] == np.iinfo(np.int64).max)
        made.sets, made.clock = sets, np.array(arrays["clock"])
        made.marks = signatures(sets, made.hashes, made.seed)
        made.marks[gone] = NOBODY
        made._sort()
        return made


@njit(cache=True, nogil=True)
def _mix(x: np.uint64) -> np.uint64:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def _signed(offsets: np.ndarray, tokens: np.ndarray, weights: np.ndarray, hashes: int, seed: np.uint64) -> np.ndarray:
    n = len(offsets) - 1
    out = np.full((n, hashes), NOBODY)
    least = np.empty(hashes)
    for i in range(n):
        least[:] = np.inf
        for at in range(offsets[i], offsets[i + 1]):
            state = _mix(tokens[at] + np.uint64(0x9E3779B97F4A7C15) * (seed + np.uint64(1)))
            for k in range(hashes):
                drawn = _mix(state + np.uint64(0x632BE59BD9B4E019) * np.uint64(k + 1))
                clock = -np.log((np.float64(drawn >> np.uint64(11)) + 0.5) * 2.0**-53) / weights[at]
                if clock < least[k]:
                    least[k] = clock
                    # 32 bits of the token: two tokens that share them are told apart by the exact similarity
                    out[i, k] = np.uint32(state >> np.uint64(33))
    return out


@njit(cache=True, nogil=True)
def _pair(
    a: np.ndarray, aw: np.ndarray, i: int, i_end: int, b: np.ndarray, bw: np.ndarray, j: int, j_end: int
) -> float:
    both, either = 0.0, 0.0
    while i < i_end and j < j_end:
        if a[i] == b[j]:
            both += aw[i]
            either += aw[i]
            i += 1
            j += 1
        elif a[i] < b[j]:
            either += aw[i]
            i += 1
        else:
            either += bw[j]
            j += 1
    while i < i_end:
        either += aw[i]
        i += 1
    while j < j_end:
        either += bw[j]
        j += 1
    return both / either if either > 0 else 0.0


@njit(cache=True, nogil=True)
def _exact(
    a_offsets: np.ndarray, a: np.ndarray, aw: np.ndarray, b_offsets: np.ndarray, b: np.ndarray, bw: np.ndarray,
    left: np.ndarray, right: np.ndarray,
) -> np.ndarray:  # fmt: skip
    found = np.zeros(len(left))
    for p in range(len(left)):
        i, j = left[p], right[p]
        found[p] = _pair(a, aw, a_offsets[i], a_offsets[i + 1], b, bw, b_offsets[j], b_offsets[j + 1])
    return found


@njit(cache=True, nogil=True)
def _search(
    q_offsets: np.ndarray, q_tokens: np.ndarray, q_weights: np.ndarray, q_marks: np.ndarray, limit: np.ndarray,
    offsets: np.ndarray, tokens: np.ndarray, weights: np.ndarray, marks: np.ndarray, clock: np.ndarray,
    order: np.ndarray, k: int, depth: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    n, size, hashes = len(q_offsets) - 1, len(clock), q_marks.shape[1]
    places, scores = np.full((n, k), -1, np.int64), np.zeros((n, k))
    shared, met = np.zeros(size, np.int32), np.empty(size, np.int64)
    old = order.shape[1]
    for q in range(n):
        count = 0
        for h in range(hashes):
            mark = q_marks[q, h]
            if mark == NOBODY:
                continue
            at, end = 0, old
            while at < end:
                middle = (at + end) // 2
                if marks[order[h, middle], h] < mark:
                    at = middle + 1
                else:
                    end = middle
            while at < old and marks[order[h, at], h] == mark:
                i = order[h, at]
                if clock[i] < limit[q]:
                    if shared[i] == 0:
                        met[count] = i
                        count += 1
                    shared[i] += 1
                at += 1
            for i in range(old, size):
                if marks[i, h] == mark and clock[i] < limit[q]:
                    if shared[i] == 0:
                        met[count] = i
                        count += 1
                    shared[i] += 1
        found = np.sort(met[:count])
        if count > depth:
            # the place decides among equals, so that what is found does not depend on the order of the buckets
            rank = shared[found].astype(np.int64) * np.int64(size + 1) + (np.int64(size) - found)
            found = found[np.argsort(-rank)[:depth]]
        exact = np.empty(len(found))
        for c in range(len(found)):
            i = found[c]
            exact[c] = _pair(
                q_tokens, q_weights, q_offsets[q], q_offsets[q + 1], tokens, weights, offsets[i], offsets[i + 1]
            )
        best = np.argsort(-exact, kind="mergesort")[:k]
        for c in range(len(best)):
            places[q, c] = found[best[c]]
            scores[q, c] = exact[best[c]]
        for c in range(count):
            shared[met[c]] = 0
    return places, scores
