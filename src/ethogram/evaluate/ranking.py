"""Where do the items that people chose stand in a ranking of the whole catalogue? Exact under ties.

**The rule for ties.** A system that scores everything equal has shown nothing, and the place of an item in
memory must not decide. A target with g competitors above it and e others level with it has the mid-rank
``r = 1 + g + e / 2``, and is found among the first k if ``r < k + 1``, that is, if fewer than k stand before it,
those level with it counting half. Two or more targets of one question that are level with each other share
their tie: t of them, in a tie of e + 1 items, stand at ``g + i (e + 2) / (t + 1), i = 1 ... t``, where they fall
on average when the tie is put in random order. One target alone gets the mid-rank, several have the mid-rank as
their mean, and no metric can pass 1.

**Competitors** are all items of the catalogue but the excluded ones; a target is never excluded, and the other
targets of the same question compete like everybody else.

The metrics, for a question with m targets at ranks ``r_1 <= ... <= r_m``, those with ``r_j < k + 1`` being its hits:

=============  ============================================================================================
``hr@k``       1 if there is a hit
``recall@k``   hits / m
``precision@k``  hits / k
``map@k``      ``sum_hits (j / r_j) / min(m, k)`` (average precision; divided by what was possible, as in NDCG)
``ndcg@k``     ``sum_hits 1 / log2(1 + r_j)  /  sum_{j <= min(m, k)} 1 / log2(1 + j)``
``mrr@k``      ``1 / r_1`` if that is a hit, else 0; ``mrr`` has no k
=============  ============================================================================================

Järvelin and Kekäläinen (2002) for NDCG with binary gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate import kernels
from ethogram.evaluate.exposure import Exposure, coverage, gini, information

__all__ = [
    "Exposure", "Past", "Standing", "coverage", "gini", "information", "mid_ranks", "names", "per_question", "stand",
]  # fmt: skip


class Past(NamedTuple):
    """Items of each question's past, as slices of shared rows: ``item[start[q]:stop[q]]``, repeats allowed."""

    item: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    @classmethod
    def none(cls, n: int) -> Past:
        return cls(np.zeros(0, np.int32), np.zeros(n, np.int64), np.zeros(n, np.int64))

    @classmethod
    def of(cls, excluded: Any, n: int) -> Past:
        """From a mask bool[n, V], a list of codes per question, a `Past`, or None."""
        if excluded is None:
            return cls.none(n)
        if isinstance(excluded, Past):
            return excluded
        item: np.ndarray
        if isinstance(excluded, np.ndarray) and excluded.ndim == 2:
            question, item = np.nonzero(excluded)
            ends = np.searchsorted(question, np.arange(n + 1))
        else:
            ends = np.concatenate([[0], np.cumsum([len(e) for e in excluded])])
            item = np.concatenate([np.asarray(e, np.int32) for e in excluded]) if n else np.zeros(0)
        return cls(item.astype(np.int32), ends[:-1].astype(np.int64), ends[1:].astype(np.int64))

    def rows(self, rows: slice) -> Past:
        """The past of some questions."""
        return Past(self.item, self.start[rows], self.stop[rows])


