"""How long and how hard to read is a text? Counts, and Flesch's reading ease.

    ease = 206.835 - 1.015 words / sentences - 84.6 syllables / words

Syllables are counted as groups of vowels, without a silent e at the end: exact to about one in ten English words,
enough to order texts. Flesch: A New Readability Yardstick (Journal of Applied Psychology, 1948).
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_SENTENCE = re.compile(r"[.!?]+(?=\s|$)")
_VOWELS = re.compile(r"[aeiouyáéíóúäöüàèìòù]+")


def words(text: str) -> list[str]:
    """The words of a text.

    >>> words("It's 3 o'clock.")
    ["It's", "o'clock"]
    """
    return _WORD.findall(text)


def syllables(word: str) -> int:
    """Syllables of an English word, at least 1.

    >>> [syllables(w) for w in ("cat", "table", "make", "reading")]
    [1, 2, 1, 2]
    """
    plain = word.lower()
    count = len(_VOWELS.findall(plain))
    silent = plain.endswith("e") and not plain.endswith(("le", "ee", "ye")) and count > 1
    return max(1, count - silent)


def ease(text: str) -> float | None:
    """Flesch's reading ease: about 100 is very easy, 30 is hard; None for a text without words.

    >>> round(ease("The cat sat on the mat."), 1)
    116.1
    """
    found = words(text)
    if not found:
        return None
    sentences = max(1, len(_SENTENCE.findall(text)))
    return 206.835 - 1.015 * len(found) / sentences - 84.6 * sum(map(syllables, found)) / len(found)
