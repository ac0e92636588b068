"""A copy: a next-item network of the attacker's own, taught by real sequences, then by lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.audit.model_extraction.service import ranking
from ethogram.log import Candidates, Histories, Vocabulary
from ethogram.nn.imitate import list_loss, repair_loss
from ethogram.nn.losses import full_softmax
from ethogram.nn.nextfit import NextItemNetwork
from ethogram.nn.recurrent import Recurrent
from ethogram.nn.train import train
from ethogram.nn.transformer import CausalTransformer, last_states

BATCH = 8
"""Sequences of a step."""
LENGTH = 50
DEPTH = 10
"""Items at which lists are compared by the repair loss."""


@dataclass(frozen=True, eq=False)
class Taught:
    """Sequences with the lists that a service gave for their prefixes.

    Attributes
    ----------
    sequences : int64[n, T]. lists : int64[n, T, k], of the prefix that ends in each place; -1 behind the end.
    """

    sequences: np.ndarray
    lists: np.ndarray


class Copy:
    """A transformer (``sasrec``) or a recurrent network (``gru``) over the public catalogue.

    It reads the last `length` items: as many as the sequences have that it learned lists from.
    """

    def __init__(self, items: Vocabulary, kind: str = "sasrec", *, dim: int = 32, seed: int = 0) -> None:
        encoder: Any = CausalTransformer(dim, layers=2, heads=2, hidden=dim, positions=LENGTH, dropout=0.1, seed=seed)
        if kind == "gru":
            encoder = Recurrent(dim, hidden=2 * dim, dropout=0.1, seed=seed)
        self.items, self.seed, self.length = items, seed, LENGTH
        self.network = NextItemNetwork(len(items), dim, encoder, sparse=False, scale=dim**0.5, seed=seed).eval()

    def follow(self, real: list[np.ndarray], *, epochs: int, lr: float = 1e-2) -> Copy:
        """Learn what comes next in real sequences."""
        real = [s[-self.length :] for s in real if len(s) > 1]

        def batches(rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
            for part in _parts(rng, len(real)):
                yield [real[i] for i in part]

        def loss(rows: list[np.ndarray]) -> Tensor:
            states, after = self._states([s[:-1] for s in rows])[0], np.concatenate([s[1:] for s in rows])
            return full_softmax(states, self.network.vectors, torch.from_numpy(after))

        return self._train(batches, loss, epochs, lr) if real else self

    def imitate(self, taught: Taught, *, epochs: int, lr: float = 1e-2, repair: float = 0.1) -> Copy:
        """Learn what a service said; `repair` is beta."""
        self.length = taught.sequences.shape[1]  # places that no list was about would stay as they were drawn
        size = len(self.items)

        def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
            for part in _parts(rng, len(taught.sequences)):
                lists = taught.lists[part].reshape(-1, taught.lists.shape[2])
                yield taught.sequences[part], lists, rng.integers(0, size, lists.shape)

        def loss(given: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Tensor:
            scores = self._states(list(given[0]))[0] @ self.network.vectors.T
            lists = torch.from_numpy(given[1])
            total = list_loss(scores, lists, torch.from_numpy(given[2]))
            return total + repair * repair_loss(scores, lists[:, :DEPTH]) if repair else total

        return self._train(batches, loss, epochs, lr)

    def _train(self, batches: Any, loss: Any, epochs: int, lr: float) -> Copy:
        train(self.network, batches, loss, epochs=epochs, seed=self.seed, clip=5.0,
              optimisers=self.network.optimisers(lr))  # fmt: skip
        return self

    def _states(self, rows: list[np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
        lengths = np.array([len(r) for r in rows])
        offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))
        group = torch.from_numpy(np.concatenate([np.arange(n) for n in lengths]))
        flat = torch.from_numpy(np.concatenate(rows).astype(np.int64))
        return self.network(flat, offsets, group), offsets, group

    @torch.no_grad()
    def states(self, rows: list[np.ndarray] | np.ndarray) -> np.ndarray:
        """[n, dim] at the end of each sequence; zero for an empty one."""
        out = np.zeros((len(rows), self.network.vectors.shape[1]), np.float32)
        full = [i for i, r in enumerate(rows) if len(r)]
        for at in range(0, len(full), 512):
            part = full[at : at + 512]
            out[part] = last_states(*self._states([np.asarray(rows[i][-self.length :]) for i in part])).numpy()
        return out

    def lists(self, sequences: list[np.ndarray] | np.ndarray, k: int) -> np.ndarray:
        """The k best items that each sequence does not hold, int64[n, k], as `service.Lists`."""
        vectors = self.network.vectors.detach().numpy()

        def score(histories: Histories, candidates: Candidates) -> np.ndarray:
            places, spans = histories.flat()
            item = np.asarray(histories.item)[places]
            return np.asarray(self.states([item[a:b] for a, b in pairwise(spans)]) @ vectors[candidates.items].T)

        return ranking(score, self.items)(sequences, k)


def _parts(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    return np.array_split(rng.permutation(n), max(1, -(-n // BATCH)))