class Standing(NamedTuple):
    """How each target stands; targets of question q are ``offsets[q]:offsets[q + 1]``."""

    greater: np.ndarray
    "int64[T]: competitors with a higher score."
    equal: np.ndarray
    "int64[T]: other competitors with the same score."
    offsets: np.ndarray

    @property
    def question(self) -> np.ndarray:
        """Question of each target, int64[T]."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def only(self, chosen: np.ndarray) -> Standing:
        """The standing of some targets (bool[T]) among the same competitors."""
        before = np.concatenate([[0], np.cumsum(chosen)])
        return Standing(self.greater[chosen], self.equal[chosen], before[self.offsets])

    def ranks(self) -> tuple[np.ndarray, np.ndarray]:
        """(ranks float64[T], ascending inside each question; question of each int64[T]); ties as stated above."""
        question = self.question
        order = np.lexsort((self.greater, question))
        greater, equal = self.greater[order], self.equal[order]
        new = np.ones(len(order), bool)
        new[1:] = (greater[1:] != greater[:-1]) | (question[1:] != question[:-1])
        first = np.flatnonzero(new)
        level = np.diff(np.append(first, len(order)))  # targets of one question with one score
        place = np.arange(len(order)) - np.repeat(first, level) + 1
        return greater + place * (equal + 2) / (np.repeat(level, level) + 1), question


def stand(scores: np.ndarray, targets: Any, offsets: Any = None, excluded: Any = None) -> Standing:
    """Compare targets with all other items of their question.

    Parameters
    ----------
    scores : float32 or float64 [n, V]. NaN counts as -inf, the lowest score there is; nothing is written.
    targets : int[T] item codes; without `offsets` int[n], one per question. -1 is an item that was not scored:
        it stands behind the whole catalogue.
    offsets : int64[n + 1], targets of question q are ``offsets[q]:offsets[q + 1]``, distinct.
    excluded : items that do not compete: mask bool[n, V], list of codes per question, or `Past`.
        A target is never excluded.

    Raises
    ------
    OptionError
        Shapes do not fit, or a code is outside the catalogue.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise OptionError(f"scores of shape {scores.shape} are not [questions, items].")
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float64)
    n, items = scores.shape
    targets = np.asarray(targets, np.int64)
    offsets = np.arange(n + 1) if offsets is None else np.asarray(offsets, np.int64)
    if len(offsets) != n + 1 or offsets[-1] != len(targets):
        raise OptionError(f"{len(targets)} targets and {len(offsets) - 1} slices do not fit scores of {n} questions.")
    if len(targets) and (targets.max() >= items or targets.min() < -1):
        raise OptionError(f"a target's code lies outside the {items} items that were scored.")
    past = Past.of(excluded, n)
    greater, equal = np.zeros(len(targets), np.int64), np.zeros(len(targets), np.int64)
    kernels.stand(np.ascontiguousarray(scores), targets, offsets, *past, greater, equal)
    return Standing(greater, equal, offsets)


def mid_ranks(scores: np.ndarray, targets: Any, offsets: Any = None, excluded: Any = None) -> np.ndarray:
    """Mid-rank ``1 + greater + equal / 2`` of each target, float64[T]; arguments as in `stand`.

    >>> mid_ranks(np.array([[0.1, 0.9, 0.5, 0.5], [1, 1, 1, 1]]), [2, 0])
    array([2.5, 2.5])
    """
    found = stand(scores, targets, offsets, excluded)
    return np.asarray(1 + found.greater + found.equal / 2)


def names(ks: Sequence[int]) -> list[str]:
    """Names of the metrics of `per_question`, in its order."""
    return [*(f"{m}@{k}" for k in ks for m in ("hr", "recall", "precision", "map", "ndcg", "mrr")), "mrr"]


def per_question(standing: Standing, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Every metric of each question, float64[n]; NaN for questions without targets."""
    n = len(standing.offsets) - 1
    ranks, question = standing.ranks()
    targets = np.diff(standing.offsets)
    asked = targets > 0
    gain = 1 / np.log2(1 + ranks)
    # ranks ascend inside a question, so the hits within k are its first ones
    nth = np.arange(len(ranks)) - np.repeat(standing.offsets[:-1], targets) + 1
    ideal = np.concatenate([[np.nan], np.cumsum(1 / np.log2(1 + np.arange(1, max(ks) + 1)))])
    best = np.full(n, np.nan)
    best[asked] = ranks[standing.offsets[:-1][asked]]
    out: dict[str, np.ndarray] = {}

    def total(values: np.ndarray) -> np.ndarray:
        return np.where(asked, np.bincount(question, values, n), np.nan)

    with np.errstate(invalid="ignore", divide="ignore"):
        for k in ks:
            hit = ranks < k + 1
            hits = total(hit)
            possible = np.minimum(targets, k)
            found = {
                "hr": np.where(asked, hits > 0, np.nan),
                "recall": hits / targets,
                "precision": hits / k,
                "map": total(np.where(hit, nth / ranks, 0)) / possible,
                "ndcg": total(np.where(hit, gain, 0)) / ideal[possible],
                "mrr": np.where(best < k + 1, 1 / best, np.where(asked, 0.0, np.nan)),
            }
            out |= {f"{name}@{k}": np.asarray(values, np.float64) for name, values in found.items()}
    out["mrr"] = 1 / best
    return out
