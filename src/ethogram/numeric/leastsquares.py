"""Weighted least squares of many small rows at once: the half-steps of alternating least squares.

    x_r = argmin_x  sum over all columns c of w_rc (p_rc - x . y_c)^2 + lambda |x|^2

with p_rc = 1 and w_rc = 1 + e_rc where the pair (r, c) occurred, p_rc = 0 and w_rc = 1 everywhere else. The sum over
all columns is one product G = Y'Y for all rows; a row's own part costs what its pairs cost:

    (G + lambda I + sum over its pairs of e_c y_c y_c') x = sum over its pairs of (1 + e_c) y_c

solved exactly (Cholesky, in float64: confidences of thousands beside a small lambda leave float32 no digits) or by
some steps of conjugate gradients that never form the matrix. Rows are independent of
each other, so they may be cut into pieces for threads without changing a byte.

Reference: Y. Hu, Y. Koren, C. Volinsky: Collaborative Filtering for Implicit Feedback Datasets. ICDM 2008, eq. 4-5;
conjugate gradients there: G. Takacs, I. Pilaszy, D. Tikk: Applications of the Conjugate Gradient Method for Implicit
Feedback Collaborative Filtering. RecSys 2011.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numba
import numpy as np
from numba import njit
from threadpoolctl import ThreadpoolController

from ethogram.numeric.interactions import Interactions

CHUNK = 256
"""Pairs whose vectors are multiplied at once."""
BLOCK = 2**14
WORTH = 2**27
"""Multiplications below which a second thread would cost more than it gives."""
Solver = Literal["cholesky", "cg"]


def gram(vectors: np.ndarray, penalty: float) -> np.ndarray:
    """``Y'Y + penalty I``, float64[d, d], of vectors float32[M, d]."""
    found = np.zeros((vectors.shape[1],) * 2)
    for at in range(0, len(vectors), BLOCK):
        part = vectors[at : at + BLOCK].astype(np.float64)
        found += part.T @ part
    found[np.diag_indices(len(found))] += penalty
    return found


