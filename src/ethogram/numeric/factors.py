"""A vector per user of training, and one for any stranger: what matrix and graph models share once they are fitted.

A user of the training log has the vector that training gave; a stranger is folded in, that is, given the vector that
the history alone calls for while the items stay as they are. `always` folds in everybody, so that a user's newest
events count too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ethogram.log import Candidates, Histories
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.known import Known
from ethogram.numeric.reasons import reasons
from ethogram.numeric.recommend import table
from ethogram.numeric.topk import TopK
from ethogram.numeric.vectors import ByVectors
from ethogram.verbs import Table

FoldIn = Literal["strangers", "always"]
BLOCK = 4_096
"""Questions folded in at once."""


@dataclass(frozen=True, eq=False)
class Factors(ByVectors):
    """Fitted vectors; scores as in `ethogram.numeric.vectors`.

    Attributes
    ----------
    known : the training log's items, users and counts.
    users : float32[U, d] by the codes of ``known.users``. vectors : float32[M, d] of the items that training met.
    fold : from counts of (question, trained item) pairs to vectors float32[n, d]; zeros for an empty row.
    always : fold in users of training too.
    """

    known: Known
    users: np.ndarray
    vectors: np.ndarray
    fold: Callable[[Interactions], np.ndarray]
    always: bool = False

    def states(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        """(float32[n, d], bool[n]: trained, or folded in from something known)."""
        user = self.known.users_of(histories)
        if self.always:
            user = np.full(len(histories), -1, np.int32)
        trained = user >= 0
        found = np.zeros((len(histories), self.users.shape[1]), np.float32)
        found[trained] = self.users[user[trained]]
        there, others = trained.copy(), np.flatnonzero(~trained)
        for at in range(0, len(others), BLOCK):
            which = others[at : at + BLOCK]
            pairs = self.pairs(histories[which])
            found[which], there[which] = self.fold(pairs), pairs.lengths > 0
        return found, there

    def pairs(self, histories: Histories) -> Interactions:
        """Counts of the trained items of each history."""
        return Interactions.of(histories, self.known.rows_in(histories.vocabularies["item"]), len(self.vectors))

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None, among: Candidates | None = None
    ) -> Table:
        """See `ethogram.numeric.recommend.recommend`; the whole catalogue is searched without holding all scores."""
        if among is None and 1 <= k <= len(self.vectors):
            states, there = self.states(histories)
            barred = None
            if self.known.excludes(exclude_seen):
                places, ends = histories.flat()
                rows = self.known.rows_in(histories.vocabularies["item"])
                barred = ends, rows[np.asarray(histories.item)[places]]
            scores, found = self._search.search(states, k, barred)
            # who is not known, or has seen nearly all, is answered the general way
            if there.all() and (found >= 0).all():
                codes = np.flatnonzero(self.known.counts > 0)[found.reshape(-1)]
                question, rank = np.repeat(np.arange(len(histories)), k), np.tile(np.arange(1, k + 1), len(histories))
                value = scores.reshape(-1).astype(np.float64)
                return table(self.known, histories, question, self.known.items.decode(codes), value, rank)
        return super().recommend(histories, k, exclude_seen=exclude_seen, among=among)

    @cached_property
    def _search(self) -> TopK:
        return TopK(self.vectors)

    def explain(
        self, histories: Histories, candidates: Candidates, k: int,
        parts: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> Table:  # fmt: skip
        """The part of each past event in the score of the folded-in history, where its vector is a sum over items.

        Parameters
        ----------
        parts : (int[m] trained items, int[m] events with each) -> float64[d, m], the vectors that the items add.
            Events with the same item share its part equally.
        """
        rows, places = self.known.rows_in(histories.vocabularies["item"]), histories.flat()[0]
        own, vectors = self.known.rows_in(candidates.vocabulary), self.vectors.astype(np.float64)

        def terms(question: int, codes: np.ndarray, past: slice) -> np.ndarray:
            met, judged = rows[np.asarray(histories.item)[places[past]]], own[codes]
            taken, at, counts = np.unique(met[met >= 0], return_inverse=True, return_counts=True)
            found = np.zeros((len(codes), len(met)))
            if len(taken):
                said = vectors[judged] @ (parts(taken, counts) / counts)
                found[:, met >= 0] = np.where(judged[:, None] >= 0, said, 0.0)[:, at]
            return found

        return reasons(histories, candidates, terms, k)


def matrix(histories: Histories, known: Known) -> Interactions:
    """What a training log's users did: a row for each of ``known.users``, a column for each item that was met."""
    done = histories[histories.lengths > 0]
    return Interactions.of(done, known.rows_in(done.vocabularies["item"]), known.trained)
