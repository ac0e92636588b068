"""Neural point processes as `numeric.hawkes.Hawkes` is one: likelihood, residuals, next events, intensities.

A network (`AttentiveProcess`, `RecurrentProcess`) knows sequences in units of the mean gap, counted from each
sequence's first event; a `Neural` brings them there and its answers back. Sequences are taken a few at a time, so that
what is made of their instants stays in the cache: in training each piece is differentiated before the next is made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.nn.recurrent_process import RecurrentProcess
from ethogram.numeric.hashing import mix
from ethogram.numeric.integrals import How, instants
from ethogram.numeric.renewal import likelihood
from ethogram.numeric.streams import States, Streams
from ethogram.numeric.thinning import first_arrivals, uniform

ROWS = 8_192
"""Instants of a piece, about."""
POINTS = 12
"""Gauss points of a gap's integral where a fitted process is judged."""
LONGEST = 64.0
"""Units of mean gap of one stretch of an integral; longer silences are cut into several."""


def pieces(streams: Streams, each: int, rows: int = ROWS) -> Iterator[np.ndarray]:
    """Consecutive sequences of about `rows` instants together, `each` for every event."""
    size = (streams.lengths + 1) * each
    number = np.cumsum(size) // max(rows, 1)
    cuts = np.append(np.flatnonzero(np.diff(number, prepend=-1)), len(size))
    for a, b in itertools.pairwise(cuts):
        yield np.arange(a, b)


def loglikelihood(network: Any, encoded: Any, when: np.ndarray, weight: np.ndarray) -> Tensor:
    """Of the sequences of `encoded`, a scalar; instants and weights [G, s] of their gaps' integrals."""
    if isinstance(network, RecurrentProcess):
        return network.loglikelihood(encoded, when, weight)
    streams = encoded.streams
    gaps, count = streams.gaps, when.shape[1]
    own = np.flatnonzero(streams.judged & (streams.kind >= 0))
    # instants of a gap, then its events: sequence by sequence, in each by what is known
    owner = np.concatenate([np.repeat(gaps.owner, count), streams.owner[own]])
    known = np.concatenate([np.repeat(gaps.known, count), streams.before[own]])
    at = np.concatenate([when.ravel(), streams.time[own]])
    order = np.lexsort((known, owner))
    rate = network.intensity(encoded, States(owner[order], known[order], at[order]), at[order])
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    inside, events = torch.from_numpy(back[: when.size]), torch.from_numpy(back[when.size :])
    logs = rate[events].gather(1, torch.from_numpy(streams.kind[own]).unsqueeze(1)).log()
    spent = (rate.sum(1)[inside] * torch.from_numpy(weight.ravel()).to(rate.dtype)).sum()
    return logs.sum() - spent


class _Piecewise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, losses: list[Callable[[], Tensor]], *parameters: Tensor) -> Tensor:
        total, grads = 0.0, [torch.zeros_like(p) for p in parameters]
        for loss in losses:
            with torch.enable_grad():
                value = loss()
                found = torch.autograd.grad(value, parameters, allow_unused=True)
            total += float(value.detach())
            for sum_, grad in zip(grads, found, strict=True):
                if grad is not None:
                    sum_ += grad
        ctx.grads = grads
        return torch.tensor(total)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        return None, *(g * grads[0] for g in ctx.grads)


def summed(losses: list[Callable[[], Tensor]], parameters: list[nn.Parameter]) -> Tensor:
    """Sum of losses whose graphs never exist at the same time."""
    found: Tensor = _Piecewise.apply(losses, *parameters)
    return found


def batch_loss(
    network: nn.Module, streams: Streams, count: int, how: How, rng: np.random.Generator, *, pull: float = 0.0,
    vote: bool = False,
) -> Tensor:  # fmt: skip
    """Negative log-likelihood per judged event of sequences in units of the mean gap, and the loss of the keys.

    Parameters
    ----------
    count, how, rng : of the integral (`numeric.integrals`). pull : weight of 1 - mean cosine of the chosen keys.
    vote : all take the prompts that most of them chose.
    """
    events = max(int(streams.judged.sum()), 1)

    def loss(rows: np.ndarray) -> Tensor:
        part = streams.take(rows)
        when, weight = instants(part.gaps, count, how, rng)
        encoded: Any = network.encode(part, vote=vote)  # type: ignore[operator]
        value = -loglikelihood(network, encoded, when, weight) / events
        if pull and getattr(encoded, "picked", None):
            share = (len(part) + len(part.time)) / (len(streams) + len(streams.time))  # near is a mean over states
            value = value + pull * share * (1 - encoded.near)
        return value

    # a vote needs all states of the batch at once
    each = 1 if isinstance(network, RecurrentProcess) else count + 2
    parts = [np.arange(len(streams))] if vote else list(pieces(streams, each))
    if len(parts) == 1:
        return loss(parts[0])
    trained = [p for p in network.parameters() if p.requires_grad]
    return summed([lambda rows=rows: loss(rows) for rows in parts], trained)  # type: ignore[misc]


