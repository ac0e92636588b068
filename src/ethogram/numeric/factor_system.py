"""Verbs that every recommending system shares whose model is a vector for each user and item.

A system keeps its `Factors` as ``self.fitted.model`` and adds how they are learned.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ethogram.errors import OptionError
from ethogram.numeric.factors import Factors, FoldIn
from ethogram.numeric.fitted_verbs import Alike, Scored
from ethogram.numeric.vectors import Judge
from ethogram.verbs import Log


@dataclass(kw_only=True)
class FactorSystem(Scored, Alike):
    """Scores and recommends by products of vectors; folds in whom training did not meet."""

    fold_in: FoldIn = "strangers"
    "Whose vector is made from the history asked about: of strangers, or always, so that newest events count."

    @property
    def _model(self) -> Factors:
        model: Factors = self.fitted.model
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
