"""Texts to words, a whole column at a time.

A word is a run of letters and digits after NFKC and lower-casing. Splitting and coding are done by Arrow over all
texts at once; what depends on a word alone (stop words, stems) is done once per distinct word.

The stems are Harman's "S" rules (1991), which only join singular and plural:
``-ies`` to ``-y`` (not -eies, -aies), ``-es`` to ``-e`` (not -aes, -ees, -oes), ``-s`` dropped (not -us, -ss).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError

STOP = frozenset(
    """
    a an and are as at be been but by can could did do does for from had has have he her his how i if in into is it
    its me my no not of on or our she should so such than that the their them then there these they this to us was
    we were what when where which who why will with would you your
    """.split()  # noqa: SIM905
)
"""English function words; they carry no topic."""


class Words(NamedTuple):
    """Words of texts, ragged: text i has ``codes[offsets[i]:offsets[i + 1]]``, each a place in `vocabulary`."""

    offsets: np.ndarray
    codes: np.ndarray
    vocabulary: list[str]

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)


def split(texts: Sequence[str], *, stop: bool = False, stem: bool = False) -> Words:
    """The words of each text.

    Parameters
    ----------
    stop : leave out `STOP`. stem : join singular and plural.

    Raises
    ------
    OptionError
        Something in `texts` is not text; tells the first row.

    Examples
    --------
    >>> made = split(["The cats' ladies", "a cat"], stop=True, stem=True)
    >>> made.vocabulary, made.codes.tolist(), made.offsets.tolist()
    (['cat', 'lady'], [0, 1, 0], [0, 2, 3])
    """
    column = as_column(texts)
    cleaned = pc.utf8_lower(pc.utf8_normalize(column, "NFKC"))
    pieces = pc.split_pattern_regex(cleaned, r"[^\p{L}\p{N}]+")
    coded = pieces.flatten().dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int32)
    raw = coded.dictionary.to_pylist()
    kept: dict[str, int] = {}
    place = np.full(max(len(raw), 1), -1, np.int32)
    for at, word in enumerate(raw):
        if word and not (stop and word in STOP):
            form = stemmed(word) if stem else word
            place[at] = kept.setdefault(form, len(kept))
    codes = place[codes] if len(codes) else codes
    counts = pc.list_value_length(pieces).to_numpy(zero_copy_only=False).astype(np.int64)
    row = np.repeat(np.arange(len(column)), counts)
    used = codes >= 0
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(np.bincount(row[used], minlength=len(column)), out=offsets[1:])
    return Words(offsets, codes[used], list(kept))


def as_column(texts: Sequence[str]) -> pa.Array:
    """Texts as one Arrow column, or OptionError that tells the first row that is not text."""
    if isinstance(texts, str):
        raise OptionError("give a list of texts, not one text.")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise OptionError(f"row {row} of the texts is {type(text).__name__}, not text.")
    return pa.array(list(texts), pa.large_string())


def stemmed(word: str) -> str:
    """The word without its plural.

    >>> [stemmed(w) for w in ("queries", "horses", "cats", "glass", "virus", "heroes")]
    ['query', 'horse', 'cat', 'glass', 'virus', 'heroe']
    """
    if len(word) < 4:
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1]
    return word
