"""Choices by utility, the same for every way of cutting people into batches.

    choice = argmax_k (u_k + g_k)        g: standard Gumbel, so P(k) = exp(u_k) / sum_j exp(u_j)

A matrix product over another number of rows may end in other last bits, and then in another choice. So either each row
is summed in one fixed order (`Tastes`, compiled), or the product is always taken over blocks of exactly 4,096 rows
(`in_blocks`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from ethogram.world.draws import Luck, philox

BLOCK = 4_096
_SCALE = 2.0**-32


@njit(cache=True, nogil=True)
def _drawn(utilities: np.ndarray, agents: np.ndarray, tick: int, k0: int, k1: int, out: np.ndarray) -> None:
    n, m = utilities.shape
    for i in range(n):
        best, place = -np.inf, -1
        for block in range((m + 3) // 4):
            w = philox(np.uint64(agents[i]), np.uint64(tick), np.uint64(block), np.uint64(0), k0, k1)
            for lane in range(min(4, m - 4 * block)):
                k = 4 * block + lane
                value = utilities[i, k] - np.log(-np.log((w[lane] + 0.5) * _SCALE))
                if value > best:
                    best, place = value, k
        out[i] = place


@njit(cache=True, nogil=True)
def _tasted(
    tastes: np.ndarray, rows: np.ndarray, items: np.ndarray, bias: np.ndarray, agents: np.ndarray, tick: int,
    k0: int, k1: int, out: np.ndarray,
) -> None:  # fmt: skip
    d, m = items.shape
    u = np.empty(m, np.float32)
    for i in range(len(rows)):
        row = rows[i]
        for k in range(m):
            u[k] = bias[k]
        # over dimensions outside, over items inside: each sum has one order, and the inner loop is a vector
        for j in range(d):
            x = tastes[row, j]
            for k in range(m):
                u[k] += x * items[j, k]
        best, place = -np.inf, -1
        for block in range((m + 3) // 4):
            w = philox(np.uint64(agents[i]), np.uint64(tick), np.uint64(block), np.uint64(0), k0, k1)
            for lane in range(min(4, m - 4 * block)):
                k = 4 * block + lane
                value = u[k] - np.log(-np.log((w[lane] + 0.5) * _SCALE))
                if value > best:
                    best, place = value, k
        out[i] = place


def drawn(utilities: np.ndarray, luck: Luck, stream: str) -> np.ndarray:
    """One option per agent by its utilities float[agents, m]; int32[agents], -1 where none is above minus infinity."""
    utilities = np.ascontiguousarray(utilities, np.float64)
    out = np.empty(len(utilities), np.int32)
    _drawn(utilities, luck.agents, np.uint64(luck.tick), *luck.key(stream), out)
    return out


def tasted(
    tastes: np.ndarray, rows: np.ndarray, items: np.ndarray, luck: Luck, stream: str, bias: np.ndarray | None = None
) -> np.ndarray:
    """One item per agent by ``u = tastes[row] . item + bias``, summed in one order; int32[rows].

    Parameters
    ----------
    tastes : float32[people, d]. items : float32[m, d]. rows : whose, in the order of `luck`.
    bias : float32[m].
    """
    table = np.ascontiguousarray(items.T, np.float32)
    shift = np.zeros(len(items), np.float32) if bias is None else np.ascontiguousarray(bias, np.float32)
    out = np.empty(len(rows), np.int32)
    rows = np.ascontiguousarray(rows, np.int64)
    _tasted(tastes, rows, table, shift, luck.agents, np.uint64(luck.tick), *luck.key(stream), out)
    return out


def in_blocks(score: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """``score(rows)``, always called with exactly 4,096 rows (the last ones repeated), so that no row's value hangs on
    how many others are asked with it. `score` maps row numbers to values [rows, ...]."""
    made = []
    for at in range(0, len(rows), BLOCK):
        part = rows[at : at + BLOCK]
        full = part if len(part) == BLOCK else np.concatenate([part, np.full(BLOCK - len(part), part[-1])])
        made.append(np.asarray(score(full))[: len(part)])
    return np.concatenate(made) if made else np.zeros(0)
