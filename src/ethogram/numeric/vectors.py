"""A vector per question against a vector per item: how such a model scores, and what its training is stopped by.

    score(u, i) = s_u . e_i

A state may be several vectors, of which the one that likes an item best answers for it: max over k of s_uk . e_i.
Who has no vector (a stranger whose history holds nothing known) is answered by popularity, log(count_i / sum of
counts). A candidate that training never met gets less than every other can have, -|s_u| max |e|, so that scores stay
finite and do not depend on which other candidates are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ethogram.evaluate.ranking import Past, per_question, stand
from ethogram.log import Candidates, Histories, Questions
from ethogram.log.kernels import ragged_rows
from ethogram.numeric.known import Known
from ethogram.numeric.recommend import recommend
from ethogram.numeric.similar import cosines, similar
from ethogram.verbs import Table

PAIRS, SCORES = 2**16, 2**22
"""Pairs of vectors multiplied at once; scores of the validation held at once."""


class Vectors(Protocol):
    """What has them."""

    @property
    def known(self) -> Known: ...

    @property
    def vectors(self) -> np.ndarray:
        """float32[M, d], one per item that training met, in order of their codes."""
        ...

    def states(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        """(float32[n, d] or [n, K, d], bool[n]: whether anything is known; zeros where not)."""
        ...


def score(model: Vectors, histories: Histories, candidates: Candidates) -> np.ndarray:
    """float32 in the shape of the candidates; see the module."""
    n, vectors, counts = len(histories), model.vectors, model.known.counts
    states, known = model.states(histories)
    lowest = (
        np.linalg.norm(states, axis=-1).reshape(n, -1).max(1, initial=0)
        * np.linalg.norm(vectors, axis=1).max(initial=0)
        * np.float32(-1.00001)
    )
    share = np.log(np.maximum(counts, 0.5) / max(counts.sum(), 1)).astype(np.float32)
    prior, rarest = share[counts > 0], share.min(initial=0)
    row = model.known.rows_in(candidates.vocabulary)[candidates.items]
    met = row >= 0
    if candidates.shared:
        found = products(states, vectors[row])
        found[:, ~met] = lowest[:, None]
        found[~known] = np.where(met, prior[row], rarest)
        return found
    offsets = candidates.flat(n)[1]
    row, met, owner = row.reshape(-1), met.reshape(-1), np.repeat(np.arange(n), np.diff(offsets))
    found = np.empty(len(row), np.float32)
    for at in range(0, len(row), PAIRS):
        piece = slice(at, at + PAIRS)
        mine, asked = states[owner[piece]], vectors[row[piece]]
        if states.ndim == 2:
            np.einsum("td,td->t", mine, asked, out=found[piece])
        else:
            found[piece] = np.einsum("tkd,td->tk", mine, asked).max(1)
    found[~met] = lowest[owner[~met]]
    nobody = ~known[owner]
    found[nobody] = np.where(met, prior[row], rarest)[nobody]
    return candidates.shape(found, n)


class ByVectors:
    """`score`, `recommend` and `similar_items` of what has `known`, `vectors` and `states` (see `Vectors`)."""

    def score(self: Vectors, histories: Histories, candidates: Candidates) -> np.ndarray:
        """float32 in the shape of the candidates."""
        return score(self, histories, candidates)

    def recommend(
        self: Any, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None,
        among: Candidates | None = None,
    ) -> Table:  # fmt: skip
        """See `ethogram.numeric.recommend.recommend`."""
        return recommend(self.score, self.known, histories, k, exclude_seen=exclude_seen, among=among)

    def similar_items(self: Vectors, items: Sequence[Any], k: int = 10, among: Candidates | None = None) -> Table:
        """The items whose vectors have the largest cosine; see `ethogram.numeric.similar`."""
        return similar(self.known, cosines(self.vectors), items, k, among)


def products(states: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """float32[n, M] of states [n, d] with items [M, d]; of several vectors [n, K, d] the largest."""
    if states.ndim == 2:
        return states @ vectors.T
    found = states[:, 0] @ vectors.T
    for k in range(1, states.shape[1]):
        np.maximum(found, states[:, k] @ vectors.T, out=found)
    return found


class Judge:
    """A value to stop by: NDCG@k of questions, ranked among all items that training met.

    Parameters
    ----------
    model : may still learn. asked : next-group questions; `most` of them are drawn by `seed`, None takes all.
    part : from how many are drawn to (first, last) of those that are judged here; None judges all.
    """

    def __init__(
        self, model: Vectors, asked: Questions, *, k: int = 10, most: int | None = None, seed: int = 0,
        part: Callable[[int], tuple[int, int]] | None = None,
    ):  # fmt: skip
        chosen = np.arange(len(asked))
        if most is not None and most < len(asked):
            chosen = np.sort(np.random.default_rng(seed).choice(len(asked), most, replace=False))
        if part is not None:
            chosen = chosen[slice(*part(len(chosen)))]
        codes, offsets = asked.candidates.flat(len(asked))
        places, self.offsets = ragged_rows(offsets[chosen], offsets[chosen + 1])
        self.model, self.histories, self.k = model, asked.histories[chosen], k
        self.targets = model.known.rows_in(asked.candidates.vocabulary)[codes[places]]
        self.past = Past.none(len(chosen))
        if model.known.excludes(None):
            spans, ends = self.histories.flat()
            rows = model.known.rows_in(self.histories.vocabularies["item"])
            self.past = Past(rows[np.asarray(self.histories.item)[spans]], ends[:-1], ends[1:])

    def __call__(self) -> float:
        return float(np.nanmean(self.gains()))

    def gains(self) -> np.ndarray:
        """NDCG@k of each question that is judged here."""
        vectors, gains = self.model.vectors, [np.zeros(0)]
        for rows, asking in self.histories.blocks(max(1, SCORES // max(len(vectors), 1))):
            scores = products(self.model.states(asking)[0], vectors)
            first, last = self.offsets[rows.start], self.offsets[rows.stop]
            spans = self.offsets[rows.start : rows.stop + 1] - first
            standing = stand(scores, self.targets[first:last], spans, self.past.rows(rows))
            gains.append(per_question(standing, [self.k])[f"ndcg@{self.k}"])
        return np.concatenate(gains)
