"""Who finds the neighbours: exchangeable back ends, and how many of the true neighbours they found.

=========  =========================================================================================================
back end   search
=========  =========================================================================================================
exact      `ethogram.numeric.density.exact`: matrix products of what cannot be ruled out, proved in double precision
faiss      faiss ``IndexFlatL2``; distances are computed again in double precision
hnsw       faiss ``IndexHNSWFlat``, an approximation: its effort doubles until 95% of the true neighbours of 500 points
           are found; where no effort does, the recall tells
descent    `ethogram.numeric.density.descent`: random trees, then neighbours of neighbours, until 95% of the true
           neighbours of 500 points are found, or a round adds next to nothing; the recall tells
auto       exact up to 200,000 points; beyond, descent
callable   ``search(x, k) -> codes int[n, >= k]``, nearest first, the point itself or not (`ethogram.nn.near` on torch)
=========  =========================================================================================================

Distances always come from the same kernel in double precision, so that back ends that find the same neighbours give
the same labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from ethogram.errors import MissingExtra, OptionError, unknown
from ethogram.numeric.density import descent, exact
from ethogram.numeric.density.metric import squared

Search = Callable[[np.ndarray, int], np.ndarray]
NAMES = ("auto", "exact", "faiss", "hnsw", "descent")
EXACT_UP_TO = 200_000
"""Points from which trees and descent take less time than the exact search, in 32 columns."""
RECALL, SAMPLE = 0.95, 500
GAIN, WIDER = 0.005, 4
"""Recall that a round of descent must add to be followed by another, and entries beyond k that its lists hold."""
LINKS = ((16, 80), (32, 160))
"""Links of a point in the approximate graph, and candidates in view while it is built."""
EFFORTS = (48, 96, 192, 384)
"""Candidates in view while it is searched."""


@dataclass(frozen=True, eq=False)
class Found:
    """distance float64[n, k], code int32[n, k], by ascending (distance, code); how they were found."""

    distance: np.ndarray
    code: np.ndarray
    backend: str
    recall: float


def neighbours(x: np.ndarray, k: int, backend: str | Search, seed: int) -> Found:
    """The k nearest points of each point, itself left out.

    Raises
    ------
    OptionError
        The back end is unknown, or a callable gave something else than codes.
    MissingExtra
        faiss is asked for and not installed.
    """
    if callable(backend):
        name = getattr(backend, "__name__", type(backend).__name__)
        distance, code = _measured(x, _codes(backend(x, k + 1), len(x), k, name), k)
        return Found(distance, code, name, _recall(x, code, seed))
    if backend not in NAMES:
        more = " torch: give ethogram.nn.near.search." if backend == "torch" else ""
        raise OptionError(unknown("back end", backend, NAMES) + more)
    if backend == "auto":
        backend = "exact" if len(x) <= EXACT_UP_TO else "descent"
    if backend == "exact":
        return Found(*exact.nearest(x, k, seed=seed), "exact", 1.0)
    if backend == "descent":
        return _descended(x, k, seed)
    faiss, single = _faiss(), np.ascontiguousarray(x - x.mean(0), np.float32)
    if backend == "faiss":
        index = faiss.IndexFlatL2(x.shape[1])
        index.add(single)
        distance, code = _measured(x, _asked(index, single, k + 1 + exact.SPARE), k)
        return Found(distance, code, "faiss", _recall(x, code, seed))
    return _approximate(faiss, x, single, k, seed)


def _approximate(faiss: Any, x: np.ndarray, single: np.ndarray, k: int, seed: int) -> Found:
    """The least effort that finds enough of the neighbours of a sample; a denser graph where none does."""
    some = _sample(len(x), seed)
    true, _ = exact.nearest(x, k + 1, x[some])
    for links, building in LINKS:
        index = faiss.IndexHNSWFlat(x.shape[1], links)
        index.hnsw.efConstruction = building
        index.add(single)
        for effort in EFFORTS:
            index.hnsw.efSearch = max(effort, 2 * k)
            if _share(x, some, _asked(index, single[some], k + 1), true) >= RECALL:
                break
        else:
            continue
        break
    distance, code = _measured(x, _asked(index, single, k + 1), k)
    name = f"hnsw (links {links}, efSearch {index.hnsw.efSearch})"
    return Found(distance, code, name, _recall(x, code, seed))


def _descended(x: np.ndarray, k: int, seed: int) -> Found:
    some, shares, rounds = _sample(len(x), seed), [0.0], 0
    true, _ = exact.nearest(x, k + 1, x[some])

    def enough(order: np.ndarray, code: np.ndarray) -> bool:
        nonlocal rounds
        place = np.empty(len(x), np.int64)
        place[order] = np.arange(len(x))
        mine = code[place[some], :k]
        shares.append(_share(x, some, np.where(mine >= 0, order[mine], -1), true))
        stop = shares[-1] >= RECALL or shares[-1] - shares[-2] < GAIN
        rounds += not stop
        return stop

    codes = descent.neighbours(x, min(k + WIDER, len(x) - 1), seed, enough)
    distance, code = _measured(x, codes, k)
    return Found(distance, code, f"descent ({rounds} rounds)", _share(x, some, code[some], true))


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtra("This back end needs faiss: pip install 'ethogram[serve]', or backend='exact'.") from error
    return faiss


def _asked(index: Any, x: np.ndarray, k: int, block: int = 8192) -> np.ndarray:
    k = min(k, len(x))
    out = np.empty((len(x), k), np.int32)
    for a in range(0, len(x), block):
        out[a : a + block] = index.search(x[a : a + block], k)[1]
    return out


def _codes(given: Any, n: int, k: int, name: str) -> np.ndarray:
    codes = np.asarray(given)
    if codes.ndim != 2 or len(codes) != n or codes.shape[1] < k or codes.dtype.kind not in "iu":
        raise OptionError(f"back end {name} gave {codes.dtype}{list(codes.shape)}; give codes int[{n}, {k} or more].")
    if len(codes) and not -1 <= codes.min() <= codes.max() < n:
        raise OptionError(f"back end {name} gave codes {codes.min()} to {codes.max()}; give 0 to {n - 1}, or -1.")
    return codes.astype(np.int32)


def _sample(n: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).choice(n, min(SAMPLE, n), replace=False))


def _recall(x: np.ndarray, code: np.ndarray, seed: int) -> float:
    """Share of the true neighbours of `SAMPLE` points that were found."""
    some = _sample(len(x), seed)
    true, _ = exact.nearest(x, code.shape[1] + 1, x[some])  # the point itself is among them
    return _share(x, some, code[some], true)


def _share(x: np.ndarray, some: np.ndarray, code: np.ndarray, true: np.ndarray) -> float:
    """Share of codes that are as near as the farthest true neighbour; `code` may name the points themselves."""
    k = true.shape[1] - 1
    far = np.sqrt(((x[code].astype(np.float64) - x[some, None].astype(np.float64)) ** 2).sum(2))
    good = (far <= true[:, -1:] * (1 + 1e-9)) & (code >= 0) & (code != some[:, None])
    return float(np.minimum(good.sum(1), k).mean() / k)


def _measured(x: np.ndarray, codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    distance, code = np.empty((len(x), k)), np.empty((len(x), k), np.int32)
    _sorted(x, codes, distance, code)
    return distance, code


@njit(cache=True, nogil=True)
def _sorted(x, codes, distance, code):  # type: ignore[no-untyped-def]
    n, k = code.shape
    for i in range(n):
        length = 0
        for j in range(codes.shape[1]):
            c = codes[i, j]
            if c >= 0 and c != i:
                length = exact.insert(length, k, distance[i], code[i], squared(x, i, x, c), c)
        for j in range(length):
            distance[i, j] = np.sqrt(distance[i, j])
        for j in range(length, k):
            distance[i, j], code[i, j] = np.inf, -1
