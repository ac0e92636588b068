"""BM25: which texts answer these words?

    score(q, d) = sum_t n_tq  ln(1 + (N - n_t + 1/2) / (n_t + 1/2))  f_td (k1 + 1) / (f_td + k1 (1 - b + b |d| / avg))

with f_td how often word t stands in text d, n_t the number of texts that hold it, n_tq how often the query says it.
Everything but n_tq is known before the query, so that the index holds one finished weight per (word, text), word by
word; a query adds up the lists of its words and keeps the k best, ties by ascending text.

Robertson, Walker (1994); the logarithm kept positive as in Lucene.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numba import njit

from ethogram.errors import NotFitted, OptionError
from ethogram.text.words import split


class BM25:
    """An index of texts.

    Parameters
    ----------
    k1 : how soon further occurrences stop counting. b : how much long texts are held back, 0 to 1.
    stop, stem : see `ethogram.text.words.split`.

    Examples
    --------
    >>> index = BM25().fit(["red shoes", "blue shoes and blue hats", "green tea"])
    >>> scores, found = index.search(["blue hat"], 2)
    >>> found.tolist()
    [[1, -1]]
    """

    def __init__(self, k1: float = 1.2, b: float = 0.75, *, stop: bool = True, stem: bool = True):
        if not k1 >= 0:
            raise OptionError(f"BM25: k1 = {k1} must be 0 or more.")
        if not 0 <= b <= 1:
            raise OptionError(f"BM25: b = {b} must lie between 0 and 1.")
        self.k1, self.b, self.stop, self.stem = float(k1), float(b), stop, stem
        self.size = -1
        self.vocabulary: dict[str, int] = {}

    def fit(self, texts: Sequence[str]) -> Self:
        """Index these texts; a text's code is its place."""
        words = split(texts, stop=self.stop, stem=self.stem)
        self.size = len(texts)
        self.vocabulary = {word: code for code, word in enumerate(words.vocabulary)}
        number = len(words.vocabulary)
        text = np.repeat(np.arange(self.size, dtype=np.int64), words.lengths)
        pair, count = np.unique(words.codes.astype(np.int64) * max(self.size, 1) + text, return_counts=True)
        word, text = np.divmod(pair, max(self.size, 1))
        holding = np.bincount(word, minlength=number)
        rarity = np.log1p((self.size - holding + 0.5) / (holding + 0.5))
        average = max(float(words.lengths.mean()), 1e-12) if self.size else 1.0
        damp = self.k1 * (1 - self.b + self.b * words.lengths[text] / average)
        self.starts = np.zeros(number + 1, np.int64)
        np.cumsum(holding, out=self.starts[1:])
        self.texts = text.astype(np.int32)
        self.weights = (rarity[word] * count * (self.k1 + 1) / (count + damp)).astype(np.float32)
        return self

    def search(self, queries: Sequence[str], k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """The k best texts of each query.

        Returns
        -------
        scores : float32[n, k], descending; -inf where no further text holds a word of the query.
        codes : int32[n, k]; -1 there.

        Raises
        ------
        NotFitted, OptionError
            Before `fit`; k below 1.
        """
        if k < 1:
            raise OptionError(f"k = {k} is not a number of texts; give 1 or more.")
        offsets, codes = self._coded(queries)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        found = np.full((len(queries), k), -1, np.int32)
        _search(offsets, codes, self.starts, self.texts, self.weights, self.size, scores, found)
        return scores, found

    def scores(self, query: str) -> np.ndarray:
        """Score of every text for one query, float32[N]; 0 where no word meets."""
        _, codes = self._coded([query])
        total = np.zeros(self.size, np.float32)
        for code in codes:
            here = slice(self.starts[code], self.starts[code + 1])
            total[self.texts[here]] += self.weights[here]
        return total

    def _coded(self, queries: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if self.size < 0:
            raise NotFitted("BM25: search before fit; call fit(texts).")
        words = split(queries, stop=self.stop, stem=self.stem)
        place = np.array([self.vocabulary.get(w, -1) for w in words.vocabulary], np.int64)
        codes = place[words.codes] if len(words.codes) else np.zeros(0, np.int64)
        row = np.repeat(np.arange(len(queries)), words.lengths)[codes >= 0]
        offsets = np.zeros(len(queries) + 1, np.int64)
        np.cumsum(np.bincount(row, minlength=len(queries)), out=offsets[1:])
        return offsets, codes[codes >= 0]


@njit(cache=True)
def _search(
    offsets: np.ndarray,
    codes: np.ndarray,
    starts: np.ndarray,
    texts: np.ndarray,
    weights: np.ndarray,
    size: int,
    best: np.ndarray,
    who: np.ndarray,
) -> None:
    total = np.zeros(size, np.float32)
    touched = np.empty(size, np.int32)
    k = best.shape[1]
    for q in range(len(offsets) - 1):
        seen = 0
        for at in range(offsets[q], offsets[q + 1]):
            for place in range(starts[codes[at]], starts[codes[at] + 1]):
                text = texts[place]
                if total[text] == 0.0:
                    touched[seen] = text
                    seen += 1
                total[text] += weights[place]
        for i in range(seen):
            text, score = touched[i], total[touched[i]]
            total[text] = 0.0
            if score > best[q, k - 1] or (score == best[q, k - 1] and text < who[q, k - 1]):
                j = k - 1
                while j > 0 and (score > best[q, j - 1] or (score == best[q, j - 1] and text < who[q, j - 1])):
                    best[q, j], who[q, j] = best[q, j - 1], who[q, j - 1]
                    j -= 1
                best[q, j], who[q, j] = score, text
