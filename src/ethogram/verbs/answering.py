"""Answers about people: scores, recommendations, likenesses, forecasts, and what made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ethogram.log import Candidates, Histories
from ethogram.verbs.system import Table


@runtime_checkable
class Scores(Protocol):
    """Judges candidates for histories."""

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Scores in the shape of the candidates, higher is better.

        In area `rank` a score is the probability of a positive answer, in [0, 1]. `context` has one row per
        question. Unknown users, empty histories and unseen items are answered, not refused.
        """
        ...


@runtime_checkable
class ScoresGoals(Protocol):
    """Judges candidates by several goals at once: a click, a basket, a purchase."""

    def score_goals(
        self, histories: Histories, candidates: Candidates, context: Table | None = None
    ) -> Mapping[str, np.ndarray]:
        """Goal -> scores as those of `score`, which are the first goal's. Goals are label columns of the log."""
        ...


@runtime_checkable
class Recommends(Protocol):
    """Chooses items from the whole catalogue."""

    def recommend(
        self,
        histories: Histories,
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        among: Candidates | None = None,
    ) -> Table:
        """Best k items per question.

        Columns `question` (int64), `user` (null for strangers), `item`, `score`, `rank` (from 1), then whatever the
        system adds (`status` of the user: hot, warm or cold; `met`: whether training met the item).
        `exclude_seen=None` resolves by the training log's repeat ratio (below 1% exclude).
        """
        ...


@runtime_checkable
class Explains(Protocol):
    """Says which past events made a score."""

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """Columns `question`, `candidate` (item id), `item` (past item id), `time`, `share`, `rank`,
        then whatever the system adds (`component`: what of the model the event spoke through).

        Shares are of the sum of absolute weights; a negative one speaks against the candidate. Systems may say more
        in further columns.
        """
        ...


@runtime_checkable
class SimilarItems(Protocol):
    """Says which items are like an item."""

    def similar_items(self, items: Sequence[Any], k: int = 10, *, among: Candidates | None = None) -> Table:
        """Columns `query`, `item`, `similarity` (higher is more alike), `rank` (from 1); an item is not its own.

        Raises UnknownName where training never met one of the items.
        """
        ...


@runtime_checkable
class Forecasts(Protocol):
    """Knows when people's next events come, and of which kind."""

    def forecast(self, histories: Histories, k: int = 1, *, seed: int = 0) -> Table:
        """The next k events of each question.

        Columns `question` (int64), `user` (null for strangers), `step` (from 1), `time` (when it is expected; null
        where the history has no times or no event is expected at all), `low`, `high` (80% of the draws lie between),
        `kind` (null where there is nothing to tell it), `probability` of that kind. Rows by question, then step.
        Time runs from the instant at which a question is asked, else from the last event of its history. Unknown users,
        empty histories and unknown kinds are answered. `seed` is of the draws; a question's answer does not hang on
        the other questions.
        """
        ...
