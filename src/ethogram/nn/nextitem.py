"""A fitted next-item network: the state of a history against the vectors of all items that training met.

    score(u, i) = s_u . e_i,     s_u = mean of the states of u's last group

Reads the last `length` events, cut between groups; items that training never met are skipped. What is answered where
nothing is known stands in `ethogram.numeric.vectors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ethogram.errors import StateError
from ethogram.log import Histories, Vocabulary
from ethogram.log.kernels import ragged_rows
from ethogram.nn.ragged import bucket_batches
from ethogram.nn.transformer import last_states
from ethogram.numeric.known import Known
from ethogram.numeric.vectors import ByVectors

TOKENS = 8_192
"""Events encoded at once."""


class Network(Protocol):
    """What turns rows of trained items, packed, into states [T, d], and keeps the items' vectors."""

    @property
    def vectors(self) -> Tensor:
        """[M, d], one per trained item."""
        ...

    def eval(self) -> object: ...
    def __call__(self, rows: Tensor, offsets: Tensor, group: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class NextItem(ByVectors):
    """See the module.

    Attributes
    ----------
    known : the training log's items and their counts. network : knows the items with a count, in order of their code.
    length : events of a history that are read. interests : vectors of a state, side by side.
    """

    known: Known
    network: Network
    length: int
    interests: int = 1

    @property
    def rows(self) -> np.ndarray:
        """Trained row of each item code (see `Known.rows`)."""
        return self.known.rows

    @property
    def vectors(self) -> np.ndarray:
        """float32[M, d]."""
        found = self.network.vectors.detach().cpu().numpy()
        if len(found) != self.known.trained:
            raise StateError(f"the network knows {len(found)} items, its training log {self.known.trained}.")
        return found

    def rows_of(self, vocabulary: Vocabulary, codes: np.ndarray) -> np.ndarray:
        """Trained rows of codes of another vocabulary, -1 for the unknown."""
        return self.known.rows_in(vocabulary)[codes]

    @torch.no_grad()
    def states(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        """(float32[n, d], with several interests [n, K, d]; bool[n]: whether the history holds a known item).

        Zeros where it does not.
        """
        places, offsets = histories.last(self.length).flat()
        row = self.rows_of(histories.vocabularies["item"], np.asarray(histories.item)[places])
        group = np.cumsum(np.asarray(histories.starts)[places])
        there = row >= 0
        row, group, offsets = row[there], group[there], np.append(0, np.cumsum(there))[offsets]
        lengths = np.diff(offsets)
        found = np.zeros((len(histories), self.interests * self.network.vectors.shape[1]), np.float32)
        asked = np.flatnonzero(lengths)
        self.network.eval()
        for part in bucket_batches(lengths[asked], tokens=TOKENS):
            which = asked[part]
            picked, ends = ragged_rows(offsets[which], offsets[which + 1])
            number = torch.from_numpy(group[picked] - np.repeat(group[offsets[which]], lengths[which]))
            spans = torch.from_numpy(ends)
            states = self.network(torch.from_numpy(row[picked]), spans, number)
            found[which] = last_states(states, spans, number).float().cpu().numpy()
        if self.interests > 1:
            found = found.reshape(len(found), self.interests, -1)
        return found, lengths > 0
