"""Verbs that every recommending system shares whose model is a vector for each user and item.

A system keeps its `Factors` as ``self.fitted.model`` and adds how they are learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric.factors import Factors, FoldIn
from ethogram.numeric.similar import cosines, similar
from ethogram.numeric.vectors import Judge
from ethogram.verbs import Candidates, Histories, Log, Table


@dataclass(kw_only=True)
class FactorSystem:
    """Scores and recommends by products of vectors; folds in whom training did not meet."""

    fold_in: FoldIn = "strangers"
    "Whose vector is made from the history asked about: of strangers, or always, so that newest events count."

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Products of vectors; see `ethogram.numeric.vectors`."""
        return self._model.score(histories, candidates)

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None, among: Candidates | None = None
    ) -> Table:
        """The best items (see `ethogram.numeric.recommend`)."""
        return self._model.recommend(histories, k, exclude_seen=exclude_seen, among=among)

    def similar_items(self, items: Sequence[Any], k: int = 10, *, among: Candidates | None = None) -> Table:
        """Items of largest cosine of vectors (see `ethogram.numeric.similar`)."""
        return similar(self._model.known, cosines(self._model.vectors), items, k, among)

    @property
    def _model(self) -> Factors:
        model: Factors = self.fitted.model  # type: ignore[attr-defined]
        return model


def check(options: Any, *, above: Iterable[str] = (), least: Iterable[str] = ()) -> None:
    """Refuse options that must be `above` 0, or 0 at `least`.

    Raises
    ------
    OptionError
        One of them, by name.
    """
    for names, wrong, asked in ((above, lambda x: x <= 0, "a number above 0"), (least, lambda x: x < 0, "0 or more")):
        for name in names:
            if wrong(value := getattr(options, name)):
                raise OptionError(f"{options.info.key}: {name} = {value}; give {asked}.")


def judge(model: Factors, valid: Log | None, most: int | None, seed: int) -> Judge | None:
    """NDCG@10 of the model on the next events of a validation part; None where it asks nothing."""
    if valid is None or not len(valid.sequences()):
        return None
    return Judge(model, valid.questions("next"), most=most, seed=seed)