def solve(
    pairs: Interactions, extra: np.ndarray, vectors: np.ndarray, fixed: np.ndarray, *,
    solver: Solver = "cholesky", steps: int = 3, start: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """The least-squares vector of each row, float32[n, d].

    Parameters
    ----------
    pairs : who met what. extra : float32[pairs], the confidence e of each above 1, not below 0.
    vectors : float32[width, d], Y. fixed : `gram` of all of them.
    steps : of conjugate gradients, from `start` (float32[n, d], zeros if not given).
    """
    n, d = len(pairs), vectors.shape[1]
    found = np.zeros((n, d), np.float32) if start is None else start.astype(np.float32)
    vectors, extra = np.ascontiguousarray(vectors, np.float32), np.ascontiguousarray(extra, np.float32)

    def piece(first: int, last: int) -> None:
        if solver == "cg":
            _conjugate(pairs.offsets, pairs.items, extra, vectors, fixed.astype(np.float32), first, last, steps, found)
        else:
            _exact(pairs.offsets, pairs.items, extra, vectors, fixed, first, last, found)

    cuts = _pieces(pairs.offsets, d)
    with ThreadpoolController().limit(limits=1, user_api="blas"):  # threads of BLAS inside threads of ours would fight
        if len(cuts) == 2:
            piece(0, n)
        else:
            with ThreadPoolExecutor(len(cuts) - 1) as pool:
                list(pool.map(piece, cuts[:-1], cuts[1:]))
    return found


def loss(pairs: Interactions, extra: np.ndarray, rows: np.ndarray, columns: np.ndarray, penalty: float) -> float:
    """The sum that is minimised, over all rows and columns and both penalties, in float64."""
    rows, columns = rows.astype(np.float64), columns.astype(np.float64)
    every = float(np.sum((rows.T @ rows) * (columns.T @ columns)))
    said, own = np.einsum("pd,pd->p", rows[pairs.owner], columns[pairs.items]), 1.0 + extra.astype(np.float64)
    met = float(np.sum(own * (1 - said) ** 2 - said**2))
    return every + met + penalty * float(np.sum(rows**2) + np.sum(columns**2))


def _pieces(offsets: np.ndarray, d: int) -> np.ndarray:
    """Ends of pieces of about equal work, as many as threads are worth it."""
    n = len(offsets) - 1
    work = offsets * float(d) ** 2 + np.arange(n + 1) * float(d) ** 3 / 3
    # not `numba.get_num_threads()`: it starts numba's own threads, which also sets how many torch uses
    wanted = int(min(numba.config.NUMBA_NUM_THREADS, max(1, work[-1] // WORTH), max(n, 1)))
    cuts = np.searchsorted(work, work[-1] * np.arange(1, wanted) / wanted)
    return np.concatenate([[0], cuts, [n]])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _exact(offsets, items, extra, vectors, fixed, first, last, found):  # type: ignore[no-untyped-def]
    d = vectors.shape[1]
    part, room = np.empty((CHUNK, d)), np.empty((d, d))
    a, x = np.empty((d, d)), np.empty(d)
    for r in range(first, last):
        low, high = offsets[r], offsets[r + 1]
        found[r] = 0
        if low == high:
            continue
        a[:] = fixed
        x[:] = 0
        for at in range(low, high, CHUNK):
            end = min(at + CHUNK, high)
            for e in range(at, end):
                y, more = vectors[items[e]], np.float64(extra[e])
                row, root = part[e - at], np.sqrt(more)
                for k in range(d):
                    row[k] = root * y[k]
                    x[k] += (1 + more) * y[k]
            piece = part[: end - at]
            np.dot(piece.T, piece, room)
            for i in range(d):
                for j in range(i, d):
                    a[i, j] += room[i, j]
        factor(a)
        substitute(a, x)
        for k in range(d):
            found[r, k] = x[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def factor(a):  # type: ignore[no-untyped-def]
    """Cholesky factor of float[d, d], in place of its upper triangle. Four rows are taken off the rest at once."""
    d = len(a)
    for k in range(0, d, 4):
        e = min(k + 4, d)
        for p in range(k, e):
            scale = 1 / np.sqrt(a[p, p])
            for j in range(p, d):
                a[p, j] *= scale
            for i in range(p + 1, e):
                f = a[p, i]
                for j in range(i, d):
                    a[i, j] -= f * a[p, j]
        if e - k < 4:
            continue
        r0, r1, r2, r3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        for i in range(e, d):
            f0, f1, f2, f3, r = r0[i], r1[i], r2[i], r3[i], a[i]
            for j in range(i, d):
                r[j] -= f0 * r0[j] + f1 * r1[j] + f2 * r2[j] + f3 * r3[j]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def substitute(a, x):  # type: ignore[no-untyped-def]
    """Solve with what `factor` left, in place of the right-hand side x float[d]."""
    d = len(a)
    for k in range(d):
        x[k] /= a[k, k]
        f, r = x[k], a[k]
        for j in range(k + 1, d):
            x[j] -= f * r[j]
    for k in range(d - 1, -1, -1):
        s, r = x[k], a[k]
        for j in range(k + 1, d):
            s -= r[j] * x[j]
        x[k] = s / r[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _apply(low, high, items, extra, vectors, fixed, x, out):  # type: ignore[no-untyped-def]
    """out = (fixed + sum of e y y') x."""
    d = len(x)
    out[:] = 0
    for i in range(d):
        f, row = x[i], fixed[i]
        for k in range(d):
            out[k] += f * row[k]
    for e in range(low, high):
        y, s = vectors[items[e]], np.float32(0)
        for k in range(d):
            s += y[k] * x[k]
        s *= extra[e]
        for k in range(d):
            out[k] += s * y[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _conjugate(offsets, items, extra, vectors, fixed, first, last, steps, found):  # type: ignore[no-untyped-def]
    d = vectors.shape[1]
    residual, way, image = np.empty(d, np.float32), np.empty(d, np.float32), np.empty(d, np.float32)
    for r in range(first, last):
        low, high = offsets[r], offsets[r + 1]
        x = found[r]
        if low == high:
            x[:] = 0
            continue
        _apply(low, high, items, extra, vectors, fixed, x, image)
        for k in range(d):
            residual[k] = -image[k]
        for e in range(low, high):
            y, more = vectors[items[e]], np.float32(1) + extra[e]
            for k in range(d):
                residual[k] += more * y[k]
        way[:] = residual
        size = np.float32(0)
        for k in range(d):
            size += residual[k] * residual[k]
        for _ in range(steps):
            if size < 1e-20:
                break
            _apply(low, high, items, extra, vectors, fixed, way, image)
            slope = np.float32(0)
            for k in range(d):
                slope += way[k] * image[k]
            step, before, size = size / slope, size, np.float32(0)
            for k in range(d):
                x[k] += step * way[k]
                residual[k] -= step * image[k]
                size += residual[k] * residual[k]
            turn = size / before
            for k in range(d):
                way[k] = residual[k] + turn * way[k]
