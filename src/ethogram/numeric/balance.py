"""Weights that keep both answers in sight, and the correction that gives the probabilities back.

Where negatives are sampled, each stands for many (weight = 1 / sampling rate), and a weighted fit is ruled by few rows
of enormous weight. Scaled so that the rows of each class weigh 1 on average, the classes keep their densities

    f1(x) ~ sum of w over positives at x,        f0(x) ~ sum of w over negatives at x

and only the prior odds change, by the same factor everywhere. So a model that learns with the scaled weights learns

    logit p'(x) = logit p(x) + shift,            shift = log(mean w of negatives / mean w of positives)

and sigmoid(logit p' - shift) is the probability of the full task (prior correction: J. Anderson, Biometrika 1972;
G. King, L. Zeng: Logistic Regression in Rare Events Data, 2001, eq. 7). Weights that differ inside a class stay in
force.
"""

from __future__ import annotations

import numpy as np

from ethogram.errors import StepError


def balanced(label: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float]:
    """(weights float64[N] with mean 1 in each class, shift).

    Parameters
    ----------
    label : bool[N]. weight : float[N], above 0 somewhere in each class.

    Raises
    ------
    StepError
        A class has no weight.

    Examples
    --------
    >>> weights, shift = balanced(np.array([True, False, False]), np.array([1.0, 30.0, 10.0]))
    >>> weights.tolist(), round(float(np.exp(shift)), 6)
    ([1.0, 1.5, 0.5], 20.0)
    """
    weight = np.asarray(weight, np.float64)
    means = [float(weight[label == k].mean()) if (label == k).any() else 0.0 for k in (False, True)]
    if min(means) <= 0:
        raise StepError("the positive or the negative labels have no weight; a ranker needs both answers.")
    return weight / np.where(label, means[1], means[0]), float(np.log(means[0] / means[1]))


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-logit))`` without overflow, float64."""
    half = np.exp(-np.abs(np.asarray(logit, np.float64)))
    return np.where(np.asarray(logit) >= 0, 1.0, half) / (1.0 + half)
