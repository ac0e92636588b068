"""Folds that keep what belongs together together, and what a model loses without a part of what it sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate.bootstrap import places


def grouped_folds(groups: Any, folds: int = 10, seed: int = 0) -> np.ndarray:
    """Fold of each row, int64[n]: all rows of a group in one fold, folds as even as groups allow.

    Groups are dealt largest first to the fold that has fewest rows; among equally large ones the seed decides.

    Raises
    ------
    OptionError
        Fewer groups than folds, or fewer than two folds.

    Examples
    --------
    >>> found = grouped_folds(["a", "a", "b", "c"], 2)
    >>> bool(found[0] == found[1]), sorted(np.bincount(found).tolist())
    (True, [2, 2])
    """
    place, ids = places(groups)
    if folds < 2 or len(ids) < folds:
        raise OptionError(f"grouped_folds: {len(ids)} groups into {folds} folds; give 2 or more, and as many groups.")
    sizes = np.bincount(place, minlength=len(ids))
    order = np.random.default_rng(seed).permutation(len(ids))
    order = order[np.argsort(-sizes[order], kind="stable")]
    held, fold = np.zeros(folds, np.int64), np.empty(len(ids), np.int64)
    for group in order:
        fold[group] = held.argmin()
        held[fold[group]] += sizes[group]
    return fold[place]


def permutation_importance(
    score: Callable[[np.ndarray], float], columns: np.ndarray, parts: Mapping[str, Sequence[int]], *, repeats: int = 5,
    seed: int = 0,
) -> dict[str, float]:  # fmt: skip
    """By how much a score falls when the columns of a part are shuffled among the rows (together, all alike).

    ``score(columns) - mean over repeats of score(columns with the part permuted)``; Breiman (2001), section 10.

    Parameters
    ----------
    score : columns float[n, d] -> a number, higher is better. parts : name -> places of its columns.
    """
    rng = np.random.default_rng(seed)
    whole, found = score(columns), {}
    for name, places_ in parts.items():
        at = list(places_)
        lost = []
        for _ in range(repeats):
            shuffled = columns.copy()
            shuffled[:, at] = columns[rng.permutation(len(columns))][:, at]
            lost.append(whole - score(shuffled))
        found[name] = float(np.mean(lost))
    return found
