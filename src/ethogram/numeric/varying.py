"""Regression whose coefficients differ by category and are drawn towards common ones, for numbers and for yes or no.

Row n is person u, item i of category c, with the person's columns z_u (no constant) and one more column x_n:

    eta_n = m + sum_g e_g[code_g(i)] + z_u . (beta + gamma_c) + delta x_n
    minimise  sum_n w_n loss(y_n, eta_n) + sum_g k_g |e_g|^2 / 2 + (a |beta|^2 + b sum_c |gamma_c|^2 + s delta^2) / 2

with loss = (y - eta)^2 / 2, or the logistic one. Solved block by block to the optimum, with reweighted squares for yes
and no. The block of beta and all gamma_c is solved exactly: given beta the categories are independent, so that with
A_c = sum over rows of c of h z z', R_c = sum of h z r, and G_c = A_c (A_c + b I)^-1

    (a I + sum_c (A_c - G_c A_c)) beta = sum_c (R_c - G_c R_c),      gamma_c = (A_c + b I)^-1 (R_c - A_c beta)

which costs one small matrix per category. A_c needs only how much weight each person has in each category, not the
rows. `penalties` chooses a and b by what is lost on people who are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from ethogram.numeric.balance import sigmoid

Family = Literal["number", "answer"]
GRID = (10.0, 50.0, 250.0, 1_250.0, 10_000.0, 100_000.0)
"""Penalties that are tried."""


@dataclass(frozen=True, eq=False)
class Rows:
    """What a fit reads.

    Attributes
    ----------
    z : float64[people, p], columns of the people. person, category : int64[N]. codes : int64[N] per effect.
    extra : float64[N]. target, weight : float64[N].
    """

    z: np.ndarray
    person: np.ndarray
    category: np.ndarray
    codes: tuple[np.ndarray, ...]
    extra: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    categories: int
    sizes: tuple[int, ...]

    def cells(self, values: np.ndarray) -> np.ndarray:
        """Sums by person and category, float64[people, categories]."""
        people = len(self.z)
        flat = np.bincount(self.person * self.categories + self.category, values, people * self.categories)
        return flat.reshape(people, self.categories)


@dataclass(frozen=True, eq=False)
class Varying:
    """Fitted coefficients.

    Attributes
    ----------
    level : m. effects : e_g, one array per effect. common : beta, float64[p]. own : gamma, float64[categories, p].
    slope : delta. penalty : (a, b).
    """

    level: float
    effects: tuple[np.ndarray, ...]
    common: np.ndarray
    own: np.ndarray
    slope: float
    penalty: tuple[float, float]

    def predict(
        self, z: np.ndarray, person: np.ndarray, category: np.ndarray, codes: tuple[np.ndarray, ...], extra: np.ndarray
    ) -> np.ndarray:
        """eta of rows as in `Rows`; a category or code of -1 has no coefficients of its own."""
        eta = self.level + self.slope * extra
        for effect, code in zip(self.effects, codes, strict=True):
            eta = eta + np.append(effect, 0.0)[code]
        table = z @ (np.vstack([self.own, np.zeros(len(self.common))]) + self.common).T
        return np.asarray(eta + table[person, category])

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """For a system's State."""
        numbers = np.array([self.level, self.slope, *self.penalty])
        held = {f"{name}.numbers": numbers, f"{name}.common": self.common, f"{name}.own": self.own}
        return held | {f"{name}.effect.{g}": effect for g, effect in enumerate(self.effects)}

    @classmethod
    def restored(cls, name: str, arrays: Mapping[str, np.ndarray]) -> Self:
        """The inverse of `arrays`."""
        level, slope, a, b = np.asarray(arrays[f"{name}.numbers"]).tolist()
        count = sum(n.startswith(f"{name}.effect.") for n in arrays)
        effects = tuple(np.asarray(arrays[f"{name}.effect.{g}"]) for g in range(count))
        return cls(
            level, effects, np.asarray(arrays[f"{name}.common"]), np.asarray(arrays[f"{name}.own"]), slope, (a, b)
        )


