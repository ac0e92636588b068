"""Which traits go with which behaviour? Correlations over people, with permutation p-values and a false-discovery rate.

For people u with traits x_u (p columns) and outcomes y_u (q columns), per cell (trait, outcome):

    r         Pearson's correlation
    partial   correlation of both after the other traits are taken out: r that no other trait explains
    p         (1 + #{|partial*| >= |partial|}) / (1 + permutations), people's outcomes being shuffled as whole rows
    q         Benjamini and Hochberg over all cells
    low, high 95% interval of `partial` by Fisher's z with n - 3 - (p - 1) degrees

Shuffling whole rows keeps how outcomes hang together, and keeps how traits do: only what ties the two is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate.correction import benjamini_hochberg

PERMUTATIONS = 2_000
Z95 = 1.959963984540054


def correlations(x: Any, y: Any) -> np.ndarray:
    """Pearson's r of every column of x with every column of y, float64[p, q]; NaN where one is constant."""
    a, b = _scaled(np.asarray(x, np.float64)), _scaled(np.asarray(y, np.float64))
    return np.asarray(a.T @ b)


def partial_correlations(x: Any, y: Any) -> np.ndarray:
    """Correlation of each column of x with each of y, both free of the other columns of x, float64[p, q]."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    p = x.shape[1]
    ones = np.ones((len(x), 1))
    out = np.empty((p, y.shape[1]))
    for j in range(p):
        rest = np.column_stack([ones, np.delete(x, j, 1)])
        basis = np.linalg.qr(rest)[0]
        free = [v - basis @ (basis.T @ v) for v in (x[:, j : j + 1], y)]
        out[j] = correlations(free[0], free[1])[0]
    return out


def associations(
    x: Any, y: Any, traits: Sequence[str], outcomes: Sequence[str], *, permutations: int = PERMUTATIONS,
    level: float = 0.05, seed: int = 0,
) -> pa.Table:  # fmt: skip
    """A row per cell: `trait`, `outcome`, `r`, `partial`, `low`, `high`, `p`, `q`, `found` (q <= level), by q.

    Parameters
    ----------
    x : float[n, p], y : float[n, q]; people with a NaN in either are left out.

    Raises
    ------
    OptionError
        Names do not fit, fewer people than it takes (p + 4), or no permutations.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or (x.shape[1], y.shape[1]) != (len(traits), len(outcomes)):
        raise OptionError(
            f"associations: x {x.shape} and y {y.shape} for {len(traits)} traits, {len(outcomes)} outcomes."
        )
    if permutations < 1:
        raise OptionError(f"associations: {permutations} permutations; give 1 or more.")
    there = np.isfinite(x).all(1) & np.isfinite(y).all(1)
    x, y = x[there], y[there]
    n, p = x.shape
    if n < p + 4:
        raise OptionError(f"associations: {n} people with all numbers; {p} traits take {p + 4} or more.")
    r, partial = correlations(x, y), partial_correlations(x, y)
    free = _free(x)
    clean = _scaled(_without(np.ones((n, 1)), y))
    seen = np.abs(_between(free, clean))
    reached = np.zeros(r.shape)
    rng = np.random.default_rng(seed)
    for _ in range(permutations):
        reached += np.abs(_between(free, clean[rng.permutation(n)])) >= seen - 1e-12
    chance = np.where(np.isnan(partial), np.nan, (1 + reached) / (1 + permutations))
    q = benjamini_hochberg(chance)
    with np.errstate(divide="ignore", invalid="ignore"):
        z, half = np.arctanh(partial), Z95 / np.sqrt(n - 3 - (p - 1))
        low, high = np.tanh(z - half), np.tanh(z + half)
    cells = [(i, j) for i in range(p) for j in range(y.shape[1])]
    cells.sort(key=lambda c: (np.nan_to_num(q[c], nan=2.0), -abs(np.nan_to_num(partial[c]))))
    columns: dict[str, Any] = {"trait": [traits[i] for i, _ in cells], "outcome": [outcomes[j] for _, j in cells]}
    for name, values in (("r", r), ("partial", partial), ("low", low), ("high", high), ("p", chance), ("q", q)):
        found = np.array([values[c] for c in cells])
        columns[name] = pa.array(found, mask=np.isnan(found))
    columns["found"] = [bool(q[c] <= level) for c in cells]
    return pa.table(columns)


def _free(x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each trait its part that the others do not tell, of length 1, and an orthonormal basis of the others."""
    made = []
    for j in range(x.shape[1]):
        basis = np.linalg.qr(np.column_stack([np.ones(len(x)), np.delete(x, j, 1)]))[0]
        own = x[:, j] - basis @ (basis.T @ x[:, j])
        length = np.linalg.norm(own)
        made.append((own / length if length > 1e-12 else own * np.nan, basis))
    return made


def _between(free: list[tuple[np.ndarray, np.ndarray]], y: np.ndarray) -> np.ndarray:
    """Partial correlations [p, q] with columns y of length 1."""
    out = np.empty((len(free), y.shape[1]))
    for j, (own, basis) in enumerate(free):
        told = basis.T @ y
        left = np.sqrt(np.maximum((y * y).sum(0) - (told * told).sum(0), 1e-300))
        out[j] = own @ y / left
    return out


def _without(basis: np.ndarray, values: np.ndarray) -> np.ndarray:
    q = np.linalg.qr(basis)[0]
    return np.asarray(values - q @ (q.T @ values))


def _scaled(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(0)
    length = np.sqrt((centred**2).sum(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(length > 1e-12, centred / length, np.nan))
