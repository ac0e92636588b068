"""Ranks adverts by who somebody is: rating and click from Big-Five traits, pictures, facts, stated favourites, answers.

Person u has columns z_u (the five traits, mean vectors of liked and of disliked pictures, age, gender ...), advert i a
category c and a format. What is expected of u about i before u has answered anything:

    eta_ui = m + e_c + e_format + e_i + z_u . (beta + gamma_c) + delta [c is a stated favourite of u]

beta moves everything that a person is asked (a tendency to buy), gamma_c what the category has to do with the person;
both are penalised by what helps on people who were left out, so that traits that tell nothing are not listened to
(`ethogram.numeric.varying`). With answers of u at hand, their deviations from what was expected are carried on
(`ethogram.numeric.deviations`; D altogether, D_c in the category of i):

    rating = clip(eta_ui + D_u + D_uc)                   squares
    p(click) = sigmoid(eta'_ui + w1 D_u + w2 D_uc)       logistic, with coefficients of its own

Somebody new is therefore judged by personality alone, somebody known by it and by what they did. `learner` puts in
place of eta support-vector machines with a radial kernel, or a mean: of everything, of the person, of the advert, of
its category.

The paper compares published learners on its data with and without personality, and gives no equations for a model of
its own: the regression above is the simplest that has its parts (unconfirmed). Its two tasks are `rate` and `score`,
the buying tendency is in `associations`. Inferring traits from behaviour is sensitive: it has to be switched on, and
asked with a purpose that is written into the answer.

Reference: G. Roffo, A. Vinciarelli: Personality in Computational Advertising: A Benchmark. EMPIRE at RecSys 2016 (also
as: Towards Personality-Aware Recommendation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric.calibrated import Calibrated
from ethogram.rank.personality_ads.associations import associations
from ethogram.rank.personality_ads.design import Design
from ethogram.rank.personality_ads.fitted import Fitted
from ethogram.rank.personality_ads.inference import inferred
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

MEANS = ("global", "user", "item", "category")


@system(
    "personality_ads",
    paper="ADS Dataset (Towards Personality-Aware Recommendation)",
    year=2016,
    area="rank",
    verbs=("score",),
)
@dataclass(kw_only=True)
class PersonalityAds(Calibrated):
    """Personality-aware advert ranking: rating and click of people, known or new, for adverts, known or new."""

    learner: Literal["ridge", "svm", "global", "user", "item", "category"] = "ridge"
    "What expects: the regression, support-vector machines, a mean of everything, person, advert or its category."
    traits: Literal["auto", "given", "permuted", "none"] = "auto"
    "Big-Five traits: read where the log has them, demanded, dealt to wrong people in training (a control), left out."
    pictures: bool = True
    "Whether mean vectors of liked and of disliked pictures (`liked_0 ...`, `disliked_0 ...`) are read."
    facts: bool = True
    "Whether the other columns of people (age, gender, income ...) are read."
    favourites: bool = True
    "Whether stated favourites (`prefers_` and a value of `by`) are read."
    by: str | None = None
    "Item column through which people differ; none takes `category`, or the first with categories."
    adverts: bool = True
    "Whether an advert has an effect of its own beside those of its category and format."
    history: bool = True
    "Whether the person's own past answers are read."
    last: int | None = None
    "Past answers that are read, from the end; none reads all."
    shrink: float = 5.0
    "Answers' worth of nothing in the effect of an advert, a category, a format."
    cost: float = 1.0
    "Weight of errors beside smoothness in support-vector machines."
    max_rows: int = 4_000
    "Answers that a support-vector machine learns from, a random sample."
    infer: bool = False
    "Learn to infer traits from pictures and ratings, for `infer_traits`: sensitive, so off unless asked for."

    def __post_init__(self) -> None:
        if (self.last is not None and self.last < 1) or not self.shrink > 0 or not self.cost > 0 or self.max_rows < 50:
            raise OptionError(
                f"personality_ads: last = {self.last}, shrink = {self.shrink}, cost = {self.cost}, max_rows = "
                f"{self.max_rows}; give 1 or more, numbers above 0, and at least 50."
            )
        if self.learner in MEANS and self.traits in ("given", "permuted"):
            raise OptionError(
                f"personality_ads: a mean (learner = '{self.learner}') reads no traits; use auto or none."
            )

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from the ratings and clicks of `train`; nothing is decided by `valid`."""
        self.fitted: Fitted | Any = Fitted.of(self, self._design(train), train, seed, watch)
        return self

    def _design(self, train: Log) -> Design:
        reads = self.learner not in MEANS
        design = Design.of(
            train.features(), by=self.by, adverts=self.adverts, traits=self.traits if reads else "none",
            pictures=self.pictures and reads, facts=self.facts and reads, stated=self.favourites and reads,
        )  # fmt: skip
        return design if reads else design.only(self.learner)

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Probability of a click on each candidate."""
        return self._asked("score", histories, candidates)

    def rate(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Expected rating of each candidate, in the units of the log's role `value`, in the shape of the candidates."""
        return self._asked("rate", histories, candidates)

    def _asked(self, what: str, histories: Histories, candidates: Candidates) -> np.ndarray:
        held = histories if self.last is None else histories.last(self.last)
        return candidates.shape(self.fitted.ask(held, candidates, what == "rate"), len(histories))

    def infer_traits(self, histories: Histories, *, purpose: str) -> Table:
        """Traits of people who did not state them, from their pictures and ratings: for research, with consent.

        Parameters
        ----------
        purpose : why; it stands in every row of the answer.

        Returns
        -------
        Table with `question`, `user`, `trait`, `estimate`, `r2` (on people left out in training; at or below 0 the
        estimate is a guess), `purpose`.

        Raises
        ------
        OptionError
            The option `infer` is off, or no purpose is given.
        """
        if not self.infer:
            raise OptionError("personality_ads: inferring traits is off; set infer = true, with people's consent.")
        if not purpose.strip():
            raise OptionError("personality_ads: say for what purpose traits are inferred.")
        return inferred(self.fitted, histories, purpose.strip())

    @staticmethod
    def associations(log: Log, *, permutations: int = 2_000, level: float = 0.05, by: str | None = None) -> Table:
        """Which traits go with liking which category, and with a tendency to buy; see `associations`."""
        return associations(log, permutations=permutations, level=level, by=by)

    def state(self) -> State:
        found: State = self.fitted.state()
        return found

    def restore(self, state: State) -> Self:
        self.fitted = Fitted.restored(state)
        return self
