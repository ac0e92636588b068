"""The five factors of personality: their fields, and the ten questions that a short inventory takes for them.

A log's side table of people may have the columns of `TRAITS`; whatever measures them fills the same five. The BFI-10
asks two questions for each, one of them the wrong way round:

    trait = answer of the straight question - answer of the reversed one      on answers -2 (disagree) ... 2 (agree)
    trait = (straight + 6 - reversed) / 2                                     on answers 1 ... 5

Reference: B. Rammstedt, O. P. John: Measuring personality in one minute or less: A 10-item short version of the Big
Five Inventory in English and German. Journal of Research in Personality 2007.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ethogram.errors import OptionError
from ethogram.world.people.persona import TRAITS

BFI10 = (
    ("extraversion", -1),  # 1 is reserved
    ("agreeableness", 1),  # 2 is generally trusting
    ("conscientiousness", -1),  # 3 tends to be lazy
    ("neuroticism", -1),  # 4 is relaxed, handles stress well
    ("openness", -1),  # 5 has few artistic interests
    ("extraversion", 1),  # 6 is outgoing, sociable
    ("agreeableness", -1),  # 7 tends to find fault with others
    ("conscientiousness", 1),  # 8 does a thorough job
    ("neuroticism", 1),  # 9 gets nervous easily
    ("openness", 1),  # 10 has an active imagination
)
"""Trait and direction of each question, in the order of the inventory."""

_RANGES = {"centred": (-2, 2), "likert": (1, 5)}


def score_bfi10(answers: Any, scale: Literal["centred", "likert"] = "centred") -> np.ndarray:
    """Traits from answers, float64[n, 5] in the order of `TRAITS`: -4 ... 4 (centred) or 1 ... 5 (likert).

    Parameters
    ----------
    answers : [n, 10], in the order of the inventory; NaN where one is missing: the trait is then NaN, too.
    scale : centred, answers -2 ... 2; likert, answers 1 ... 5.

    Raises
    ------
    OptionError
        Not ten answers each, or one outside the scale; person and question are told.

    Examples
    --------
    >>> score_bfi10([[-2, 2, -1, -1, -2, 2, -2, 1, 1, 2]])[0].tolist()
    [4.0, 2.0, 4.0, 4.0, 2.0]
    """
    if scale not in _RANGES:
        raise OptionError(f"bfi-10: scale '{scale}' is neither centred (-2 ... 2) nor likert (1 ... 5).")
    told = np.atleast_2d(np.asarray(answers, np.float64))
    if told.ndim != 2 or told.shape[1] != len(BFI10):
        raise OptionError(f"bfi-10: answers of shape {told.shape}; ten of each person are needed.")
    low, high = _RANGES[scale]
    wrong = ~np.isnan(told) & ((told < low) | (told > high) | (told != np.round(told)))
    if wrong.any():
        person, question = np.argwhere(wrong)[0]
        raise OptionError(
            f"bfi-10: answer {told[person, question]:g} of person {person} to question {question + 1} is not a whole "
            f"number from {low} to {high}."
        )
    signs = np.zeros((len(BFI10), len(TRAITS)))
    for question, (trait, sign) in enumerate(BFI10):
        signs[question, TRAITS.index(trait)] = sign
    missing = np.isnan(told)
    found = np.where(missing @ np.abs(signs) > 0, np.nan, np.where(missing, 0.0, told) @ signs)
    return np.asarray(found if scale == "centred" else (found + 6) / 2)
