"""Verbs that a system hands on to what it fitted, one class a verb, put side by side as its bases.

    class ItemKNN(AffinitySystem, Scored, Explained, Alike)

What was fitted answers by `score`, `recommend`, `explain`, `similar_items` and `state`; it knows the items and users of
training (`ethogram.numeric.known`), and where a verb needs more than that, its own class says so. Scores of whoever has
a column for each known item, asked about any candidates, are picked out by `over_candidates`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from ethogram.log import Candidates, Histories
from ethogram.verbs import Log, State, Table, Watch


class Scored:
    """`score`, `recommend` and `state` of what was fitted."""

    fitted: Any

    @property
    def _model(self) -> Any:
        """What answers: all that was fitted, unless a system keeps more beside it."""
        return self.fitted

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Scores as the module of the system has them, in the shape of the candidates."""
        found: np.ndarray = self._model.score(histories, candidates)
        return found

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None, among: Candidates | None = None
    ) -> Table:
        """The best items (see `ethogram.numeric.recommend`)."""
        return self._model.recommend(histories, k, exclude_seen=exclude_seen, among=among)

    def state(self) -> State:
        found: State = self.fitted.state()
        return found


class Explained:
    """`explain` of what was fitted."""

    fitted: Any

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events with the largest part in each score (see `ethogram.numeric.reasons`)."""
        return self.fitted.explain(histories, candidates, k)


class Alike:
    """`similar_items` of what was fitted."""

    _model: Any

    def similar_items(self, items: Sequence[Any], k: int = 10, *, among: Candidates | None = None) -> Table:
        """The items most like each one, by weights or by cosines of vectors (see `ethogram.numeric.similar`)."""
        return self._model.similar_items(items, k, among)


class FitsLater:
    """`fit` and `restore` of a system whose fitted state is a class that is imported when it is first needed."""

    fitted: Any

    @abstractmethod
    def _fits(self) -> Any:
        """That class: ``fit(options, log, valid, seed, watch)`` and ``restore(options, state)`` make one."""

    def _check(self) -> None:
        """OptionError where options are numbers that no fit can have."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from behaviour; `valid` decides when to stop.

        Raises
        ------
        OptionError
            Numbers that no network can have, or a log that holds nothing to learn from.
        """
        self._check()
        self.fitted = self._fits().fit(self, train, valid, seed=seed, watch=watch)
        return self

    def restore(self, state: State) -> Self:
        self.fitted = self._fits().restore(self, state)
        return self


def over_candidates(
    dense: Callable[[slice], np.ndarray], place: np.ndarray, candidates: Candidates, n: int, *,
    block: int, missing: float, kind: type,
) -> np.ndarray:  # fmt: skip
    """Scores in the shape of the candidates, from scores of all known items.

    Parameters
    ----------
    dense : consecutive questions -> float[b, m], asked `block` questions at a time.
    place : int[V + 1], column of each code of the candidates' vocabulary, -1 for unknown items; a last -1 answers for
        code -1. missing : the score of what is unknown. kind : dtype of the answer.
    """
    codes, offsets = candidates.flat(n)
    flat = np.full(len(codes), missing, kind)
    for at in range(0, n, block):
        stop = min(at + block, n)
        said = dense(slice(at, stop))
        part = slice(offsets[at], offsets[stop])
        owner, own = np.repeat(np.arange(stop - at), np.diff(offsets[at : stop + 1])), place[codes[part]]
        met = own >= 0
        flat[part][met] = said[owner[met], own[met]]
    return candidates.shape(flat, n)
