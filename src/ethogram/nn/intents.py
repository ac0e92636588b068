"""Intents of histories: states drawn together where they end in the same item, and to the centre of their cluster.

    loss = lambda * both_views(h, h')  +  beta * (to_centres(h) + to_centres(h'))

h are states of the batch's rows, h' those of prefixes whose next item is the same (`partners`), centres are k-means of
the states of all histories, made anew before each epoch and of length 1. An objective of `nn.nextfit`.

Reference: X. Qin et al.: Intent Contrastive Learning with Cross Subsequences for Sequential Recommendation. WSDM 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ethogram.nn.contrast import both_views, to_centres
from ethogram.nn.nextfit import Training
from ethogram.nn.partners import Partners
from ethogram.nn.transformer import last_states
from ethogram.nn.windows import Batch
from ethogram.numeric.kmeans import kmeans

SAMPLE, ITERATIONS, TOKENS = 24, 8, 8_192
"""States per intent that k-means sees, its iterations, and events encoded at once for it."""


class _Drawn(NamedTuple):
    rows: Tensor
    target: Tensor
    item: Tensor
    offsets: Tensor
    group: Tensor


@dataclass(eq=False)
class Intents:
    """See the module.

    Parameters
    ----------
    coarse, fine : lambda and beta. intents : clusters. pairs : rows of a batch that are compared.
    temperature : of both losses. mask : states with the same target, or of the same cluster, are no negatives.
    """

    training: Training
    coarse: float
    fine: float
    intents: int
    pairs: int
    temperature: float
    mask: bool
    centres: Tensor | None = None

    def __post_init__(self) -> None:
        t = self.training
        self.item = t.item[t.windows.rows]
        self.place = np.full(int(t.windows.rows.max(initial=0)) + 1, -1, np.int64)
        self.place[t.windows.rows] = np.arange(len(t.windows.rows))
        self.partners = Partners(t.windows, self.item, len(t.network.vectors), t.length)

    def begin(self, rng: np.random.Generator) -> None:
        """New centres, from the states of random windows as they are now."""
        if self.fine:
            self.centres = centres_of(self.states(rng, SAMPLE * self.intents), self.intents, rng)

    @torch.no_grad()
    def states(self, rng: np.random.Generator, most: int) -> np.ndarray:
        """float32[n, d] of rows of random windows, in evaluation mode; at most so many."""
        t, held = self.training, 0
        found = [np.empty((0, t.network.vectors.shape[1]), np.float32)]
        was = t.network.training
        t.network.eval()
        for batch in t.windows.batches(rng, length=t.length, tokens=TOKENS):
            at = torch.from_numpy(t.item[batch.rows]), torch.from_numpy(batch.offsets), torch.from_numpy(batch.group)
            found.append(t.network(*at).float().numpy())
            held += len(batch.rows)
            if held >= most:
                break
        t.network.train(was)
        return np.concatenate(found)[:most]

    def draw(self, batch: Batch, rng: np.random.Generator) -> _Drawn:
        """Which rows are compared, and with which prefixes."""
        rows = np.sort(rng.choice(len(batch.rows), min(self.pairs, len(batch.rows)), replace=False))
        target = self.place[batch.target[rows]]
        places, offsets, group = self.partners.prefixes(self.partners.other(target, rng))
        found = rows, self.item[target], self.item[places], offsets, group
        return _Drawn(*(torch.from_numpy(x) for x in found))

    def weights(self, states: Tensor, drawn: Any) -> None:
        """All rows count alike."""

    def loss(self, states: Tensor, drawn: Any) -> Tensor:
        """Both contrastive losses of a batch."""
        own = states[drawn.rows]
        partner = last_states(self.training.network(drawn.item, drawn.offsets, drawn.group), drawn.offsets, drawn.group)
        total = states.new_zeros(())
        if self.coarse:
            same = drawn.target.unsqueeze(0) == drawn.target.unsqueeze(1) if self.mask else None
            total = total + self.coarse * both_views(own, partner, self.temperature, same=same)
        if self.fine and self.centres is not None and len(self.centres):
            for one in (own, partner):
                cluster = (one.detach() @ self.centres.T).argmax(1)
                near = to_centres(one, self.centres, cluster, self.temperature, mask=self.mask)
                total = total + self.fine * near
        return total


def centres_of(states: np.ndarray, intents: int, rng: np.random.Generator) -> Tensor:
    """k-means centres of length 1, float32[K, d]; fewer where there are fewer states."""
    k = min(intents, len(states))
    if not k:
        return torch.from_numpy(states)
    found, _ = kmeans(states, k, iterations=ITERATIONS, seed=int(rng.integers(2**31)))
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return torch.from_numpy((found / np.maximum(length, 1e-12)).astype(np.float32))
