"""Exact search for the largest inner products: the k best of all items for each query, without an index to train.

The catalogue is cut into blocks that stay in the processor's cache. Each block is multiplied with the queries
(BLAS) and read at once, while still in cache, by a loop that only asks whether a run of 64 scores holds one
that could enter the k best so far; hardly any does, once a few thousand items have been seen. That holds only if
good items do not come last, so items are stored in a fixed random order: scores that ascend along the catalogue
cost no more than others.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ethogram.errors import OptionError

QUERIES = 512
"""Queries multiplied at once: their scores of one block, 1.5 MB, fit the second-level cache of a current core."""
BLOCK = 768
RUN, PART = 64, 16
_NOBODY = np.iinfo(np.int32).max


class TopK:
    """The k items of largest inner product, ties by ascending code.

    Parameters
    ----------
    items : float32[V, d]; the code of an item is its row.

    Examples
    --------
    >>> scores, codes = TopK(np.float32([[1, 0], [0, 1], [1, 1]])).search(np.float32([[2, 1]]), 2)
    >>> scores.tolist(), codes.tolist()
    ([[3.0, 2.0]], [[2, 0]])
    """

    def __init__(self, items: np.ndarray):
        items = np.asarray(items, np.float32)
        if items.ndim != 2:
            raise OptionError(f"items have shape {items.shape}; give one row of numbers per item.")
        self.size, self.width = items.shape
        order = np.random.default_rng(0).permutation(self.size).astype(np.int32)
        self._blocks = [
            (np.ascontiguousarray(items[order[a : a + BLOCK]].T), order[a : a + BLOCK])
            for a in range(0, self.size, BLOCK)
        ]

    def search(
        self, queries: np.ndarray, k: int, exclude: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Best k items of each query.

        Parameters
        ----------
        queries : float32[n, d].
        exclude : (offsets int64[n + 1], codes int[total]): items that query i must not get are
            ``codes[offsets[i]:offsets[i + 1]]``; any order, repeats and unknown codes do no harm.

        Returns
        -------
        scores : float32[n, k], descending; -inf where there is no further item.
        codes : int32[n, k]; -1 where there is no further item.

        Raises
        ------
        OptionError
            k below 1, or queries of another width than the items.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        if k < 1:
            raise OptionError(f"k = {k} is not a number of items; give 1 or more.")
        if queries.ndim != 2 or queries.shape[1] != self.width:
            raise OptionError(f"queries have shape {queries.shape}; items have {self.width} numbers each.")
        n, kept = len(queries), min(k, self.size)
        scores = np.full((n, k), -np.inf, np.float32)
        codes = np.full((n, k), -1, np.int32)
        if kept and n:
            best = np.full((n, kept), -np.inf, np.float32)
            who = np.full((n, kept), _NOBODY, np.int32)
            self._fill(queries, best, who, *_sorted(exclude, n))
            order = np.lexsort((who, -best), axis=1)
            scores[:, :kept] = np.take_along_axis(best, order, 1)
            codes[:, :kept] = np.take_along_axis(who, order, 1)
            codes[codes == _NOBODY] = -1
        return scores, codes

    def _fill(
        self, queries: np.ndarray, best: np.ndarray, who: np.ndarray, offsets: np.ndarray, banned: np.ndarray
    ) -> None:
        room = np.empty(QUERIES * BLOCK, np.float32)
        for a in range(0, len(queries), QUERIES):
            b = min(a + QUERIES, len(queries))
            for items, order in self._blocks:
                block = room[: (b - a) * len(order)].reshape(b - a, len(order))
                np.dot(queries[a:b], items, out=block)
                _keep_best(block, order, best[a:b], who[a:b], offsets[a : b + 1], banned)


def _sorted(exclude: tuple[np.ndarray, np.ndarray] | None, n: int) -> tuple[np.ndarray, np.ndarray]:
    if exclude is None:
        return np.zeros(n + 1, np.int64), np.empty(0, np.int32)
    offsets, codes = np.asarray(exclude[0], np.int64), np.array(exclude[1], np.int32)
    if len(offsets) != n + 1:
        raise OptionError(f"exclude has {len(offsets) - 1} lists for {n} queries.")
    _sort_each(offsets, codes)
    return offsets, codes


@njit(cache=True, nogil=True)
def _sort_each(offsets: np.ndarray, codes: np.ndarray) -> None:
    for i in range(len(offsets) - 1):
        codes[offsets[i] : offsets[i + 1]].sort()


@njit(cache=True, nogil=True, inline="always")
def _worse(score: float, code: int, than: float, than_code: int) -> bool:
    return score < than or (score == than and code > than_code)


@njit(cache=True, nogil=True, inline="always")
def _holds(codes: np.ndarray, low: int, high: int, code: int) -> bool:
    end = high
    while low < high:
        middle = (low + high) // 2
        if codes[middle] < code:
            low = middle + 1
        else:
            high = middle
    return low < end and codes[low] == code


@njit(cache=True, nogil=True)
def replace_worst(best: np.ndarray, who: np.ndarray, score: float, code: int) -> None:
    """Put (score, code) in the place of the root of a heap whose root is its worst entry."""
    k, i = len(best), 0
    while True:
        child = 2 * i + 1
        if child >= k:
            break
        if child + 1 < k and _worse(best[child + 1], who[child + 1], best[child], who[child]):
            child += 1
        if not _worse(best[child], who[child], score, code):
            break
        best[i], who[i] = best[child], who[child]
        i = child
    best[i], who[i] = score, code


@njit(cache=True, nogil=True)
def _offer(
    row: np.ndarray, first: int, last: int, order: np.ndarray, best: np.ndarray, who: np.ndarray,
    banned: np.ndarray, low: int, high: int,
) -> None:  # fmt: skip
    for j in range(first, last):
        score = row[j]
        if score >= best[0]:
            code = order[j]
            # asked of the few that would enter, not written into every score: seen items cost nothing elsewhere
            if _worse(best[0], who[0], score, code) and not _holds(banned, low, high, code):
                replace_worst(best, who, score, code)


@njit(cache=True, nogil=True, error_model="numpy")
def _keep_best(
    block: np.ndarray, order: np.ndarray, best: np.ndarray, who: np.ndarray, offsets: np.ndarray,
    banned: np.ndarray,
) -> None:  # fmt: skip
    n, width = block.shape
    whole = width // RUN * RUN
    for q in range(n):
        row, low, high = block[q], offsets[q], offsets[q + 1]
        for a in range(0, whole, RUN):
            # an OR over a run of constant length, without a branch, is what the compiler turns into vectors
            limit, run, found = best[q, 0], row[a : a + RUN], np.int32(0)
            for j in range(RUN):
                found |= np.int32(run[j] >= limit)
            if found == 0:
                continue
            for b in range(a, a + RUN, PART):
                limit, part, found = best[q, 0], row[b : b + PART], np.int32(0)
                for j in range(PART):
                    found |= np.int32(part[j] >= limit)
                if found != 0:
                    _offer(row, b, b + PART, order, best[q], who[q], banned, low, high)
        _offer(row, whole, width, order, best[q], who[q], banned, low, high)
