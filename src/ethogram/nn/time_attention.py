"""A bidirectional LSTM over sessions that is pooled by attention to what was looked at long, learned without labels.

    x_t     = mean of the vectors of the tokens of step t            a step: events of equal time
    h_t     = [f_t ; b_t]                                            f reads forwards, b backwards
    s_t     = v . tanh(W h_t + w_tau log(1 + tau_t) + b)             tau_t: seconds spent on step t
    z       = norm(P sum_t softmax(s)_t h_t)                         unit length
    loss    = - mean ln P(step t + 1 | f_t) - mean ln P(step t - 1 | b_t) - beta mean sum_k q_k ln P(k | z)

Each half predicts what it has not read, so nothing leaks from one direction to the other. The last term rebuilds the
session as a bag from z: q_k is the share of its events that are token k or, with `timed`, of log(1 + tau), which is
what makes z say where the time went. Pooling ``even`` is the mean over steps, ``plain`` attends without tau. On top of
it, with weight gamma, two views of a session, each without a share of its steps, are to find each other among the
batch (cosine over a temperature, softmax): what a detour changes should not move z far.

Reference: Z. Yang et al.: Hierarchical Attention Networks for Document Classification. NAACL 2016 (the attention);
W. Min et al.: Explainable Deep Behavioral Sequence Clustering for Transaction Fraud Detection. 2021 (time in it).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ethogram.errors import OptionError
from ethogram.log.kernels import ragged_rows
from ethogram.nn.mlp import linear
from ethogram.nn.ragged import pad, segment_mean, segment_softmax, segment_sum, segments, unpad
from ethogram.nn.rows import Picked
from ethogram.nn.train import Trained, Watch, train

Pooling = Literal["time", "plain", "even"]
LONGER = 0.1
"""Size of the entries of w_tau before training."""


@dataclass(frozen=True, eq=False)
class Clicks:
    """n sessions: steps one after another, each with its tokens.

    token : int64[T]. places : int64[S + 1], tokens of each step. seconds : float32[S], spent on each.
    offsets : int64[n + 1], steps of each session; each has one or more.
    """

    token: Tensor
    places: Tensor
    seconds: Tensor
    offsets: Tensor

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def pick(self, rows: np.ndarray) -> Clicks:
        """Some of the sessions, in the order given."""
        offsets, places = self.offsets.numpy(), self.places.numpy()
        steps, spans = ragged_rows(offsets[rows], offsets[rows + 1])
        tokens, inside = ragged_rows(places[steps], places[steps + 1])
        held = self.token[torch.from_numpy(tokens)], self.seconds[torch.from_numpy(steps)]
        return Clicks(held[0], torch.from_numpy(inside), held[1], torch.from_numpy(spans))


class Read(NamedTuple):
    """What was read of sessions: z [n, out], states f and b [S, hidden] each, weights of the steps [S]."""

    z: Tensor
    forward: Tensor
    backward: Tensor
    weights: Tensor


class TimeAttention(nn.Module):
    """See the module.

    Parameters
    ----------
    tokens : of the vocabulary. dim, hidden, out : width of token vectors, of each direction's states, and of z.
    vectors : float[tokens, dim] to begin with; none draws them.

    Examples
    --------
    >>> net = TimeAttention(9, dim=8, hidden=8, out=4)
    >>> held = Clicks(torch.tensor([1, 2, 3]), torch.arange(4), torch.tensor([1.0, 60.0, 2.0]), torch.tensor([0, 2, 3]))
    >>> net(held).z.shape, [round(float(w), 6) for w in segment_sum(net(held).weights, held.offsets)]
    (torch.Size([2, 4]), [1.0, 1.0])
    """

    def __init__(
        self, tokens: int, *, dim: int = 32, hidden: int = 64, out: int = 48, pooling: Pooling = "time",
        vectors: np.ndarray | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(tokens, dim, hidden, out) < 1:
            raise OptionError(
                f"time attention: {tokens} tokens, widths {dim}, {hidden}, {out}; give 1 or more of each."
            )
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator
            torch.manual_seed(seed)
            self.lstm = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)
        begin = torch.empty(tokens, dim).normal_(0, dim**-0.5, generator=generator)
        self.vectors = nn.Parameter(begin if vectors is None else torch.from_numpy(vectors.astype(np.float32)))
        self.attend, self.speak = linear(2 * hidden, hidden, generator), linear(hidden, 1, generator, bias=False)
        # at first a page that is looked at longer weighs more, about as the root to the proportion of the seconds
        self.tau = nn.Parameter(LONGER * self.speak.weight.detach()[0].sign())
        self.project = linear(2 * hidden, out, generator)
        self.after, self.before = linear(hidden, tokens, generator), linear(hidden, tokens, generator)
        self.bag = linear(out, tokens, generator)
        self.pooling, self.hidden = pooling, hidden

    def forward(self, clicks: Clicks) -> Read:
        steps = segment_mean(Picked(self.vectors, clicks.token), clicks.places)
        padded, _ = pad(steps, clicks.offsets)
        lengths = clicks.offsets.diff()
        packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        h = unpad(states, clicks.offsets)
        weights = self.attention(h, clicks)
        z = F.normalize(self.project(segment_sum(h * weights[:, None], clicks.offsets)), dim=1)
        return Read(z, h[:, : self.hidden], h[:, self.hidden :], weights)

    def attention(self, h: Tensor, clicks: Clicks) -> Tensor:
        """Weights of the steps of each session, [S]."""
        if self.pooling == "even":
            return 1.0 / clicks.offsets.diff()[segments(clicks.offsets)].to(h.dtype)
        inner = self.attend(h)
        if self.pooling == "time":
            inner = inner + self.tau * torch.log1p(clicks.seconds)[:, None]
        return segment_softmax(self.speak(torch.tanh(inner)), clicks.offsets)[:, 0]

    def contrast(self, clicks: Clicks, generator: torch.Generator, dropped: float = 0.2, heat: float = 0.1) -> Tensor:
        """How badly two views of each session find each other, a scalar."""
        one, other = (self(_view(clicks, dropped, generator)).z for _ in range(2))
        alike = one @ other.T / heat
        mine = torch.arange(len(alike))
        return (F.cross_entropy(alike, mine) + F.cross_entropy(alike.T, mine)) / 2

    def loss(self, clicks: Clicks, beta: float = 1.0, timed: bool = True) -> Tensor:
        """The mean loss of some sessions."""
        read = self(clicks)
        step, session = segments(clicks.places), segments(clicks.offsets)
        share = 1.0 / clicks.places.diff()[step].to(torch.float32)  # a step speaks once, however many tokens it has
        first = torch.zeros(len(session), dtype=torch.bool)
        first[clicks.offsets[:-1]] = True
        last = torch.zeros_like(first)
        last[clicks.offsets[1:] - 1] = True
        after, before = ~first[step], ~last[step]
        total = read.z.new_zeros(())
        for states, layer, asked, by in (
            (read.forward, self.after, after, -1),
            (read.backward, self.before, before, 1),
        ):
            if asked.any():
                lost = F.cross_entropy(layer(states[step[asked] + by]), clicks.token[asked], reduction="none")
                total = total + (lost * share[asked]).sum() / share[asked].sum()
        weight = share * torch.log1p(clicks.seconds)[step] if timed else share
        whole = torch.zeros(len(clicks)).index_add_(0, session[step], weight)
        none = whole[session[step]] <= 0  # no time was spent anywhere: every event counts alike
        weight = torch.where(none, share, weight)
        whole = torch.zeros(len(clicks)).index_add_(0, session[step], weight)
        told = F.log_softmax(self.bag(4 * read.z), 1)[session[step], clicks.token]
        return total - beta * (weight / whole[session[step]] * told).sum() / len(clicks)


def _view(clicks: Clicks, dropped: float, generator: torch.Generator) -> Clicks:
    """The sessions without a share of their steps."""
    owner = segments(clicks.offsets)
    keep = torch.rand(len(owner), generator=generator) >= dropped
    # a session that would lose all keeps its first step
    there = torch.zeros(len(clicks), dtype=torch.int64).index_add_(0, owner, keep.long())
    keep[clicks.offsets[:-1][there == 0]] = True
    steps = keep.nonzero().ravel()
    tokens, places = ragged_rows(clicks.places.numpy()[steps], clicks.places.numpy()[steps + 1])
    lengths = torch.zeros(len(clicks), dtype=torch.int64).index_add_(0, owner[steps], torch.ones_like(steps))
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    return Clicks(clicks.token[torch.from_numpy(tokens)], torch.from_numpy(places), clicks.seconds[steps], offsets)


def learn(
    net: TimeAttention, clicks: Clicks, *, epochs: int, batch: int = 256, lr: float = 3e-3, beta: float = 1.0,
    gamma: float = 0.0, timed: bool = True, seed: int = 0, watch: Watch | None = None,
) -> Trained:  # fmt: skip
    """Train in place; sessions of like length share a batch."""
    length = clicks.offsets.diff().numpy()
    views = torch.Generator().manual_seed(seed)

    def loss(rows: np.ndarray) -> Tensor:
        held = clicks.pick(rows)
        own = net.loss(held, beta, timed)
        return own + gamma * net.contrast(held, views) if gamma > 0 and len(rows) > 1 else own

    def batches(rng: np.random.Generator) -> Iterator[np.ndarray]:
        order = np.argsort(length + rng.random(len(length)) * 3, kind="stable")
        cuts = [order[i : i + batch] for i in range(0, len(order), batch)]
        for at in rng.permutation(len(cuts)):
            yield cuts[at]

    made = torch.optim.Adam(net.parameters(), lr=lr)
    return train(net, batches, loss, optimisers=[made], epochs=epochs, seed=seed, clip=1.0, watch=watch)


def vectors(net: TimeAttention, clicks: Clicks, batch: int = 512) -> np.ndarray:
    """z of every session, float32[n, out]."""
    found = np.zeros((len(clicks), net.project.out_features), np.float32)
    order = np.argsort(clicks.offsets.diff().numpy(), kind="stable")
    with torch.inference_mode():
        for i in range(0, len(order), batch):
            rows = order[i : i + batch]
            found[rows] = net(clicks.pick(rows)).z.numpy()
    return found
