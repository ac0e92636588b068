"""How much did each player give? Shapley values of a game, exactly or from few evaluations.

    phi_i = sum_{S not holding i} |S|! (n - |S| - 1)! / n!  [ v(S + i) - v(S) ]          sum_i phi_i = v(N) - v(empty)

A game is a function from coalitions (bool[m, n]) to values float[m, c], c outcomes at once. Three ways: all 2^n
coalitions; orders of the players, each with its reverse, until the standard error is small; and the regression whose
weights ``(n - 1) / (C(n, s) s (n - s))`` make its solution the Shapley value, on coalitions drawn with their
complements.

Shapley (1953); Lundberg, Lee (2017) and Covert, Lee (2021) for the regression.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np

from ethogram.errors import OptionError

Game = Callable[[np.ndarray], np.ndarray]
MOST_EXACT = 16


class Shares(NamedTuple):
    """Shapley values float64[n, c], their standard errors (0 where exact), and how many coalitions were valued."""

    phi: np.ndarray
    se: np.ndarray
    evaluations: int


def coalitions(n: int) -> np.ndarray:
    """All coalitions, bool[2^n, n]; row r holds player i where bit i of r is set."""
    return np.asarray((np.arange(2**n)[:, None] >> np.arange(n)) & 1, bool)


def exact(values: np.ndarray) -> np.ndarray:
    """Shapley values [n, c] from the values [2^n, c] of all coalitions, in the order of `coalitions`.

    Raises
    ------
    OptionError
        The number of values is no power of two.
    """
    values = np.asarray(values, float)
    n = int(np.log2(len(values)))
    if 2**n != len(values) or n < 1:
        raise OptionError(f"{len(values)} values: a game of n players has 2 to the power of n.")
    rows = np.arange(2**n)
    size = coalitions(n).sum(1)
    weight = np.array([1 / (n * comb(n - 1, s)) if s < n else 0.0 for s in range(n + 1)])
    phi = np.empty((n, values.shape[1]))
    for i in range(n):
        without = rows[(rows >> i) & 1 == 0]
        phi[i] = weight[size[without]] @ (values[without | (1 << i)] - values[without])
    return phi


def interactions(values: np.ndarray) -> np.ndarray:
    """Shapley-Taylor interactions of pairs [n, n, c]: ``2/n sum_S [v(S+ij) - v(S+i) - v(S+j) + v(S)] / C(n - 1, |S|)``.

    Dhamdhere, Agarwal, Sundararajan (2020).
    """
    values = np.asarray(values, float)
    n = int(np.log2(len(values)))
    rows, size = np.arange(2**n), coalitions(n).sum(1)
    found = np.zeros((n, n, values.shape[1]))
    for i in range(n):
        for j in range(i):
            s = rows[((rows >> i) & 1 == 0) & ((rows >> j) & 1 == 0)]
            both = values[s | (1 << i) | (1 << j)] - values[s | (1 << i)] - values[s | (1 << j)] + values[s]
            weight = np.array([1 / comb(n - 1, int(k)) for k in size[s]])
            found[i, j] = found[j, i] = 2 / n * weight @ both
    return found


def by_orders(game: Game, n: int, *, orders: int = 200, se: float = 0.01, seed: int = 0, paired: bool = True) -> Shares:
    """From orders of the players, each with its reverse (antithetic; two independent orders if not `paired`); stops
    when every standard error is at most `se`, or after `orders` orders. A coalition is valued once."""
    rng, known = np.random.default_rng(seed), {}
    pairs: list[np.ndarray] = []

    def worth(rows: np.ndarray) -> np.ndarray:
        keys = [r.tobytes() for r in rows]
        fresh = list({k: i for i, k in enumerate(keys) if k not in known}.values())
        if fresh:
            known.update(zip((keys[i] for i in fresh), np.asarray(game(rows[fresh]), float), strict=True))
        return np.stack([known[k] for k in keys])

    spread = np.inf
    while 2 * len(pairs) < orders:
        order = rng.permutation(n)
        gains = []
        for one in (order, order[::-1] if paired else rng.permutation(n)):
            rows = np.zeros((n + 1, n), bool)
            for place, player in enumerate(one, 1):
                rows[place:, player] = True
            steps = np.diff(worth(rows), axis=0)
            gain = np.empty_like(steps)
            gain[one] = steps
            gains.append(gain)
        pairs.append((gains[0] + gains[1]) / 2)
        if len(pairs) >= 8:
            spread = float(np.std(pairs, axis=0, ddof=1).max() / np.sqrt(len(pairs)))
            if spread <= se:
                break
    found = np.stack(pairs)
    error = found.std(0, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.full(found.shape[1:], np.inf)
    return Shares(found.mean(0), error, len(known))


def by_regression(game: Game, n: int, *, evaluations: int, seed: int = 0, batches: int = 8) -> Shares:
    """From `evaluations` coalitions, in pairs with their complements; the sum is exactly ``v(N) - v(empty)``.

    Standard errors come from fitting parts of the pairs by themselves.

    Raises
    ------
    OptionError
        Fewer than two players, or too few evaluations to fit (2 n are needed).
    """
    if n < 2 or evaluations < 2 * n:
        raise OptionError(f"{evaluations} evaluations of {n} players: at least two players and {2 * n} evaluations.")
    rng = np.random.default_rng(seed)
    sizes = np.arange(1, n)
    chance = 1 / (sizes * (n - sizes))
    drawn = rng.choice(sizes, (evaluations - 2) // 2, p=chance / chance.sum())
    half = np.zeros((len(drawn), n), bool)
    for row, size in zip(half, drawn, strict=True):
        row[rng.choice(n, size, replace=False)] = True
    rows = np.concatenate([half, ~half])
    ends = np.asarray(game(np.stack([np.zeros(n, bool), np.ones(n, bool)])), float)
    distinct, place = np.unique(rows, axis=0, return_inverse=True)
    values = np.asarray(game(distinct), float)[place.ravel()]
    phi = _fit(rows, values, ends)
    pair = np.tile(np.arange(len(half)), 2)
    parts = [_fit(rows[pair % batches == b], values[pair % batches == b], ends) for b in range(batches)]
    error = np.std(parts, axis=0, ddof=1) / np.sqrt(batches) if len(half) >= batches * n else np.full(phi.shape, np.nan)
    return Shares(phi, error, len(distinct) + 2)


def _fit(rows: np.ndarray, values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Least squares ``v(S) - v(empty) = sum_{i in S} phi_i`` under the sum constraint (the last player eliminated)."""
    total = ends[1] - ends[0]
    x = rows[:, :-1].astype(float) - rows[:, -1:]
    y = values - ends[0] - rows[:, -1:] * total
    first = np.linalg.lstsq(x, y, rcond=None)[0]
    return np.concatenate([first, total - first.sum(0, keepdims=True)])
