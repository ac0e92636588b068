"""A neural topic model: what bags of words are about, by variational inference with a Gaussian behind a softmax.

    e     = relu(W_2 relu(W_1 x + b_1) + b_2)                   x: the bag, 1 for each of its words
    mu    = norm(W_m e + b_m),   s = W_s e + b_s                s is the log of the variance, everywhere
    z     = mu + eps exp(s / 2),   eps ~ N(0, I)
    theta = softmax(W z + b)                                    what a bag is about, [K]
    phi_k = softmax over words of t_k . w                       what a topic says, from vectors of topics and words
    loss  = - sum over words of x ln(theta phi)  +  KL,         KL = 1/2 sum (mu^2 + exp(s) - s - 1)

The loss is the negative evidence lower bound; the mean over a batch is taken. Words may fall into groups of which a bag
holds only one (places of a town): phi is then a distribution within each group, and topics need not spend themselves on
telling groups apart. Outside training z = mu. `norm` is batch normalisation without scale or shift, and W begins as
three times the identity: without them a topic that nothing is about at first often stays so.

Reference: Y. Miao, E. Grefenstette, P. Blunsom: Discovering Discrete Latent Topics with Neural Variational Inference.
ICML 2017 (Gaussian softmax). A. Srivastava, C. Sutton: Autoencoding Variational Inference For Topic Models. ICLR 2017
(normalisation against topics that die). D. Kingma, M. Welling: Auto-Encoding Variational Bayes. ICLR 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.log.kernels import ragged_rows
from ethogram.nn.mlp import linear
from ethogram.nn.ragged import segment_sum
from ethogram.nn.rows import Picked
from ethogram.nn.train import Trained, train
from ethogram.numeric.interactions import Interactions


class Bags(NamedTuple):
    """n bags: distinct words int64[total] one bag after another, offsets int64[n + 1]."""

    words: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, words: np.ndarray, offsets: np.ndarray) -> Bags:
        return cls(torch.from_numpy(words.astype(np.int64)), torch.from_numpy(offsets.astype(np.int64)))

    @property
    def owner(self) -> Tensor:
        return torch.repeat_interleave(torch.arange(len(self.offsets) - 1), self.offsets.diff())


class Bound(NamedTuple):
    """Of each bag [n]: what its words cost under theta, and the divergence of z; their sum is the loss."""

    cost: Tensor
    divergence: Tensor


class NeuralTopicModel(nn.Module):
    """See the module.

    Parameters
    ----------
    words, topics : sizes. dim : width of the encoder and of the vectors. group : int[words], groups of words.
    """

    def __init__(
        self, words: int, topics: int, dim: int = 64, *, group: np.ndarray | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        if min(words, topics, dim) < 1:
            raise OptionError(f"topics: {words} words, {topics} topics, width {dim}; give 1 or more of each.")
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.empty(words, dim).normal_(0, dim**-0.5, generator=generator))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.second = linear(dim, dim, generator)
        self.mean, self.spread = linear(dim, topics, generator), linear(dim, topics, generator)
        self.norm = nn.BatchNorm1d(topics, affine=False)
        self.turn = linear(topics, topics, generator)
        with torch.no_grad():
            self.turn.weight.copy_(3 * torch.eye(topics))
        self.topics = nn.Parameter(torch.empty(topics, dim).normal_(0, 1, generator=generator))
        self.words = nn.Parameter(torch.empty(words, dim).normal_(0, dim**-0.5, generator=generator))
        self.group = torch.from_numpy(np.zeros(words, np.int64) if group is None else np.asarray(group, np.int64))

    @property
    def count(self) -> int:
        """K."""
        return len(self.topics)

    def encode(self, bags: Bags) -> tuple[Tensor, Tensor]:
        """(mu, s), [n, K] each."""
        held = torch.relu(segment_sum(Picked(self.first, bags.words), bags.offsets) + self.bias)
        held = torch.relu(self.second(held))
        mu = self.mean(held)
        if self.training and len(mu) == 1:  # one bag has no spread to be normed by
            mu = (mu - self.norm.running_mean) / torch.sqrt(self.norm.running_var + self.norm.eps)
        else:
            mu = self.norm(mu)
        return mu, self.spread(held)

    def mixture(self, z: Tensor) -> Tensor:
        """theta [n, K]."""
        return torch.softmax(self.turn(z), 1)

    def log_phi(self) -> Tensor:
        """ln phi [K, words]; exponents add up to 1 within each group."""
        logits = self.topics @ self.words.T
        size = int(self.group.max()) + 1
        where = self.group.expand_as(logits)
        lowest = logits.new_full((len(logits), size), -torch.inf)
        top = lowest.scatter_reduce(1, where, logits.detach(), "amax")
        total = torch.zeros_like(top).index_add(1, self.group, torch.exp(logits - top.index_select(1, self.group)))
        return logits - (torch.log(total) + top).index_select(1, self.group)

    def bound(self, bags: Bags, noise: Tensor | None = None) -> Bound:
        """The two terms of the loss of each bag; `noise` is eps [n, K], drawn in training, zero elsewhere."""
        mu, s = self.encode(bags)
        if noise is None:
            noise = torch.randn_like(mu) if self.training else torch.zeros_like(mu)
        theta = self.mixture(mu + noise * torch.exp(s / 2))
        said = torch.exp(self.log_phi()).T.index_select(0, bags.words)
        each = torch.log((theta.index_select(0, bags.owner) * said).sum(1).clamp_min(1e-30))
        cost = -segment_sum(each[:, None], bags.offsets)[:, 0]
        return Bound(cost, (mu.square() + torch.exp(s) - s - 1).sum(1) / 2)

    @torch.no_grad()
    def theta(self, bags: Bags) -> np.ndarray:
        """What bags are about, float32[n, K], at z = mu."""
        return np.asarray(self.mixture(self.encode(bags)[0]).numpy())

    @torch.no_grad()
    def phi(self) -> np.ndarray:
        """What topics say, float32[K, words]."""
        return np.asarray(torch.exp(self.log_phi()).numpy())

    def top(self, k: int = 10) -> np.ndarray:
        """The k words of each topic that it says most, int64[K, k], best first; ties by number."""
        return np.argsort(-self.phi(), axis=1, kind="stable")[:, :k]

    def fit(
        self, bags: Interactions, *, epochs: int = 100, lr: float = 5e-3, batch: int = 200, warm: int = 0, seed: int = 0
    ) -> Trained:
        """Learn from bags of words; over the first `warm` epochs the divergence counts by and by.

        Short bags cost less than the divergence of what could be said about them; without a warm start every theta then
        stays the same.
        """
        if not len(bags.items):
            raise OptionError("topics: the bags hold no words; there is nothing to learn from.")
        epoch = [0]

        def batches(rng: np.random.Generator) -> Iterator[tuple[Bags, float]]:
            epoch[0] += 1
            weight = 1.0 if epoch[0] > warm else epoch[0] / (warm + 1)
            order = rng.permutation(np.flatnonzero(bags.lengths))
            for at in range(0, len(order), batch):
                yield some(bags, order[at : at + batch]), weight

        def loss(given: tuple[Bags, float]) -> Tensor:
            found = self.bound(given[0])
            return (found.cost + given[1] * found.divergence).mean()

        return train(
            self, batches, loss, optimisers=[torch.optim.Adam(self.parameters(), lr)], epochs=epochs, seed=seed
        )


def some(bags: Interactions, rows: np.ndarray) -> Bags:
    """The bags of these rows."""
    places, offsets = ragged_rows(bags.offsets[rows], bags.offsets[rows + 1])
    return Bags.of(bags.items[places], offsets)
