"""A fitted slate network that goes on learning, block after block, by small steps: what a deployed model mostly does.

Embedding rows that a block does not touch stay as they are; optimiser moments live from block to block. Popularity, as
an input, stays that of training.
"""

from __future__ import annotations

import numpy as np
import torch

from ethogram.log import Features, Questions
from ethogram.nn.losses import bce
from ethogram.nn.optimise import RowAdam
from ethogram.nn.slates import Learning, SlateNetwork, batches
from ethogram.nn.weighing import weighing


class Incremental:
    """Steps on a network in place.

    Parameters
    ----------
    lr : step size of Adam. batch : candidates per step. decay : of the mini-batch aware penalty.
    """

    def __init__(
        self, network: SlateNetwork, features: Features, *, lr: float, batch: int = 256, decay: float = 0.0
    ) -> None:
        self.network, self.features, self.batch, self.blocks = network, features, batch, 0
        tables, counts = zip(*network.sparse, strict=True)
        self._optimisers = [RowAdam(tables, lr, decay=decay, counts=counts), torch.optim.Adam(network.dense, lr)]

    def learn(self, asked: Questions, *, epochs: int = 1, seed: int = 0) -> None:
        """Go over the answered questions of a block."""
        offset, weight = weighing(asked)
        whole = self.features.encode(asked)
        assert whole.label is not None
        label, shift = torch.from_numpy(whole.label), torch.from_numpy(offset)
        weights = None if weight is None else torch.from_numpy(weight)
        rng = np.random.default_rng([seed, self.blocks])
        self.blocks += 1
        self.network.train()
        for _ in range(epochs):
            for part in batches(whole, Learning(pairs=self.batch), rng):
                for optimiser in self._optimisers:
                    optimiser.zero_grad()
                rows = torch.from_numpy(part.candidates.flat()[0])  # type: ignore[union-attr]
                loss = bce(self.network(part) + shift[rows], label[rows], None if weights is None else weights[rows])
                loss.backward()  # type: ignore[no-untyped-call]
                for optimiser in self._optimisers:
                    optimiser.step()
        self.network.eval()
