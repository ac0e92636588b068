"""Texts by meaning: the largest cosines between vectors, and the fusion of several rankings.

Whoever owns the vectors gives them (a sentence encoder, hashed character n-grams); this room knows no model.
Rankings are fused by reciprocal ranks, ``sum_r 1 / (60 + rank_r)``: it needs no common scale of the scores.

Cormack, Clarke, Büttcher: Reciprocal Rank Fusion (SIGIR 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from ethogram.errors import NotFitted, OptionError
from ethogram.numeric.topk import TopK
from ethogram.text.bm25 import BM25

Embed = Callable[[Sequence[str]], np.ndarray]
"""Texts to vectors, float[n, d]."""
FUSION = 60


class Dense:
    """Texts as unit vectors, searched exactly.

    Examples
    --------
    >>> index = Dense(hashed).fit(["red shoes", "green tea"])
    >>> index.search(["a shoe in red"], 1)[1].tolist()
    [[0]]
    """

    def __init__(self, embed: Embed):
        self.embed = embed
        self._index: TopK | None = None

    def fit(self, texts: Sequence[str]) -> Self:
        self._index = TopK(unit(self.embed(texts)))
        return self

    def search(self, queries: Sequence[str], k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """(cosines float32[n, k] descending, codes int32[n, k]); -inf and -1 where there is no further text."""
        if self._index is None:
            raise NotFitted("Dense: search before fit; call fit(texts).")
        return self._index.search(unit(self.embed(queries)), k)


class Hybrid:
    """Words and meaning together: BM25 and dense rankings fused, `depth` of each."""

    def __init__(self, embed: Embed, *, depth: int = 100, k1: float = 1.2, b: float = 0.75):
        if depth < 1:
            raise OptionError(f"Hybrid: depth = {depth} is not a number of texts; give 1 or more.")
        self.depth, self._words, self._dense = depth, BM25(k1, b), Dense(embed)

    def fit(self, texts: Sequence[str]) -> Self:
        self._words.fit(texts)
        self._dense.fit(texts)
        return self

    def search(self, queries: Sequence[str], k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """(fused scores float32[n, k], codes int32[n, k]), descending, ties by ascending code."""
        found = [index.search(queries, max(self.depth, k))[1] for index in (self._words, self._dense)]
        return fuse(found, k)


def fuse(rankings: Sequence[np.ndarray], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of several rankings, each int[n, m] of codes, best first, -1 where it ends.

    >>> fuse([np.array([[3, 1]]), np.array([[1, 2]])], 2)[1].tolist()
    [[1, 3]]
    """
    n = len(rankings[0])
    codes = np.concatenate(rankings, 1).astype(np.int64)
    points = np.concatenate([np.broadcast_to(1 / (FUSION + 1 + np.arange(r.shape[1])), r.shape) for r in rankings], 1)
    row = np.repeat(np.arange(n), codes.shape[1])
    used = codes.ravel() >= 0
    pair, place = np.unique(np.stack([row[used], codes.ravel()[used]]), axis=1, return_inverse=True)
    total = np.bincount(place.ravel(), points.ravel()[used], pair.shape[1])
    order = np.lexsort([pair[1], -total, pair[0]])
    row, code, score = pair[0][order], pair[1][order], total[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    scores, best = np.full((n, k), -np.inf, np.float32), np.full((n, k), -1, np.int32)
    kept = rank < k
    scores[row[kept], rank[kept]], best[row[kept], rank[kept]] = score[kept], code[kept]
    return scores, best


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float32; a row of zeros stays."""
    made = np.asarray(vectors, np.float32)
    if made.ndim != 2:
        raise OptionError(f"vectors have shape {made.shape}; give one row of numbers per text.")
    return np.asarray(made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12))


def hashed(texts: Sequence[str], width: int = 512) -> np.ndarray:
    """Vectors without a model: signed hashes of character 3- to 5-grams inside words, unit length, float32[n, width].

    They see shared word parts, not meaning; the floor of every dense retrieval.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    made = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=width, norm="l2")
    return np.asarray(made.transform(list(texts)).toarray(), np.float32)