@dataclass(frozen=True, eq=False)
class Neural:
    """A fitted network as a process. unit : length of its unit of time in the caller's."""

    network: Any
    unit: float

    @torch.no_grad()
    def residuals(self, streams: Streams) -> np.ndarray:
        """Integral of the summed intensity over each gap, float64[G]."""
        own = streams.scaled(self.unit)
        found = [np.zeros(0)]
        for rows in pieces(own, POINTS):
            part = own.take(rows)
            gaps, encoded = part.gaps, self.network.encode(part)
            cuts = np.maximum(1, np.ceil((gaps.stop - gaps.start) / LONGEST)).clip(max=256).astype(int)
            which = np.repeat(np.arange(len(gaps)), cuts)
            step = ((gaps.stop - gaps.start) / cuts)[which]
            start = gaps.start[which] + step * (np.arange(len(which)) - np.repeat(np.cumsum(cuts) - cuts, cuts))
            x, w = np.polynomial.legendre.leggauss(POINTS)
            when = start[:, None] + step[:, None] * (x + 1) / 2
            states = States(
                *(np.repeat(a[which], POINTS) for a in (gaps.owner, gaps.known)), np.repeat(gaps.start[which], POINTS)
            )
            rate = self.network.intensity(encoded, states, when.ravel()).sum(1).numpy().astype(np.float64)
            spent = (rate.reshape(-1, POINTS) * (w / 2)).sum(1) * step
            found.append(np.bincount(which, spent, len(gaps)))
        return np.concatenate(found)

    @torch.no_grad()
    def intensities(self, streams: Streams) -> np.ndarray:
        """lambda at each event, from what lies strictly before it; float64[N, K]."""
        return self._at(streams, States(streams.owner, streams.before, streams.time), streams.time)

    def loglikelihood(self, streams: Streams) -> np.ndarray:
        """Of each sequence, float64[n]."""
        return likelihood(streams, self.intensities(streams), self.residuals(streams))

    def after(self, streams: Streams, states: States, wait: np.ndarray) -> np.ndarray:
        """lambda [m, K] if nothing happens for `wait` [m] from now on."""
        return self._at(streams, states, states.now + wait)

    @torch.no_grad()
    def next(self, streams: Streams, states: States, draws: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """(time from now on [m, draws], kind [m, draws]) of the next event of each state; (inf, -1) where none comes.

        A state's draws hang on the state and the seed alone, whatever is asked beside it.
        """
        order, own = np.lexsort((states.known, states.owner)), streams.scaled(self.unit)
        gap = np.full((len(states), draws), np.inf)
        kind = np.full((len(states), draws), -1, np.int64)
        shift = streams.origin
        for rows in _blocks(own, states.owner[order], draws):
            part = order[rows]
            used, owner = np.unique(states.owner[part], return_inverse=True)
            few, now = own.take(used), (states.now[part] - shift[states.owner[part]]) / self.unit
            mine = States(owner, states.known[part], now)
            encoded = self.network.encode(few)

            def rate(at: np.ndarray, wait: np.ndarray, e: Any = encoded, m: States = mine) -> np.ndarray:
                return self.network.intensity(e, m.take(at), m.now[at] + wait).sum(1).numpy().astype(np.float64)

            keys = _keys(few, mine, seed)
            found = first_arrivals(rate, keys, draws)
            some = np.isfinite(found)
            at, slot = np.nonzero(some)
            share = (
                self.network.intensity(encoded, mine.take(at), mine.now[at] + found[some]).numpy().astype(np.float64)
            )
            share = share.cumsum(1) / share.sum(1, keepdims=True)
            drawn = uniform(mix(mix(keys[at], np.int64(-1)), slot))
            kind[part[at], slot] = (drawn[:, None] > share[:, :-1]).sum(1)
            gap[part] = found * self.unit
        return gap, kind

    def _at(self, streams: Streams, states: States, when: np.ndarray) -> np.ndarray:
        order, own, shift = np.lexsort((states.known, states.owner)), streams.scaled(self.unit), streams.origin
        found = np.empty((len(states), streams.kinds))
        with torch.no_grad():
            for rows in _blocks(own, states.owner[order], 1):
                part = order[rows]
                used, owner = np.unique(states.owner[part], return_inverse=True)
                at = (np.asarray(when)[part] - shift[states.owner[part]]) / self.unit
                encoded = self.network.encode(own.take(used))
                found[part] = self.network.intensity(encoded, States(owner, states.known[part], at), at).numpy()
        return found / self.unit


def _keys(streams: Streams, states: States, seed: int) -> np.ndarray:
    """uint64 of what each state knows: equal questions have equal keys."""
    place = np.arange(len(streams.time)) - streams.offsets[streams.owner] + 1
    told = np.append(0.0, np.cumsum(streams.time * (place % 97) + streams.kind * place))
    first = streams.offsets[states.owner]
    known = np.round((told[first + states.known] - told[first]) * 1e3).astype(np.int64)
    now = np.round(states.now * 1e6).astype(np.int64)
    return mix(mix(mix(np.full(len(states), seed, np.uint64), states.known), known), now)


def _blocks(streams: Streams, owner: np.ndarray, draws: int) -> Iterator[slice]:
    """Slices of states, given by their ascending owners, that keep a sequence's states together."""
    if not len(owner):
        return
    counts = np.bincount(owner, minlength=len(streams)) * draws
    number = np.cumsum(counts + np.where(counts > 0, streams.lengths, 0)) // (2 * ROWS)
    own = number[owner]
    cuts = np.append(np.flatnonzero(np.diff(own, prepend=-1)), len(own))
    for a, b in itertools.pairwise(cuts):
        yield slice(int(a), int(b))
