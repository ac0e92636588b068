"""New points among clusters found before: a vote of their neighbours, without a new run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric.density import exact

if TYPE_CHECKING:
    from ethogram.numeric.density import Density

VOTERS = 5
"""Neighbours that vote, at least."""


def assign(found: Density, x_new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities that new points would have, nearly.

    The `min_samples` nearest known points vote, each for its cluster if the new point would have joined it while it was
    one, ``1 / m(new, known) >= birth``, else for noise; of equal votes those of the nearest count. A point joins with
    ``lambda = 1 / min m`` over the members among its voters, and ``probability = min(lambda, death) / death``.

    Parameters
    ----------
    found : as from `density`. x_new : float[m, d].

    Returns
    -------
    labels : int32[m], -1 for noise. probabilities : float32[m].

    Raises
    ------
    OptionError
        Points have another width, or hold NaN (the rows are named).
    """
    x = np.asarray(x_new, found.points.dtype)
    if x.ndim != 2 or x.shape[1] != found.points.shape[1]:
        raise OptionError(f"assign: points have shape {x.shape}; give {found.points.shape[1]} numbers a row.")
    wrong = np.flatnonzero(~np.isfinite(x).all(1))
    if len(wrong):
        raise OptionError(f"assign: {len(wrong)} rows hold NaN or infinite numbers, the first is row {wrong[0]}.")
    labels, probabilities = np.full(len(x), -1, np.int32), np.zeros(len(x), np.float32)
    if not len(found) or not len(x):
        return labels, probabilities
    voters = min(len(found.points), max(VOTERS, found.min_samples))
    distance, code = exact.nearest(found.points, voters, np.ascontiguousarray(x))
    # the new point counts itself, so that its own core distance ends one known point earlier
    core = distance[:, max(found.min_samples - 2, 0)] if found.min_samples > 1 else np.zeros(len(x))
    with np.errstate(divide="ignore"):
        level = 1.0 / np.maximum(np.maximum(distance, found.core[code]), core[:, None])
    voted = found.labels[code]
    voted = np.where((voted >= 0) & (level >= found.births[voted]), voted, -1)
    votes = (voted[:, :, None] == voted[:, None, :]).sum(2)
    rows = np.arange(len(x))
    labels[:] = voted[rows, votes.argmax(1)]  # argmax takes the first, which is the nearest
    level = np.where(voted == labels[:, None], level, 0.0).max(1)
    death = found.deaths[labels]
    with np.errstate(invalid="ignore"):
        share = np.minimum(level, death) / death
    share[np.isinf(level)] = 1.0
    probabilities[:] = np.where(labels >= 0, share, 0.0)
    return labels, probabilities
