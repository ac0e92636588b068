"""Three ways to score rows of features, learned and saved alike: boosted trees, logistic regression, and their mean.

All say z = constant + sum of parts, one for each column (`numeric.boosted_scorer`, `numeric.scorer`), and the mean of
two such sums is one again. Trees see that what is alike can also speak against (pages in the news are shared by many),
and are better at telling accounts apart; straight lines do not saturate, and are better at telling candidates apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit

from ethogram.numeric.boosted_scorer import BoostedScorer
from ethogram.numeric.scorer import Scorer
from ethogram.verbs import State

Kind = Literal["blend", "boosted", "logistic"]


@dataclass(frozen=True, eq=False)
class Blend:
    """z = (z of the trees + z of the lines) / 2."""

    trees: BoostedScorer
    lines: Scorer

    @property
    def names(self) -> tuple[str, ...]:
        return self.lines.names

    def logit(self, columns: np.ndarray) -> np.ndarray:
        """z of each row, float64[n]."""
        return (self.trees.logit(columns) + self.lines.logit(columns)) / 2

    def probability(self, columns: np.ndarray) -> np.ndarray:
        """P of each row, float64[n]."""
        return np.asarray(expit(self.logit(columns)))

    def parts(self, columns: np.ndarray) -> np.ndarray:
        """Part of each column in each row's z, float64[n, d]."""
        return (self.trees.parts(columns) + self.lines.parts(columns)) / 2


Either = Scorer | BoostedScorer | Blend


def learn(kind: Kind, columns: np.ndarray, label: np.ndarray, names: Sequence[str], l2: float) -> Either:
    """A scorer of one kind; `l2` is of the logistic one."""
    if kind == "logistic":
        return Scorer.learn(columns, label, names, l2)
    trees = BoostedScorer.learn(columns, label, names)
    return trees if kind == "boosted" else Blend(trees, Scorer.learn(columns, label, names, l2))


def saved(scorer: Either) -> State:
    """A scorer as plain data."""
    lines = scorer.lines if isinstance(scorer, Blend) else scorer
    trees = scorer.trees if isinstance(scorer, Blend) else scorer
    return State(
        arrays=trees.arrays() if isinstance(trees, BoostedScorer) else {},
        tables={"weights": lines.table()} if isinstance(lines, Scorer) else {},
        json={"names": list(scorer.names)},
    )


def restored(state: State) -> Either:
    """The inverse of `saved`."""
    lines = Scorer.restored(state.tables["weights"]) if state.tables else None
    trees = BoostedScorer.restored(state.arrays, state.json["names"]) if state.arrays else None
    if trees is not None and lines is not None:
        return Blend(trees, lines)
    made = lines or trees
    assert made is not None
    return made
