"""A recurrent point process: a cell whose memory decays towards a target between events (continuous-time LSTM).

    between events   c(t) = c_bar + (c - c_bar) exp(-delta (t - t_i)),   h(t) = o tanh(c(t))
    at event k       (i, f, o, i_bar, f_bar) = sigmoid(x_k + U h(t)),  z = tanh(..),  delta = softplus(..)
                     c <- f c(t) + i z,   c_bar <- f_bar c_bar + i_bar z
    lambda_k(t) = s_k log(1 + exp((w_k h(t) + b_k) / s_k))

Sequences run side by side without padding, the longest first; a step is one product and one compiled pass each way. The
likelihood's sum over events and instants is one compiled pass that makes its gradient on the way: for every instant
only the cell is in the cache, and nothing of the size of all instants is ever stored. Off the CPU or in float64 the
same runs in torch. Before the first event the cell is empty, so the intensity is constant.

Reference: H. Mei, J. Eisner: The Neural Hawkes Process: A Neurally Self-Modulating Multivariate Point Process. NeurIPS
2017. x_k is a row of E V' + b and made once a pass: there are few kinds. Learned as one table it took several times the
steps (Adam moves a product of two factors further than their product), .03 nats per event after five epochs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.nn import cells
from ethogram.nn.softplus import LEAST, intensities
from ethogram.numeric.streams import States, Streams


@dataclass(frozen=True, eq=False)
class Encoded:
    """Cells behind every event: `cells` [S, 4, hidden] holds c, c_bar, delta, o; `place` and `since` of each state."""

    streams: Streams
    cells: Tensor
    place: np.ndarray
    since: np.ndarray


class RecurrentProcess(nn.Module):
    """See the module. kinds, hidden : of events and units. seed : of the weights."""

    def __init__(self, kinds: int, *, hidden: int = 32, seed: int = 0) -> None:
        super().__init__()
        self.kinds, self.hidden = kinds, hidden
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            bound = 1 / math.sqrt(2 * hidden)  # of a layer that reads kind and state side by side
            self.embedding = nn.Parameter(torch.randn(kinds + 1, hidden))  # the last row is the unknown kind
            self.into, self.own = (
                nn.Parameter(torch.empty(7 * hidden, hidden).uniform_(-bound, bound)) for _ in range(2)
            )
            self.bias = nn.Parameter(torch.empty(7 * hidden).uniform_(-bound, bound))
            self.out = nn.Linear(hidden, kinds)
            self.scale = nn.Parameter(torch.zeros(kinds))

    def base(self) -> list[nn.Parameter]:
        return list(self.parameters())

    def prompts(self) -> list[nn.Parameter]:
        return []

    def encode(self, streams: Streams, *, vote: bool = False) -> Encoded:
        """Cells of all states of sequences in units of the mean gap."""
        plan = cells.Plan.of(streams)
        kind = torch.from_numpy(np.where(streams.kind < 0, self.kinds, streams.kind)[plan.event])
        table = torch.addmm(self.bias, self.embedding, self.into.t())
        return Encoded(streams, cells.run(table[kind], self.own, plan), plan.place, plan.since)

    def intensity(self, encoded: Encoded, states: States, when: np.ndarray) -> Tensor:
        """lambda [m, K] at instants `when` float64[m], not before what each of `states` knows."""
        at = encoded.streams.offsets[states.owner] + states.owner + states.known
        wait = torch.from_numpy(np.asarray(when) - encoded.since[at]).to(encoded.cells.dtype)
        c, target, rate, gate = encoded.cells[torch.from_numpy(encoded.place[at])].unbind(1)
        memory = target + (c - target) * torch.exp(-rate * wait.unsqueeze(1))
        return intensities(self.out(gate * memory.tanh()), self.scale)

    def loglikelihood(self, encoded: Encoded, when: np.ndarray, weight: np.ndarray) -> Tensor:
        """Sum over the gaps of `encoded.streams`, with instants and weights [G, s] of their integrals; a scalar."""
        streams = encoded.streams
        gaps = streams.gaps
        at = streams.offsets[gaps.owner] + gaps.owner + gaps.known
        wait = (when - encoded.since[at][:, None]).astype(np.float32)
        last, kinds, ends = _ends(streams, encoded.since[at])
        found: Tensor = cells.Likelihood.apply(
            encoded.cells, self.out.weight, self.out.bias, self.scale,
            (encoded.place[at], wait, weight.astype(np.float32), last, kinds, ends), LEAST,
        )  # fmt: skip
        return found


def _ends(streams: Streams, since: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each gap the wait until its stop, and its events as kinds of `ends[g]:ends[g + 1]`: several of one instant."""
    gaps = streams.gaps
    first = gaps.event
    count = np.where(first >= 0, streams.lengths[gaps.owner] - gaps.known, 0)
    # events of the same instant as the first: those with the same number of strictly earlier ones
    there = np.flatnonzero(streams.judged)
    key = streams.offsets[streams.owner[there]] + streams.before[there]
    sizes = np.where(count > 0, np.bincount(key, minlength=len(streams.time) + 1)[np.maximum(first, 0)], 0)
    ends = np.append(0, np.cumsum(sizes)).astype(np.int64)
    rows = np.repeat(first - ends[:-1], sizes) + np.arange(int(ends[-1]))
    return (gaps.stop - since).astype(np.float32), streams.kind[rows], ends
