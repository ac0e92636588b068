"""Boosted trees on counts, recencies and rates: what careful feature engineering reaches without a learned embedding.

A gradient-boosted sum of trees over the aggregates of `ethogram.numeric.aggregates` (how often and how recently the
history holds the candidate, its category, its brand ...; how popular it is; how often it is answered positively),
the numbers of the item, the user's columns and the context. In training, rates and popularity come from a part of the
log that does not hold the answer (`ethogram.numeric.folds`). Trees are fitted with class-balanced weights and the prior
is corrected afterwards (`ethogram.numeric.balance`), so that scores are probabilities of the full task.

Trees by scikit-learn (HistGradientBoostingClassifier); they are kept as plain arrays and walked without it.

Reference: J. Friedman: Greedy Function Approximation: A Gradient Boosting Machine. Annals of Statistics 2001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np

from ethogram.errors import OptionError
from ethogram.log import Features
from ethogram.numeric.aggregates import matrix
from ethogram.numeric.balance import balanced, sigmoid
from ethogram.numeric.calibrated import Calibrated
from ethogram.numeric.folds import Folds
from ethogram.numeric.past import read_by_past
from ethogram.numeric.popular import Popular
from ethogram.numeric.slates import Slates, answered, score
from ethogram.numeric.trees import Trees
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch


class Boosted(NamedTuple):
    features: Features
    popular: Popular
    columns: np.ndarray  # int64, the aggregates that differ between training rows
    trees: Trees
    shift: float


@system(
    "boosted_aggregates",
    paper="Greedy Function Approximation: A Gradient Boosting Machine",
    year=2001,
    area="rank",
    verbs=("score",),
    baseline=True,
)
@dataclass(kw_only=True)
class BoostedAggregates(Calibrated):
    """Gradient boosting on aggregates of history and candidate."""

    last: int | None = searched(None, among=(None, 50, 200))
    "Events of the history that are read, from the end; none reads all."
    steps: int = 200
    "Boosting steps, one tree each, at most; a validation log decides how many are used."
    learning_rate: float = searched(0.1, 0.02, 0.3, log=True)
    "Share of each tree that is added."
    leaves: int = searched(31, 7, 127, log=True)
    "Leaves per tree."
    min_leaf: int = searched(50, 10, 500, log=True)
    "Training rows per leaf, at least."
    column_share: float = searched(0.3, 0.1, 1.0)
    "Share of the columns that each split may choose from."
    statistics: Literal["auto", "people", "past"] = "auto"
    "What a training question may know of everybody: other people, days before, or (auto) as `train` was cut off."
    folds: int = 8
    "Parts that training is cut into for these statistics."
    max_questions: int | None = 30_000
    "Questions to learn from, a random sample; none takes all."
    threads: int = 1
    "Threads that grow trees; more help on idle cores only. They change no score."

    def __post_init__(self) -> None:
        if self.folds < 2 or self.steps < 1 or self.threads < 1 or not 0 < self.column_share <= 1:
            raise OptionError(
                f"boosted_aggregates: folds = {self.folds}, steps = {self.steps}, threads = {self.threads}, "
                f"column_share = {self.column_share}; give at least 2, 1, 1, and a share in (0, 1]."
            )

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from the labelled events of `train`; `valid` decides how many trees are used."""
        features = read_by_past(train.features()).limit(self.last)
        asked = answered(train, features, self.max_questions, seed=seed)
        weight, shift = balanced(asked.label, asked.weight)
        done = train.histories()
        past, _ = done.flat()
        folds = Folds.of(train, asked.histories, done, past, self.folds, self.statistics, seed)
        popular = Popular.of(asked, weight, features, np.asarray(done.item)[past], folds)
        rows, _ = matrix(asked.slates, features, popular, folds.asked)
        told = np.flatnonzero([_differs(rows[:, j]) for j in range(rows.shape[1])])
        popular, trees = popular.after_training(), self._grow(rows[:, told], asked.label, weight, seed)
        if valid is not None:
            held = answered(valid, features, self.max_questions, seed=seed)
            rows = matrix(held.slates, features, popular)[0][:, told]
            losses = trees.stages(rows, held.label, balanced(held.label, held.weight)[0])
            trees = trees.first(int(np.argmin(losses)))
            if watch is not None:
                watch({"step": len(trees), "steps": self.steps, "valid": -float(losses.min())})
        self.fitted = Boosted(features, popular, told, trees, shift)
        return self

    def _grow(self, rows: np.ndarray, label: np.ndarray, weight: np.ndarray, seed: int) -> Trees:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits

        model = HistGradientBoostingClassifier(
            max_iter=self.steps,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.min_leaf,
            max_features=self.column_share,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=seed,
        )
        # OpenMP's threads spin while they wait: on cores that others use as well, two took ten times as long as one
        with threadpool_limits(self.threads, user_api="openmp"):
            return Trees.of(model.fit(rows, label, sample_weight=weight))

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Probability of a positive answer for each candidate."""
        fitted: Boosted = self.fitted

        def judge(slates: Slates) -> np.ndarray:
            rows, _ = matrix(slates, fitted.features, fitted.popular)
            return sigmoid(fitted.trees.raw(rows[:, fitted.columns]) - fitted.shift)

        return score(fitted.features, histories, candidates, context, judge)

    def state(self) -> State:
        fitted: Boosted = self.fitted
        tables, json, counts = fitted.features.saved()
        arrays = {**counts, **fitted.popular.arrays(), **fitted.trees.arrays(), "columns": fitted.columns}
        return State(arrays, tables, {"features": json, "shift": fitted.shift})

    def restore(self, state: State) -> Self:
        features = Features.restored(state.tables, state.json["features"], state.arrays)
        popular, trees = Popular.restored(state.arrays), Trees.restored(state.arrays)
        self.fitted = Boosted(features, popular, state.arrays["columns"], trees, float(state.json["shift"]))
        return self


def _differs(column: np.ndarray) -> bool:
    there = ~np.isnan(column)
    return bool(there.any()) and (not there.all() or column.min() < column.max())
