"""A text classifier that is calibrated and says why.

Features: TF-IDF of words (1- and 2-grams), of characters (3- to 5-grams inside words), of both, or vectors of a given
encoder. A logistic regression per label stands on them. Its probabilities are made true by a monotone map, learned from
predictions on folds that the prediction did not see (rows of one group stay together):

    sigmoid   p = 1 / (1 + exp(-(a z + c)))   (Platt)            isotonic   the best monotone step function of z

Labels may be soft: a share y of raters who said yes counts as y of a yes and 1 - y of a no. Several labels per text
(`labels` of shape [n, L]) are learned one by one; classes (one of several) likewise, their probabilities sum to 1.

A prediction is explained by what each word adds to z: for words ``weight x TF-IDF`` exactly, for vectors the fall of z
when the word is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import NotFitted, OptionError, unknown
from ethogram.numeric.calibrate import Calibration
from ethogram.text.dense import Embed
from ethogram.text.features import Features, make_features

Kind = Literal["words", "characters", "both", "vectors"]


class Reason(NamedTuple):
    """What a piece of the text adds to the score z of a label; negative speaks against it."""

    piece: str
    adds: float


class TextClassifier:
    """Learns labels of texts.

    Parameters
    ----------
    features : words, characters, both, or vectors (needs `embed`).
    calibrate : sigmoid, isotonic or none. strength : inverse of the regularisation, C. folds : for the calibration.

    Examples
    --------
    >>> texts = ["you fool", "what a fool", "thank you", "a nice day"] * 5
    >>> made = TextClassifier(folds=2).fit(texts, [1, 1, 0, 0] * 5)
    >>> bool(made.probability(["such a fool"])[0] > 0.5), made.explain("such a fool", k=1)[0].piece
    (True, 'fool')
    """

    def __init__(
        self,
        features: Kind = "words",
        *,
        calibrate: Literal["sigmoid", "isotonic", "none"] = "sigmoid",
        strength: float = 1.0,
        folds: int = 5,
        embed: Embed | None = None,
        seed: int = 0,
    ):
        if features not in ("words", "characters", "both", "vectors"):
            raise OptionError(unknown("kind of features", features, ["words", "characters", "both", "vectors"]))
        if calibrate not in ("sigmoid", "isotonic", "none"):
            raise OptionError(unknown("calibration", calibrate, ["sigmoid", "isotonic", "none"]))
        if (features == "vectors") != (embed is not None):
            raise OptionError("give `embed` with features='vectors', and only then.")
        if not strength > 0 or folds < 2:
            raise OptionError(f"strength = {strength}, folds = {folds}: give more than 0 and at least 2.")
        self.features, self.calibrate, self.strength, self.folds = features, calibrate, strength, folds
        self.embed, self.seed = embed, seed
        self.classes: list[Any] | None = None
        self._fitted = False

    def fit(self, texts: Sequence[str], labels: Any, *, groups: Sequence[Any] | None = None) -> Self:
        """Learn.

        Parameters
        ----------
        labels : numbers in [0, 1] [n] (one label, hard or soft) or [n, L] (several), or names [n] (one of several).
        groups : rows of one group (an author, a thread) are never on both sides of a fold.

        Raises
        ------
        OptionError
            Lengths differ, a label is outside [0, 1], or one side of a label has too few texts for the folds.
        """
        target = self._targets(labels, len(texts))
        self._features: Features = make_features(self.features, self.embed)
        x = self._features.fit(texts)
        self._weights = np.zeros((target.shape[1], x.shape[1]))
        self._bias = np.zeros(target.shape[1])
        self._maps: list[Calibration] = []
        for label in range(target.shape[1]):
            y = target[:, label]
            self._weights[label], self._bias[label] = _logistic(x, y, self.strength)
            z = x @ self._weights[label] + self._bias[label]
            if self.calibrate != "none":
                z = self._unseen(texts, y, groups)
            self._maps.append(Calibration.learn(self.calibrate, z, y))
        self._fitted = True
        return self

    def decision(self, texts: Sequence[str]) -> np.ndarray:
        """Scores z of each label, float64[n, L]."""
        if not self._fitted:
            raise NotFitted("TextClassifier: asked before fit; call fit(texts, labels).")
        return np.asarray(self._features.of(texts) @ self._weights.T + self._bias)

    def probability(self, texts: Sequence[str]) -> np.ndarray:
        """Calibrated probabilities: float64[n] for one label, [n, L] for several labels or classes."""
        z = self.decision(texts)
        p = np.stack([made(z[:, i]) for i, made in enumerate(self._maps)], 1)
        if self.classes is not None:
            p = np.maximum(p, 1e-12)
            p /= p.sum(1, keepdims=True)
        return np.asarray(p[:, 0] if self._flat else p)

    def predict(self, texts: Sequence[str]) -> list[Any]:
        """The likeliest class of each text, or whether each label's probability is at least one half."""
        p = self.probability(texts)
        if self.classes is not None:
            return [self.classes[i] for i in p.argmax(1)]
        return list((p >= 0.5).tolist())

    def explain(self, text: str, label: Any = 0, k: int = 5) -> list[Reason]:
        """The k pieces that move the score of a label most, by size; `label` is its place, or the class's name."""
        place = self.classes.index(label) if self.classes is not None and label in self.classes else label
        if not isinstance(place, int) or not 0 <= place < len(self.decision([text])[0]):
            raise OptionError(unknown("label", str(label), map(str, self.classes or range(len(self._bias)))))
        pieces, adds = self._features.contributions(text, self._weights[place])
        order = np.argsort(-np.abs(adds), kind="stable")[:k]
        return [Reason(pieces[i], float(adds[i])) for i in order if adds[i] != 0]

    def state(self) -> dict[str, Any]:
        """Everything learned as arrays and JSON: ``{"arrays": ..., "json": ..., "tables": ...}``; never a pickle."""
        if not self._fitted:
            raise NotFitted("TextClassifier: state before fit; call fit(texts, labels).")
        words, arrays = self._features.state()
        return {
            "arrays": {"weights": self._weights, "bias": self._bias, **arrays},
            "tables": {"features": pa.table({"feature": pa.array(words, pa.large_string())})},
            "json": {"maps": [m.json() for m in self._maps], "classes": self.classes, "flat": self._flat},
        }

    def restore(self, state: dict[str, Any]) -> Self:
        self._features = make_features(self.features, self.embed)
        self._features.restore(state["tables"]["features"].column("feature").to_pylist(), state["arrays"])
        self._weights, self._bias = np.array(state["arrays"]["weights"]), np.array(state["arrays"]["bias"])
        self._maps = [Calibration.from_json(m) for m in state["json"]["maps"]]
        self.classes, self._flat = state["json"]["classes"], bool(state["json"]["flat"])
        self._fitted = True
        return self

    def _targets(self, labels: Any, n: int) -> np.ndarray:
        given = np.asarray(labels)
        if len(given) != n or not n:
            raise OptionError(f"{n} texts and {len(given)} labels: give at least one, and one label for each.")
        self.classes, self._flat = None, given.ndim == 1
        if given.dtype.kind in "US" or given.dtype == object:
            self.classes, self._flat = sorted(set(given.tolist())), False
            made = np.stack([(given == c).astype(float) for c in self.classes], 1)
        else:
            made = given.astype(float).reshape(n, -1)
        if not ((made >= 0) & (made <= 1)).all():
            row = int(np.argmax(~((made >= 0) & (made <= 1)).all(1)))
            raise OptionError(f"label {given[row]} at row {row} is not in [0, 1].")
        for i in range(made.shape[1]):
            if made[:, i].sum() <= 0 or (1 - made[:, i]).sum() <= 0:
                name = self.classes[i] if self.classes else i
                raise OptionError(f"label {name}: all texts are on one side; there is nothing to learn.")
        return made

    def _unseen(self, texts: Sequence[str], y: np.ndarray, groups: Sequence[Any] | None) -> np.ndarray:
        """Scores of every text by a model that saw neither it nor its group; the features stay (they see no label)."""
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        side = (y >= 0.5).astype(int)
        least = min(np.bincount(side, minlength=2))
        if least < self.folds:
            raise OptionError(f"{least} texts on one side of a label are too few for {self.folds} folds.")
        x = self._features.of(texts)
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        folds = kind(self.folds, shuffle=True, random_state=self.seed)
        z = np.zeros(len(y))
        for seen, hidden in folds.split(np.zeros(len(y)), side, groups):
            if not 0 < y[seen].sum() < len(seen):
                raise OptionError("a fold holds one side of a label only; give fewer folds or more groups.")
            weight, bias = _logistic(x[seen], y[seen], self.strength)
            z[hidden] = x[hidden] @ weight + bias
        return z


def _logistic(x: Any, y: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Weights and bias on soft labels: each row stands as a yes of weight y and a no of weight 1 - y."""
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    yes, no = np.flatnonzero(y > 0), np.flatnonzero(y < 1)
    rows, weight = np.r_[yes, no], np.r_[y[yes], 1 - y[no]]
    target = np.r_[np.ones(len(yes)), np.zeros(len(no))]
    given = x[rows] if sparse.issparse(x) else np.asarray(x)[rows]
    made = LogisticRegression(C=strength, solver="lbfgs", max_iter=300, tol=1e-5)
    made.fit(given, target, sample_weight=weight)
    return np.asarray(made.coef_[0], float), float(made.intercept_[0])
