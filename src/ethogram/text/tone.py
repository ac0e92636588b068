"""The tone of texts in numbers: shares of words of certain kinds, subjectivity, sentiment, readability.

Over the words of a text (`text.words.split`), with n_c of them in category c (`tone_words.CATEGORIES`) and n in all:

    c             n_c / n                                       for every category
    subjective    (n_opinion + n_positive + n_negative) / n     a word counts once; 1 - that is how objective it is
    sentiment     (n_positive - n_negative) / (n_positive + n_negative), 0 without either
    ease          206.835 - 1.015 n / sentences - 84.6 syllables / n      Flesch's, of `text.readable`

A text without words has NaN everywhere. All texts are counted at once; only distinct words are looked up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from ethogram.text.readable import syllables
from ethogram.text.tone_words import CATEGORIES
from ethogram.text.words import Words, as_column, split

TONES = (*CATEGORIES, "subjective", "sentiment", "ease")
"""Names of the columns of `tones`."""


def tones(texts: Sequence[str], words: Words | None = None) -> np.ndarray:
    """Every tone of every text, float64[n, len(TONES)].

    Parameters
    ----------
    words : the words of these texts, if they have been split already.

    Raises
    ------
    OptionError
        Something in `texts` is not text.

    Examples
    --------
    >>> found = dict(zip(TONES, tones(["You are a damn good editor. Really!"])[0].round(3).tolist()))
    >>> found["swear"], found["subjective"], found["sentiment"]
    (0.143, 0.286, 1.0)
    """
    found = split(texts) if words is None else words
    counted = counts(found)
    n = found.lengths.astype(np.float64)
    column = as_column(texts)
    sentences = np.maximum(1, pc.count_substring_regex(column, r"[.!?]+(?:\s|$)").to_numpy(zero_copy_only=False))
    spoken = _sums(found, np.array([float(syllables(w)) for w in found.vocabulary]))
    at = {name: i for i, name in enumerate(CATEGORIES)}
    told = {w for c in ("opinion", "positive", "negative") for w in CATEGORIES[c]}
    subjective = _sums(found, np.array([float(w in told) for w in found.vocabulary]))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = counted / n[:, None]
        good, bad = counted[:, at["positive"]], counted[:, at["negative"]]
        sentiment = np.where(good + bad > 0, (good - bad) / np.maximum(good + bad, 1), 0.0)
        ease = 206.835 - 1.015 * n / sentences - 84.6 * spoken / n
        made = np.column_stack([shares, subjective / n, np.where(n > 0, sentiment, np.nan), ease])
    return np.asarray(made)


def counts(words: Words) -> np.ndarray:
    """How many words of each category each text has, float64[n, len(CATEGORIES)]."""
    made = np.zeros((len(words.offsets) - 1, len(CATEGORIES)))
    for at, kept in enumerate(CATEGORIES.values()):
        made[:, at] = _sums(words, np.array([float(w in kept) for w in words.vocabulary]))
    return made


def _sums(words: Words, value: np.ndarray) -> np.ndarray:
    """Sum of a number of each distinct word over the words of each text, float64[n]."""
    total = np.concatenate([[0.0], np.cumsum(value[words.codes])]) if len(words.codes) else np.zeros(1)
    return np.asarray(total[words.offsets[1:]] - total[words.offsets[:-1]])