def fit(
    rows: Rows, family: Family, shrink: tuple[float, ...], penalty: tuple[float, float] | None = None, *,
    slope: float = 1.0, sweeps: int = 40, tolerance: float = 1e-3, seed: int = 0,
) -> Varying:  # fmt: skip
    """Fit the regression.

    Parameters
    ----------
    shrink : k_g of each effect, rows' worth of nothing. penalty : (a, b); None chooses them. slope : s.
    sweeps : rounds over the blocks at most; they stop when no eta moves by more than `tolerance`.
    seed : of the people who are left out to choose the penalties.
    """
    p = rows.z.shape[1]
    level = _start(rows, family)
    effects = [np.zeros(size) for size in rows.sizes]
    common, own, delta = np.zeros(p), np.zeros((rows.categories, p)), 0.0
    eta = np.full(len(rows.target), level)
    chosen = penalty
    for sweep in range(sweeps):
        before = eta
        h, r = _curve(rows, family, eta)  # r: weighted residual, h: its slope
        step = r.sum() / h.sum()
        level, eta, r = level + step, eta + step, r - h * step
        for g, (code, size, k) in enumerate(zip(rows.codes, rows.sizes, shrink, strict=True)):
            under = np.bincount(code, h, size) + k
            move = (np.bincount(code, r, size) - k * effects[g]) / np.maximum(under, 1e-12)
            effects[g] = effects[g] + move
            eta, r = eta + move[code], r - h * move[code]
        if p:
            if chosen is None and sweep == 2:
                chosen = penalties(rows.z, rows.cells(h), rows.cells(r), seed=seed)
            if chosen is not None:
                mine = (rows.z @ (own + common).T)[rows.person, rows.category]
                found = arrow(rows.z, rows.cells(h), rows.cells(r + h * mine), *chosen)
                move = (rows.z @ (found[1] + found[0]).T)[rows.person, rows.category] - mine
                common, own = found
                eta, r = eta + move, r - h * move
        under = float((h * rows.extra**2).sum()) + slope
        turn = (float((r * rows.extra).sum()) - slope * delta) / under
        delta, eta = delta + turn, eta + turn * rows.extra
        if sweep > 2 and float(np.max(np.abs(eta - before))) < tolerance:
            break
    return Varying(float(level), tuple(effects), common, own, float(delta), chosen or (np.inf, np.inf))


def arrow(z: np.ndarray, weight: np.ndarray, residual: np.ndarray, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    """(beta, gamma) from weights and weighted residuals by person and category, [people, categories] each."""
    return _solve(*_inner(z, weight, residual), a, b)


def penalties(
    z: np.ndarray, weight: np.ndarray, residual: np.ndarray, *, folds: int = 4, grid: tuple[float, ...] = GRID,
    seed: int = 0,
) -> tuple[float, float]:  # fmt: skip
    """(a, b) of least weighted squared error on people who were left out; the stronger penalty where they are level.

    b is tried first with a = b, then a alone.
    """
    people = len(z)
    count = min(folds, people)
    if count < 2:
        return grid[-1], grid[-1]
    fold = np.random.default_rng(seed).permutation(people) % count
    mean = np.divide(residual, weight, out=np.zeros_like(residual), where=weight > 0)
    parts = [_inner(z[fold == k], weight[fold == k], residual[fold == k]) for k in range(count)]
    whole = tuple(sum(part[j] for part in parts) for j in (0, 1))

    def loss(a: float, b: float) -> float:
        total = 0.0
        for k, (inner, told) in enumerate(parts):
            common, own = _solve(whole[0] - inner, whole[1] - told, a, b)
            out = fold == k
            total += float((weight[out] * (mean[out] - z[out] @ (own + common).T) ** 2).sum())
        return total

    strongest = tuple(sorted(grid, reverse=True))
    b = min(strongest, key=lambda v: loss(v, v))
    return min(strongest, key=lambda v: loss(v, b)), b


def _inner(z: np.ndarray, weight: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A_c, float64[categories, p, p], and R_c, float64[categories, p]."""
    return np.matmul(weight.T[:, None, :] * z.T, z), residual.T @ z


def _solve(inner: np.ndarray, told: np.ndarray, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    p = told.shape[1]
    held = inner + b * np.eye(p)
    kept = np.linalg.solve(held, np.concatenate([inner, told[:, :, None]], 2))
    left, aside = kept[:, :, :p], kept[:, :, p]
    whole = a * np.eye(p) + (inner - np.matmul(inner, left)).sum(0)
    common = np.linalg.solve(whole, (told - np.matmul(inner, aside[:, :, None])[:, :, 0]).sum(0))
    return common, aside - left @ common


def _start(rows: Rows, family: Family) -> float:
    mean = float(np.average(rows.target, weights=rows.weight))
    return float(np.log(mean / (1 - mean))) if family == "answer" else mean


def _curve(rows: Rows, family: Family, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if family == "number":
        return rows.weight, rows.weight * (rows.target - eta)
    chance = sigmoid(eta)
    # where a chance saturates its curvature vanishes, and a step would have no bound
    steep = np.maximum(chance * (1 - chance), 1e-4)
    return rows.weight * steep, rows.weight * (rows.target - chance)
