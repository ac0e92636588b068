"""A copy: a next-item network of the attacker's own, taught by real sequences, by lists, or by both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.log import Candidates, Histories, Vocabulary
from ethogram.nn.imitate import list_loss, repair_loss
from ethogram.nn.losses import full_softmax
from ethogram.nn.nextfit import NextItemNetwork
from ethogram.nn.recurrent import Recurrent
from ethogram.nn.train import train
from ethogram.nn.transformer import CausalTransformer, last_states

BATCH = 16
"""Sequences of a step."""
LENGTH = 50
DEPTH = 20
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

    def learn(
        self, real: list[np.ndarray], taught: Taught | None, *, epochs: int, lr: float = 1e-2, repair: float = 0.5
    ) -> Copy:
        """Real sequences teach what comes next, lists what the service would say; `repair` is beta.

        An epoch passes over the lists (or, without any, over the sequences); real sequences are then drawn beside them.
        """
        if taught is not None:  # places that no list was about would stay as they were drawn
            self.length = taught.sequences.shape[1]
        real = [s[-self.length :] for s in real if len(s) > 1]
        size = len(self.items)

        def batches(rng: np.random.Generator) -> Iterator[tuple[Any, ...]]:
            n = len(real) if taught is None else len(taught.sequences)
            for part in np.array_split(rng.permutation(n), max(1, -(-n // BATCH))):
                chosen = part if taught is None else rng.choice(len(real), min(BATCH, len(real)), replace=False)
                mine = [real[i] for i in chosen]
                lists = None if taught is None else (taught.sequences[part], taught.lists[part])
                drawn = None if lists is None else rng.integers(0, size, (lists[1].size // lists[1].shape[2],
                                                                          lists[1].shape[2]))  # fmt: skip
                yield mine, lists, drawn

        def loss(given: tuple[Any, ...]) -> Tensor:
            mine, lists, drawn = given
            total = self.network.items.weight.sum() * 0.0
            if mine:
                states, after = self._states([s[:-1] for s in mine])[0], np.concatenate([s[1:] for s in mine])
                total = total + full_softmax(states, self.network.vectors, torch.from_numpy(after))
            if lists is not None:
                states = self._states(list(lists[0]))[0]
                scores, wanted = states @ self.network.vectors.T, torch.from_numpy(lists[1]).flatten(0, 1)
                total = total + list_loss(scores, wanted, torch.from_numpy(drawn))
                if repair:
                    total = total + repair * repair_loss(scores, wanted[:, :DEPTH])
            return total

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

    def score(self, histories: Histories, candidates: Candidates) -> np.ndarray:
        """float32[n, V] of the catalogue, as `service.ranked` asks."""
        places, spans = histories.flat()
        item = np.asarray(histories.item)[places]
        rows = [item[a:b] for a, b in pairwise(spans)]
        vectors = self.network.vectors.detach().numpy()
        return np.asarray(self.states(rows) @ vectors[candidates.items].T)
