"""Which concepts the feed-forward layers of a model carry: read from the weights, without running it.

The rows of W_down (what each inner unit writes) are centred; their principal directions v, projected on the output
embeddings of unit length, rank the words: a concept is told by its `top` words by |v . o_w|. An annotator names it:

*Task*: the user's task whose words are most over-represented among the top words (hypergeometric tail below 0.01).
*Level*: the linguistic level on which the top words are most alike, against draws of as many words (z above 1.96):
phonology, the share of pairs that begin or end with the same two letters; morphology, the share with the same word
stem or ending; syntax, the share that belongs to the language's function words; semantics, the mean static similarity.
Concepts without either are "none". A language model can annotate instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.lm.torchface import TorchFace

LEVELS = ("phonology", "morphology", "syntax", "semantics")
NONE = "none"
ENDINGS = ("ing", "ed", "s", "ly", "er", "est", "ion", "al", "ment", "ness", "able")
FUNCTION = frozenset(
    "a an the this that these those and or but if nor so of to in on at by for from with about into over under after "  # noqa: SIM905
    "before between is are was were be been being am do does did has have had can could will would shall should may "
    "might must not no yes he she it they we you i me him her us them his its their our your my who what which when "
    "where why how all any some each every both few more most such own same than too very".split()
)


def concepts(face: TorchFace, layer: int, ids: Sequence[int], *, most: int, top: int) -> list[list[int]]:
    """Places (into `ids`) of the words of each of the `most` first principal directions of a layer's W_down, by size.

    Words on which a direction does not project at all are left out, and so are directions without any spread.
    """
    model, _ = face.model_and_tokenizer
    rows = _array(model.model.layers[layer].mlp.down_proj.weight).T
    centred = rows - rows.mean(axis=0)
    # the eigenvectors of the small covariance are the right singular vectors of the tall matrix
    spread, vectors = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(-spread, kind="stable")[:most]
    order = order[spread[order] > 1e-10 * max(1e-30, spread.max())]
    out = _array(model.get_output_embeddings().weight)[list(ids)]
    length = np.linalg.norm(out, axis=1, keepdims=True)
    unit = np.divide(out, length, out=np.zeros_like(out), where=length > 0)
    size = np.abs(unit @ vectors[:, order])
    found = []
    for column in size.T:
        best = np.argsort(-column, kind="stable")[:top]
        found.append(best[column[best] > 1e-6].tolist())
    return found


def by_task(found: Sequence[Sequence[int]], words: Sequence[str], lexica: Mapping[str, Sequence[str]]) -> list[str]:
    """The task of each concept, or "none"."""
    from scipy.stats import hypergeom

    owned = {task: {i for i, w in enumerate(words) if w in set(told)} for task, told in lexica.items()}
    named = []
    for concept in found:
        tails = {
            task: float(hypergeom.sf(len(own & set(concept)) - 1, len(words), len(own), len(concept)))
            for task, own in owned.items()
            if own & set(concept)
        }
        best = min(tails, key=lambda t: tails[t], default=NONE)
        named.append(best if tails.get(best, 1.0) < 0.01 else NONE)
    return named


class Levels:
    """Linguistic level of concepts over a list of words, by rule.

    Parameters
    ----------
    words : the words that concepts point into. vectors : a static vector of each, [W, d]. draws : sets of random words
        that each size of concept is held against.
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray, *, draws: int = 200, seed: int = 0):
        self.draws, self.seed = draws, seed
        lower = [w.lower() for w in words]
        self.start, self.end = (_codes([w[:2] for w in lower]), _codes([w[-2:] for w in lower]))
        self.stem, self.ending = _codes([_stem(w) for w in lower]), _codes([_ending(w) for w in lower])
        self.bare = np.array([_ending(w) == "" for w in lower])
        self.function = np.array([w in FUNCTION for w in lower])
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.unit = np.divide(vectors, length, out=np.zeros(vectors.shape), where=length > 0)
        self._usual: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def measures(self, concept: Sequence[int]) -> np.ndarray:
        """How alike the words are on each of `LEVELS`, float64[4]."""
        at = np.asarray(concept)
        n = len(at)
        pairs = n * (n - 1) / 2
        sound = _equal(self.start[at]) + _equal(self.end[at])
        endings = _equal(self.ending[at][~self.bare[at]])
        total = self.unit[at].sum(axis=0)
        cosine = (float(total @ total) - float((self.unit[at] ** 2).sum())) / 2
        return np.array(
            [sound / pairs, (_equal(self.stem[at]) + endings) / pairs, self.function[at].mean(), cosine / pairs]
        )

    def name(self, concept: Sequence[int]) -> str:
        """The level, or "none"; a concept of fewer than three words has none."""
        n = len(concept)
        if n < 3:
            return NONE
        if n not in self._usual:
            rng = np.random.default_rng([self.seed, n])
            drawn = np.array([self.measures(rng.permutation(len(self.start))[:n]) for _ in range(self.draws)])
            self._usual[n] = drawn.mean(axis=0), drawn.std(axis=0)
        middle, sd = self._usual[n]
        z = np.divide(self.measures(concept) - middle, sd, out=np.zeros(4), where=sd > 0)
        return LEVELS[int(z.argmax())] if z.max() > 1.96 else NONE


async def by_model(lm: Any, found: Sequence[Sequence[int]], words: Sequence[str], names: Sequence[str]) -> list[str]:
    """One of `names` or "none" for each concept, as a language model chooses; the words are data to it."""
    said = []
    for concept in found:
        told = ", ".join(words[i] for i in concept)
        choice = await lm.choose(
            "Which of these do the words have most to do with?", [*names, NONE], data=[told], listed=True,
            purpose="instruction_shift",
        )  # fmt: skip
        said.append(str(choice.option))
    return said


def shares(named: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Share of the concepts under each of `names` and "none", float64[len(names) + 1]."""
    every = [*names, NONE]
    return np.array([sum(n == e for n in named) for e in every], float) / max(1, len(named))


def _equal(codes: np.ndarray) -> float:
    """Pairs of equal codes."""
    n = np.unique(codes, return_counts=True)[1]
    return float((n * (n - 1) / 2).sum())


def _codes(texts: Sequence[str]) -> np.ndarray:
    return np.unique(np.asarray(texts), return_inverse=True)[1]


def _ending(word: str) -> str:
    return next((e for e in ENDINGS if word.endswith(e) and len(word) - len(e) >= 3), "")


def _stem(word: str) -> str:
    return word[: len(word) - len(_ending(word))]


def _array(weight: Any) -> np.ndarray:
    return np.asarray(weight.detach().float().numpy(), np.float64)
