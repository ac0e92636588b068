"""Choices by utility, the same for every way of cutting people into batches.

    choice = argmax_k (u_k + g_k)        g: standard Gumbel, so P(k) = exp(u_k) / sum_j exp(u_j)

A matrix product over another number of rows, or with a row in another place, may end in other last bits, and then in
another choice. So either each row is summed in one fixed order (`tasted`, compiled), or the product is always taken
over the same blocks of 4,096 rows (`in_blocks`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from ethogram.world.draws import Luck, Word, philox

BLOCK = 4_096
_SCALE = 2.0**-32


@njit(cache=True, nogil=True)
def _drawn(utilities: np.ndarray, agents: np.ndarray, tick: Word, k0: Word, k1: Word, out: np.ndarray) -> None:
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
    tastes: np.ndarray, rows: np.ndarray, items: np.ndarray, bias: np.ndarray, agents: np.ndarray, tick: Word,
    k0: Word, k1: Word, out: np.ndarray,
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


def in_blocks(score: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, people: int) -> np.ndarray:
    """``score(rows)``, computed for whole blocks of 4,096 neighbouring rows of the table (0 to 4,095, and so on).

    A row's place in its block never changes, so its value hangs on nobody else who is asked. Who sleeps in a block is
    computed in vain; `tasted` does not have that price.

    Parameters
    ----------
    score : row numbers int64[n] -> values [n, ...]. rows : who is asked. people : how many rows the table has.
    """
    blocks, place = np.unique(rows // BLOCK, return_inverse=True)
    made = np.zeros(0)
    for i, block in enumerate(blocks.tolist()):
        first = block * BLOCK
        values = np.asarray(score(np.arange(first, min(first + BLOCK, people))))
        mine = place == i
        if not i:
            made = np.empty((len(rows), *values.shape[1:]), values.dtype)
        made[mine] = values[rows[mine] - first]
    return made
