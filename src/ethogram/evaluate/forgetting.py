"""What a learner of a stream keeps of windows that are gone: judged on every window after learning each.

    R[i, j]   the value on the held-out part of window j, after windows 0 .. i were learned (higher is better)
    R[i, i + 1]   the window that comes, before it is learned
    forgetting_j = max over j <= i < last of R[i, j] - R[last, j]: what of window j was lost at the end

Reference: D. Lopez-Paz, M. Ranzato: Gradient Episodic Memory for Continual Learning. NeurIPS 2017; A. Chaudhry et al.:
Riemannian Walk for Incremental Learning. ECCV 2018.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def matrix(
    windows: int, learn: Callable[[int], None], judge: Callable[[int], float], *, every: bool = True
) -> np.ndarray:
    """R float64[windows, windows].

    Parameters
    ----------
    learn : learns window i; called in order. judge : value on window j with what was learned so far.
    every : judge all windows after each; else the learned ones after the last and, after each, the one that it ends
        with and the one that comes (the others are NaN).
    """
    found = np.full((windows, windows), np.nan)
    for i in range(windows):
        learn(i)
        asked = range(windows) if every or i == windows - 1 else range(i, i + 2)
        for j in asked:
            found[i, j] = judge(j)
    return found


def forgetting(found: np.ndarray) -> np.ndarray:
    """What was lost of each window but the last by the end, float64[windows - 1]; NaN entries are not looked at.

    >>> forgetting(np.array([[1.0, 0.0], [0.25, 1.0]])).tolist()
    [0.75]
    """
    last = len(found) - 1
    return np.array([np.nanmax(found[j:last, j]) - found[last, j] for j in range(last)])
