"""Words as codes of a vocabulary that is learned once: the frequent ones by name, the others hashed into a few.

>>> lexicon = Lexicon.of(["bread and jam", "bread"], most=1, spare=2)
>>> lexicon.names
('bread',)
>>> [len(c) for c in lexicon.codes(["Bread, and jam!", ""])]
[3, 0]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np

from ethogram.errors import OptionError
from ethogram.text.words import split


@dataclass(frozen=True)
class Lexicon:
    """Codes 0 ... len(names) - 1 are the words in `names`; `spare` further codes share all others by their hash."""

    names: tuple[str, ...]
    spare: int = 64

    @classmethod
    def of(cls, texts: Sequence[str], most: int = 4000, spare: int = 64) -> Lexicon:
        """The `most` most frequent words of texts; of equally frequent ones the first in the alphabet.

        Raises
        ------
        OptionError
            `most` or `spare` is below 1.
        """
        if most < 1 or spare < 1:
            raise OptionError(f"lexicon: most = {most}, spare = {spare}; give 1 or more of each.")
        words = split(texts)
        counts = np.bincount(words.codes, minlength=len(words.vocabulary))
        order = sorted(range(len(counts)), key=lambda c: (-counts[c], words.vocabulary[c]))[:most]
        return cls(tuple(words.vocabulary[c] for c in order), spare)

    def __len__(self) -> int:
        return len(self.names) + self.spare

    @cached_property
    def _place(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.names)}

    def code(self, word: str) -> int:
        """The code of a word, as `text.words.split` writes words."""
        found = self._place.get(word)
        if found is None:
            digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            found = len(self.names) + int.from_bytes(digest, "big") % self.spare
        return found

    def codes(self, texts: Sequence[str]) -> list[list[int]]:
        """The codes of each text's words."""
        words = split(texts)
        known = np.array([self.code(w) for w in words.vocabulary], np.int64)
        flat = known[words.codes].tolist() if len(words.codes) else []
        return [flat[a:b] for a, b in zip(words.offsets[:-1], words.offsets[1:], strict=True)]
