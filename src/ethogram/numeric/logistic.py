"""Logistic regression of a few columns, to the optimum."""

from __future__ import annotations

import numpy as np

from ethogram.numeric.balance import sigmoid


def newton(
    columns: np.ndarray, label: np.ndarray, weight: np.ndarray, ridge: float = 1.0, steps: int = 50,
    offset: np.ndarray | float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Weights of ``sigmoid(offset + columns @ w)`` that minimise weighted log-loss plus ``ridge / 2 |w|^2``, by Newton.

    Parameters
    ----------
    columns : float64[N, d], with a column of ones if there is to be an intercept (it is not penalised if it comes
        first). label : bool[N]. weight : float64[N]. offset : what is known of each row's logit beforehand.

    Returns
    -------
    float64[d]
    """
    penalty = np.full(columns.shape[1], ridge)
    penalty[0] = 1e-9
    w = np.zeros(columns.shape[1])
    value = _loss(columns, label, weight, penalty, w, offset)
    for _ in range(steps):
        p = sigmoid(offset + columns @ w)
        slope = columns.T @ (weight * (p - label)) + penalty * w
        curve = (columns * (weight * p * (1 - p))[:, None]).T @ columns + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        size = 1.0
        # a full step may overshoot where the logits saturate
        while (at := _loss(columns, label, weight, penalty, w - size * step, offset)) > value and size > 1e-6:
            size /= 2
        if at > value:
            break
        w, gain, value = w - size * step, value - at, at
        if gain <= 1e-10 * max(abs(value), 1.0):
            break
    return w


def _loss(
    columns: np.ndarray, label: np.ndarray, weight: np.ndarray, penalty: np.ndarray, w: np.ndarray,
    offset: np.ndarray | float,
) -> float:  # fmt: skip
    logit = offset + columns @ w
    return float((weight * (np.logaddexp(0, logit) - label * logit)).sum() + (penalty * w * w).sum() / 2)
