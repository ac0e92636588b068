"""Logistic regression on hashed features and crosses: the classic of online advertising.

    p(answer) = sigmoid(sum of w over the row's features - shift)

Features of a (question, candidate): every column of the item, of the user and of the context; the item with each
column of the user; each category of the item with the same column of the last `recent` events; how often the history
holds the candidate's value (in powers of two); the person's own rate of positive answers, where past events carry
answers. Numbers enter as steps of half a deviation. Every feature is hashed into one table.

The prior is corrected for class-balanced weights (`shift`, see `ethogram.numeric.balance`), so that scores are
probabilities of the full task.

Reference: H. B. McMahan et al.: Ad Click Prediction: a View from the Trenches. KDD 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from ethogram.errors import OptionError
from ethogram.log import Features
from ethogram.numeric.balance import balanced, sigmoid
from ethogram.numeric.calibrated import Calibrated
from ethogram.numeric.crosses import places_of
from ethogram.numeric.ftrl import Learner, Rates, logits
from ethogram.numeric.past import read_by_past
from ethogram.numeric.slates import Slates, answered, score
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch


class Regression(NamedTuple):
    features: Features
    weights: np.ndarray
    shift: float


@system(
    "hashed_regression",
    paper="Ad Click Prediction: a View from the Trenches",
    year=2013,
    area="rank",
    verbs=("score",),
    baseline=True,
)
@dataclass(kw_only=True)
class HashedRegression(Calibrated):
    """Logistic regression on hashed features and crosses."""

    last: int | None = None
    "Events of the history that are read, from the end; none reads all."
    recent: int = 10
    "Last events whose categories are crossed with the candidate's."
    buckets: int = 2**20
    "Size of the table that features are hashed into."
    epochs: int = 4
    "Passes over the training slates, at most."
    patience: int = 1
    "Passes without a better validation log-loss before training stops."
    alpha: float = 0.05
    "Scale of the steps."
    l1: float = 0.0
    "Weight of the absolute values: makes rare features exactly 0."
    l2: float = 1.0
    "Weight of the squares."
    max_questions: int | None = 30_000
    "Questions to learn from, a random sample; none takes all."

    def __post_init__(self) -> None:
        if self.buckets < 2 or self.recent < 1 or self.epochs < 1 or not self.alpha > 0:
            raise OptionError(
                f"hashed_regression: buckets = {self.buckets}, recent = {self.recent}, epochs = {self.epochs}, "
                f"alpha = {self.alpha}; give at least 2, 1, 1 and a number above 0."
            )

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from the labelled events of `train`; `valid` decides when to stop."""
        features = read_by_past(train.features()).limit(self.last)
        asked = answered(train, features, self.max_questions, seed=seed)
        weight, shift = balanced(asked.label, asked.weight)
        rows = self._places(features, asked.slates)
        held = None if valid is None else answered(valid, features, self.max_questions, seed=seed)
        theirs = None if held is None else self._places(features, held.slates)
        learner, rates = Learner.fresh(self.buckets), Rates(self.alpha, 1.0, self.l1, self.l2)
        rng = np.random.default_rng(seed)
        best, kept, since = np.inf, learner.w, 0
        for epoch in range(self.epochs):
            learner.learn(rows, rng.permutation(len(rows)), asked.label, weight, rates)
            facts = {"epoch": epoch + 1, "epochs": self.epochs}
            if held is not None and theirs is not None:
                logit = logits(theirs, learner.w)
                own = balanced(held.label, held.weight)[0]
                loss = float(np.average(np.logaddexp(0, logit) - held.label * logit, weights=own))
                since = 0 if loss < best else since + 1
                if loss < best:
                    best, kept = loss, learner.w.copy()
                facts["valid"] = -loss
            if watch is not None:
                watch(facts)
            if since > self.patience:
                break
        self.fitted = Regression(features, kept.astype(np.float32), shift)
        return self

    def _places(self, features: Features, slates: Slates) -> np.ndarray:
        return places_of(slates, features, self.buckets, self.recent)

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Probability of a positive answer for each candidate."""
        fitted: Regression = self.fitted

        def judge(slates: Slates) -> np.ndarray:
            return sigmoid(logits(self._places(fitted.features, slates), fitted.weights) - fitted.shift)

        return score(fitted.features, histories, candidates, context, judge)

    def state(self) -> State:
        fitted: Regression = self.fitted
        tables, json, counts = fitted.features.saved()
        return State({**counts, "weights": fitted.weights}, tables, {"features": json, "shift": fitted.shift})

    def restore(self, state: State) -> Self:
        features = Features.restored(state.tables, state.json["features"], state.arrays)
        self.fitted = Regression(features, np.asarray(state.arrays["weights"]), float(state.json["shift"]))
        return self
