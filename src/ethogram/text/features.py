"""What a classifier sees of a text: TF-IDF rows, or an encoder's vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ethogram.errors import OptionError
from ethogram.text.dense import Embed, unit
from ethogram.text.words import as_column


class Features(Protocol):
    """Texts to rows of numbers, and back from weights to pieces of a text."""

    def fit(self, texts: Sequence[str]) -> Any: ...
    def of(self, texts: Sequence[str]) -> Any: ...
    def contributions(self, text: str, weights: np.ndarray) -> tuple[list[str], np.ndarray]: ...
    def state(self) -> tuple[list[str], dict[str, np.ndarray]]: ...
    def restore(self, names: list[str], arrays: Mapping[str, np.ndarray]) -> None: ...


def make_features(kind: str, embed: Embed | None) -> Features:
    """The features of that kind: words, characters, both, or vectors."""
    if kind == "vectors":
        assert embed is not None
        return Vectors(embed)
    return Tfidf(("words", "characters") if kind == "both" else (kind,))


_HOW: dict[str, dict[str, Any]] = {
    "words": {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
    "characters": {"analyzer": "char_wb", "ngram_range": (3, 5), "min_df": 2},
}


class Tfidf:
    """TF-IDF with sublinear counts and unit rows; several kinds stand side by side."""

    def __init__(self, kinds: Sequence[str]):
        self.kinds = kinds
        self._made: list[Any] = []

    def fit(self, texts: Sequence[str]) -> Any:
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfVectorizer

        as_column(texts)
        self._made = [TfidfVectorizer(sublinear_tf=True, **_HOW[k]) for k in self.kinds]
        try:
            return sparse.hstack([v.fit_transform(texts) for v in self._made], format="csr")
        except ValueError:
            raise OptionError("the texts hold no words (or no characters twice); there is nothing to learn.") from None

    def of(self, texts: Sequence[str]) -> Any:
        from scipy import sparse

        as_column(texts)
        return sparse.hstack([v.transform(texts) for v in self._made], format="csr")

    def contributions(self, text: str, weights: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Feature names of this text and ``weight x value`` of each; they sum to z minus the bias."""
        row = self.of([text])
        names = np.concatenate([v.get_feature_names_out() for v in self._made])
        return [str(n) for n in names[row.indices]], row.data * weights[row.indices]

    def state(self) -> tuple[list[str], dict[str, np.ndarray]]:
        names = [str(n) for v in self._made for n in v.get_feature_names_out()]
        return names, {
            "idf": np.concatenate([v.idf_ for v in self._made]),
            "sizes": np.array([len(v.idf_) for v in self._made]),
        }

    def restore(self, names: list[str], arrays: Mapping[str, np.ndarray]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        at = 0
        for kind, size in zip(self.kinds, arrays["sizes"].tolist(), strict=True):
            here = slice(at, at + size)
            how = {n: v for n, v in _HOW[kind].items() if n != "min_df"}
            made = TfidfVectorizer(sublinear_tf=True, vocabulary={w: i for i, w in enumerate(names[here])}, **how)
            made.idf_ = np.asarray(arrays["idf"][here])
            self._made.append(made)
            at += size


class Vectors:
    """An encoder's unit vectors; a word's part is how far the score falls without it."""

    def __init__(self, embed: Embed):
        self.embed = embed

    def fit(self, texts: Sequence[str]) -> Any:
        return self.of(texts)

    def of(self, texts: Sequence[str]) -> Any:
        as_column(texts)
        return unit(self.embed(texts)).astype(np.float64)

    def contributions(self, text: str, weights: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Distinct words of this text and the fall of the score when each is left out."""
        pieces = text.split()
        words = list(dict.fromkeys(pieces))
        without = [" ".join(p for p in pieces if p != w) for w in words]
        z = self.of([text, *without]) @ weights
        return words, np.asarray(z[0] - z[1:])

    def state(self) -> tuple[list[str], dict[str, np.ndarray]]:
        return [], {}

    def restore(self, names: list[str], arrays: Mapping[str, np.ndarray]) -> None:
        pass
