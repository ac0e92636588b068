"""Support-vector machines with a radial kernel, fitted by scikit-learn, kept and asked as plain arrays.

    f(x) = sum_s a_s exp(-g |x - x_s|^2) + b

for ratings (epsilon-insensitive regression) and for clicks (classification, made a probability by logistic regression
of the answer on f over people who were left out: Platt 1999).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ethogram.numeric.logistic import newton

BLOCK = 2**20
"""Kernel values at once."""


@dataclass(frozen=True, eq=False)
class Machine:
    """Support vectors float64[S, d], their weights float64[S], the constant, the kernel's width, and Platt's line."""

    vectors: np.ndarray
    weights: np.ndarray
    constant: float
    gamma: float
    line: tuple[float, float] = (0.0, 1.0)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """``line[0] + line[1] f(x)``, float64[N]."""
        out = np.empty(len(x))
        size = max(1, BLOCK // max(len(self.weights), 1))
        own = (self.vectors**2).sum(1)
        for at in range(0, len(x), size):
            part = x[at : at + size]
            far = (part**2).sum(1)[:, None] - 2 * part @ self.vectors.T + own
            out[at : at + size] = np.exp(-self.gamma * np.maximum(far, 0)) @ self.weights
        return np.asarray(self.line[0] + self.line[1] * (out + self.constant))

    @classmethod
    def ratings(cls, x: np.ndarray, y: np.ndarray, cost: float) -> Self:
        """Regression of numbers."""
        from sklearn.svm import SVR

        return cls._of(SVR(C=cost, epsilon=0.1, gamma=_gamma(x)).fit(x, y), x)

    @classmethod
    def answers(cls, x: np.ndarray, y: np.ndarray, cost: float, person: np.ndarray, folds: int = 3) -> Self:
        """Classification of yes and no; its logit is ``predict``."""
        from sklearn.svm import SVC

        said = np.zeros(len(x))
        fold = np.unique(person, return_inverse=True)[1] % folds
        for k in range(folds):
            out = fold == k
            if out.any() and len(np.unique(y[~out])) == 2:
                said[out] = cls._of(SVC(C=cost, gamma=_gamma(x)).fit(x[~out], y[~out]), x).predict(x[out])
        a, b = newton(np.column_stack([np.ones(len(x)), said]), y > 0, np.ones(len(x)), 1e-6)
        whole = cls._of(SVC(C=cost, gamma=_gamma(x)).fit(x, y), x)
        return cls(whole.vectors, whole.weights, whole.constant, whole.gamma, (float(a), float(b)))

    @classmethod
    def _of(cls, model: Any, x: np.ndarray) -> Self:
        return cls(model.support_vectors_, model.dual_coef_[0], float(model.intercept_[0]), _gamma(x))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """For a system's State."""
        numbers = np.array([self.constant, self.gamma, *self.line])
        return {f"{name}.vectors": self.vectors, f"{name}.weights": self.weights, f"{name}.numbers": numbers}

    @classmethod
    def restored(cls, name: str, arrays: Mapping[str, np.ndarray]) -> Self:
        """The inverse of `arrays`."""
        constant, gamma, a, b = np.asarray(arrays[f"{name}.numbers"]).tolist()
        return cls(
            np.asarray(arrays[f"{name}.vectors"]), np.asarray(arrays[f"{name}.weights"]), constant, gamma, (a, b)
        )


def _gamma(x: np.ndarray) -> float:
    spread = float(x.var())
    return 1.0 / (x.shape[1] * spread) if spread > 0 else 1.0
