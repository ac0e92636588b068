"""A fitted next-item network: the state of a history against the vectors of all items that training met.

    score(u, i) = s_u . e_i,     s_u = mean of the states of u's last group

Reads the last `length` events, cut between groups; items that training never met are skipped. Nobody's history (or
one of strangers' items only) is answered by popularity, log(count_i / sum of counts). A candidate that training never
met gets less than every other can have, -|s_u| max |e|, so that scores stay finite and do not depend on which other
candidates are judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ethogram.errors import StateError
from ethogram.evaluate.ranking import Past, per_question, stand
from ethogram.log import Candidates, Histories, Questions, Vocabulary
from ethogram.log.kernels import ragged_rows
from ethogram.nn.ragged import bucket_batches
from ethogram.nn.transformer import last_states
from ethogram.numeric.known import Known

TOKENS, PAIRS, SCORES = 8_192, 2**16, 2**22
"""Events encoded at once; pairs of states and vectors multiplied at once; scores of the validation held at once."""


class Network(Protocol):
    """What turns rows of trained items, packed, into states [T, d], and keeps the items' vectors."""

    @property
    def vectors(self) -> Tensor:
        """[M, d], one per trained item."""
        ...

    def eval(self) -> object: ...
    def __call__(self, rows: Tensor, offsets: Tensor, group: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class NextItem:
    """See the module.

    Attributes
    ----------
    known : the training log's items and their counts. network : knows the items with a count, in order of their code.
    length : events of a history that are read.
    """

    known: Known
    network: Network
    length: int

    @cached_property
    def rows(self) -> np.ndarray:
        """Trained row of each item code, -1 for items that training never met; a last entry -1 answers for code -1."""
        met = self.known.counts > 0
        return np.append(np.where(met, np.cumsum(met) - 1, -1), -1)

    @property
    def trained(self) -> int:
        """How many items training met."""
        return int(np.count_nonzero(self.known.counts))

    @property
    def vectors(self) -> np.ndarray:
        """float32[M, d]."""
        found = self.network.vectors.detach().cpu().numpy()
        if len(found) != self.trained:
            raise StateError(f"the network knows {len(found)} items, its training log {self.trained}.")
        return found

    def rows_of(self, vocabulary: Vocabulary, codes: np.ndarray) -> np.ndarray:
        """Trained rows of codes of another vocabulary, -1 for the unknown."""
        own = self.rows[vocabulary.codes_in(self.known.items)]
        return np.append(own, -1)[codes]

    @torch.no_grad()
    def states(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        """(float32[n, d], bool[n]: whether the history holds a known item; zeros where not)."""
        places, offsets = histories.last(self.length).flat()
        row = self.rows_of(histories.vocabularies["item"], np.asarray(histories.item)[places])
        group = np.cumsum(np.asarray(histories.starts)[places])
        there = row >= 0
        row, group, offsets = row[there], group[there], np.append(0, np.cumsum(there))[offsets]
        lengths = np.diff(offsets)
        found = np.zeros((len(histories), self.network.vectors.shape[1]), np.float32)
        asked = np.flatnonzero(lengths)
        self.network.eval()
        for part in bucket_batches(lengths[asked], tokens=TOKENS):
            which = asked[part]
            picked, ends = ragged_rows(offsets[which], offsets[which + 1])
            number = torch.from_numpy(group[picked] - np.repeat(group[offsets[which]], lengths[which]))
            spans = torch.from_numpy(ends)
            states = self.network(torch.from_numpy(row[picked]), spans, number)
            found[which] = last_states(states, spans, number).float().cpu().numpy()
        return found, lengths > 0

    def score(self, histories: Histories, candidates: Candidates) -> np.ndarray:
        """float32 in the shape of the candidates."""
        n, vectors = len(histories), self.vectors
        states, known = self.states(histories)
        lowest = np.linalg.norm(states, axis=1) * np.linalg.norm(vectors, axis=1).max(initial=0) * np.float32(-1.00001)
        share = np.log(np.maximum(self.known.counts, 0.5) / max(self.known.counts.sum(), 1)).astype(np.float32)
        prior, rarest = share[self.known.counts > 0], share.min(initial=0)
        row = self.rows_of(candidates.vocabulary, candidates.items)
        if candidates.shared:
            met = row >= 0
            found = states @ vectors[row].T
            found[:, ~met] = lowest[:, None]
            found[~known] = np.where(met, prior[row], rarest)
            return found
        offsets = candidates.flat(n)[1]
        row, owner = row.reshape(-1), np.repeat(np.arange(n), np.diff(offsets))
        found = np.empty(len(row), np.float32)
        for at in range(0, len(row), PAIRS):
            piece = slice(at, at + PAIRS)
            np.einsum("td,td->t", states[owner[piece]], vectors[row[piece]], out=found[piece])
        met = row >= 0
        found[~met] = lowest[owner[~met]]
        nobody = ~known[owner]
        found[nobody] = np.where(met, prior[row], rarest)[nobody]
        return candidates.shape(found, n)


class Judge:
    """A value to stop by: NDCG@k of questions, ranked among all items that training met.

    Parameters
    ----------
    model : may still learn. asked : next-group questions; `most` of them are drawn by `seed`, None takes all.
    """

    def __init__(self, model: NextItem, asked: Questions, *, k: int = 10, most: int | None = None, seed: int = 0):
        chosen = np.arange(len(asked))
        if most is not None and most < len(asked):
            chosen = np.sort(np.random.default_rng(seed).choice(len(asked), most, replace=False))
        codes, offsets = asked.candidates.flat(len(asked))
        places, self.offsets = ragged_rows(offsets[chosen], offsets[chosen + 1])
        self.model, self.histories, self.k = model, asked.histories[chosen], k
        self.targets = model.rows_of(asked.candidates.vocabulary, codes[places])
        self.past = Past.none(len(chosen))
        if model.known.excludes(None):
            spans, ends = self.histories.flat()
            item = np.asarray(self.histories.item)[spans]
            self.past = Past(model.rows_of(self.histories.vocabularies["item"], item), ends[:-1], ends[1:])

    def __call__(self) -> float:
        vectors, gains = self.model.vectors, []
        for rows, asking in self.histories.blocks(max(1, SCORES // max(len(vectors), 1))):
            scores = self.model.states(asking)[0] @ vectors.T
            first, last = self.offsets[rows.start], self.offsets[rows.stop]
            spans = self.offsets[rows.start : rows.stop + 1] - first
            standing = stand(scores, self.targets[first:last], spans, self.past.rows(rows))
            gains.append(per_question(standing, [self.k])[f"ndcg@{self.k}"])
        return float(np.nanmean(np.concatenate(gains)))
