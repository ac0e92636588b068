"""Smoothed rates: how often people answer this item positively, and how much this person keeps to its category.

    logit p = w0 + w1 odds(item) + w2 odds(category)
              + w3 lift(person, category) + w4 liked(person, category) + w5 own(person)

odds are log-odds of rates shrunk to the overall rate (empirical Bayes, `ethogram.numeric.rates`); lift is the log of
the category's smoothed share of the history against everybody's share; liked and own are log-odds of the person's own
positive answers, to the category (against own) and altogether, where past events carry answers (else 0). The weights
are fitted by logistic regression to training slates whose statistics come from a part of the log that does not hold
the answer (`ethogram.numeric.folds`). What is not known (an unseen item, an empty history) adds nothing.

The prior is corrected for class-balanced weights (`ethogram.numeric.balance`), so that scores are probabilities of the
full task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np

from ethogram.errors import OptionError, nearest
from ethogram.log import Features
from ethogram.numeric.aggregates import matrix
from ethogram.numeric.balance import balanced, sigmoid
from ethogram.numeric.calibrated import Calibrated
from ethogram.numeric.folds import Folds
from ethogram.numeric.logistic import newton
from ethogram.numeric.popular import Popular
from ethogram.numeric.rates import precision
from ethogram.numeric.slates import Answered, Slates, answered, score
from ethogram.numeric.values import columns
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

MODERATE = (2, 5_000)
"""Number of values of a column that may be the category."""


class Blend(NamedTuple):
    features: Features  # the item and its category only
    popular: Popular
    category: str
    lift: float
    weights: np.ndarray
    shift: float


@system(
    "smoothed_rates",
    paper="",
    year=2026,
    area="rank",
    verbs=("score",),
    baseline=True,
)
@dataclass(kw_only=True)
class SmoothedRates(Calibrated):
    """Smoothed click rates of item and category, blended with the person's."""

    category: str | None = None
    "Item column that people have a taste for; none tries each and keeps the one of least log-loss."
    strength: float | None = None
    "Answers' worth of the overall rate in every rate; none estimates it by moments."
    last: int | None = None
    "Events of the history that are read, from the end; none reads all."
    statistics: Literal["auto", "people", "past"] = "auto"
    "What a training question may know of everybody: other people, days before, or (auto) as `train` was cut off."
    folds: int = 8
    "Parts that training is cut into for these statistics."
    max_questions: int | None = 50_000
    "Questions to learn from, a random sample; none takes all."

    def __post_init__(self) -> None:
        if self.folds < 2 or (self.strength is not None and self.strength <= 0):
            raise OptionError(
                f"smoothed_rates: folds = {self.folds}, strength = {self.strength}; "
                "give at least 2 and a number above 0."
            )

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from the labelled events of `train`; `valid` decides between categories where none is given."""
        features = train.features().limit(self.last)
        names = self._categories(features)
        features = _only(features, names)
        asked = answered(train, features, self.max_questions, seed=seed)
        held = None if valid is None else answered(valid, features, self.max_questions, seed=seed)
        done = train.histories()
        past, _ = done.flat()
        folds = Folds.of(train, asked.histories, done, past, self.folds, self.statistics, seed)
        events = np.repeat(done.users, done.lengths), np.asarray(done.item)[past]
        tried: list[tuple[float, Blend]] = []
        for name in names:
            tried.append(self._blend(_only(features, [name]), name, asked, held, folds, events))
            if watch is not None:
                watch({"category": name, "loss": tried[-1][0]})
        self.fitted = min(tried, key=lambda t: t[0])[1]
        return self

    def _categories(self, features: Features) -> Sequence[str]:
        sizes = features.tables
        known = {c.name: sizes[c.table] - 2 for c in features.of("item") if c.type in ("categorical", "multi")}
        if self.category is not None:
            if self.category not in known:
                told = f"{nearest(self.category, known)} Columns: {', '.join(known)}."
                raise OptionError(f"smoothed_rates: no item column '{self.category}' with categories.{told}")
            return [self.category]
        found = [n for n, size in known.items() if n != "item" and MODERATE[0] <= size <= MODERATE[1]]
        return found or ["item"]

    def _blend(
        self,
        features: Features,
        category: str,
        asked: Answered,
        held: Answered | None,
        folds: Folds,
        events: tuple[np.ndarray, np.ndarray],
    ) -> tuple[float, Blend]:
        """(log-loss on the validation slates, else on the training slates; the fitted blend) of one category.

        `events` are person and item of the behaviour of training.
        """
        weight, shift = balanced(asked.label, asked.weight)
        popular = Popular.of(asked, weight, features, events[1], folds, self.strength)
        lift = precision(*events, columns(features, asked.slates.batch.items)[category])
        blend = Blend(features, popular, category, lift, np.zeros(0), shift)
        rows = _rows(blend, asked.slates, folds.asked)
        weights = newton(rows, asked.label, weight)
        fitted = blend._replace(popular=popular.after_training(), weights=weights)
        if held is None:
            return _loss(rows @ weights, asked), fitted
        return _loss(_rows(fitted, held.slates) @ weights, held), fitted

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Probability of a positive answer for each candidate."""
        fitted: Blend = self.fitted

        def judge(slates: Slates) -> np.ndarray:
            return sigmoid(_rows(fitted, slates) @ fitted.weights - fitted.shift)

        return score(fitted.features, histories, candidates, context, judge)

    def state(self) -> State:
        fitted: Blend = self.fitted
        tables, json, counts = fitted.features.saved()
        arrays = {**counts, **fitted.popular.arrays(), "weights": fitted.weights}
        facts = {"category": fitted.category, "lift": fitted.lift, "shift": fitted.shift}
        return State(arrays, tables, {"features": json, **facts})

    def restore(self, state: State) -> Self:
        features = Features.restored(state.tables, state.json["features"], state.arrays)
        weights = np.asarray(state.arrays["weights"])
        facts = (state.json[n] for n in ("category", "lift", "shift"))
        category, lift, shift = facts
        self.fitted = Blend(features, Popular.restored(state.arrays), category, lift, weights, shift)
        return self


def _only(features: Features, names: Sequence[str]) -> Features:
    """The columns that a blend reads: the item, its categories, and the answers of past events."""
    for c in features.columns:
        kept = (c.of == "item" and c.name in ("item", *names)) or (c.of == "event" and c.name == "label")
        if not kept:
            features = features.without(c.name, of=c.of)
    return features


def _rows(blend: Blend, slates: Slates, fold: np.ndarray | None = None) -> np.ndarray:
    """The terms of the blend, float64[total, 6]; what is not known is 0."""
    found, names = matrix(slates, blend.features, blend.popular, fold, lift=blend.lift)
    of = dict(zip(names, found.T.astype(np.float64), strict=True))
    base, none = blend.popular.base, np.zeros(len(slates))
    own = of.get("answered", none)
    liked = of.get(f"liked.{blend.category}", none)
    terms = [
        none + 1.0,
        of["odds.item"] - base,
        of[f"odds.{blend.category}"] - base if blend.category != "item" else none,
        of[f"lift.{blend.category}"],
        liked - own,
        own - base if "answered" in of else none,
    ]
    return np.nan_to_num(np.stack(terms, axis=1), nan=0.0)


def _loss(logit: np.ndarray, held: Answered) -> float:
    weight = balanced(held.label, held.weight)[0]
    return float(np.average(np.logaddexp(0, logit) - held.label * logit, weights=weight))
