"""Recommends what everybody takes: the same list for each, and the first floor that a model must pass.

    score(b) = events of b in training                              (half_life = None)
    score(b) = sum over its events of 2^(-age / half_life)          (age before the last training event)

Reference: P. Cremonesi, Y. Koren, R. Turrin: Performance of Recommender Algorithms on Top-N Recommendation Tasks.
RecSys 2010 (there "TopPop").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethogram.errors import OptionError, StepError
from ethogram.log.condition import duration
from ethogram.numeric.affinity import Affinity
from ethogram.numeric.affinity_system import AffinitySystem
from ethogram.numeric.fitted_verbs import Scored
from ethogram.numeric.known import Known
from ethogram.numeric.ledger import Ledger
from ethogram.numeric.neighbours import none
from ethogram.system import system
from ethogram.verbs import Histories


@system(
    "popularity",
    paper="Performance of Recommender Algorithms on Top-N Recommendation Tasks",
    year=2010,
    area="recommend",
    verbs=("score", "recommend", "update"),
    baseline=True,
)
@dataclass(kw_only=True)
class Popularity(AffinitySystem, Scored):
    """What everybody takes, counted, lately or of all time."""

    half_life: str | None = None
    "Time in which an event loses half its weight, such as '30d'; none counts all events alike."

    def _learn(self, known: Known, done: Histories, ledger: Ledger | None) -> Affinity:
        prior = known.counts.astype(np.float64) if self.half_life is None else self._recent(done, known)
        return Affinity(known, none(len(known.items)), prior, ledger=ledger)

    def _recent(self, done: Histories, known: Known) -> np.ndarray:
        assert self.half_life is not None
        try:
            half = duration(self.half_life)
        except StepError as wrong:
            raise OptionError(f"popularity: half_life: {wrong}") from None
        if "time" not in done.columns:
            raise OptionError("popularity: half_life needs a log with times; this one has an order only.")
        rows, _ = done.flat()
        time, item = np.asarray(done.columns["time"])[rows], np.asarray(done.item)[rows]
        age = (time.max(initial=0) - time)[item >= 0]
        return np.bincount(item[item >= 0], 0.5 ** (age / half), minlength=len(known.items))
