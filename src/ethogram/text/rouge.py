"""How much of a text another one says in the same order: ROUGE-L.

    LCS: length of the longest common subsequence of words      F = 2 LCS / (words of one + words of the other)

Lin: ROUGE: A Package for Automatic Evaluation of Summaries (ACL Workshop 2004), section 3, with beta = 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ethogram.errors import OptionError
from ethogram.text.words import split


def rouge_l(said: Sequence[str], true: Sequence[str]) -> np.ndarray:
    """F of each pair of texts, float64[n]; 0 where one of them has no words.

    Raises
    ------
    OptionError
        Not as many of the one as of the other.

    Examples
    --------
    >>> rouge_l(["the cat sat", ""], ["the old cat", "a"]).round(3).tolist()
    [0.667, 0.0]
    """
    if len(said) != len(true):
        raise OptionError(f"rouge_l: {len(said)} texts against {len(true)}; give one of each.")
    words = split([*said, *true])
    rows = [words.codes[a:b].tolist() for a, b in zip(words.offsets[:-1], words.offsets[1:], strict=True)]
    found = np.zeros(len(said))
    for i in range(len(said)):
        one, other = rows[i], rows[len(said) + i]
        if one and other:
            found[i] = 2 * _common(one, other) / (len(one) + len(other))
    return found


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    best = [0] * (len(other) + 1)
    for a in one:
        before = 0
        for j, b in enumerate(other, 1):
            before, best[j] = best[j], before + 1 if a == b else max(best[j], best[j - 1])
    return best[-1]
