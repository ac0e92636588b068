"""The best k of scored candidates: one rule of ties and of what may not be chosen, for every system."""

from __future__ import annotations

import numpy as np
from numba import njit

from ethogram.numeric.topk import replace_worst


def best(
    scores: np.ndarray, codes: np.ndarray, offsets: np.ndarray, k: int, size: int,
    barred: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:  # fmt: skip
    """Places (in `scores`) of the k best candidates of each list, int64[n, k], -1 where there are fewer.

    Parameters
    ----------
    scores : float[total]; -inf and NaN are never chosen.
    codes : int32[total], items of the candidates; -1 is never chosen, a repeated one at its first place only.
        Ties of score go to the smaller code.
    offsets : int64[n + 1], list i is ``offsets[i]:offsets[i + 1]``.
    size : number of items, above every code.
    barred : (codes int32, offsets int64[n + 1]) of items that list i must not give.
    """
    n = len(offsets) - 1
    kept = max(0, min(k, int(np.diff(offsets).max(initial=0))))
    out = np.full((n, k), -1, np.int64)
    if not kept:
        return out
    left, left_offsets = barred if barred is not None else (np.empty(0, np.int32), np.zeros(n + 1, np.int64))
    value = np.full((n, kept), -np.inf)
    code = np.full((n, kept), size, np.int64)
    place = np.full((n, kept), -1, np.int64)
    _choose(scores, codes, offsets, left, left_offsets, size, value, code, place)
    order = np.lexsort((code, -value), axis=1)
    out[:, :kept] = np.take_along_axis(place, order, 1)
    return out


@njit(cache=True, nogil=True)
def _choose(scores, codes, offsets, left, left_offsets, size, value, code, place):  # type: ignore[no-untyped-def]
    met = np.full(size, -1, np.int64)
    spot = np.empty(size, np.int64)
    for q in range(len(offsets) - 1):
        for e in range(left_offsets[q], left_offsets[q + 1]):
            if left[e] >= 0:
                met[left[e]] = q
        climbing = 0
        for e in range(offsets[q] + 1, offsets[q + 1]):
            climbing += codes[e] > codes[e - 1]
        if climbing == offsets[q + 1] - offsets[q] - 1:
            # no item stands twice: what is not good enough need not be remembered
            for e in range(offsets[q], offsets[q + 1]):
                score = scores[e]
                if score >= value[q, 0] and score > -np.inf:
                    item = codes[e]
                    if (score > value[q, 0] or item < code[q, 0]) and item >= 0 and met[item] != q:
                        spot[item] = e
                        replace_worst(value[q], code[q], score, item)
        else:
            for e in range(offsets[q], offsets[q + 1]):
                item, score = codes[e], scores[e]
                if item < 0 or met[item] == q:
                    continue
                met[item] = q
                spot[item] = e
                if score > value[q, 0] or (score == value[q, 0] and score > -np.inf and item < code[q, 0]):
                    replace_worst(value[q], code[q], score, item)
        for i in range(value.shape[1]):
            if code[q, i] < size:
                place[q, i] = spot[code[q, i]]
