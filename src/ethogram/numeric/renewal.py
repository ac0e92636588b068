"""Point processes that know little: a Poisson process, and a renewal process with a chain of kinds.

    Poisson    lambda_k(t) = r_k
    renewal    lambda_k(t) = h(t - t_last) P[k_last, k],    h the hazard of a log-normal gap

They are the references that a process with memory has to beat. Both answer like `numeric.hawkes.Hawkes`. Gaps of the
renewal process are fitted by moments of their logarithms (positive gaps that end with an event), its chain by counts
plus one; the row behind the last stands for nothing or an unknown kind before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethogram.numeric.streams import States, Streams

_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class Poisson:
    """rate float[K], events of each kind in a unit of time."""

    rate: np.ndarray

    @classmethod
    def fit(cls, streams: Streams) -> Poisson:
        """Counts over time, half an event added so that no kind is impossible."""
        counts = np.bincount(streams.kind[streams.judged & (streams.kind >= 0)], minlength=streams.kinds)
        return cls((counts + 0.5) / max(float((streams.end - streams.begin).sum()), _LEAST))

    def residuals(self, streams: Streams) -> np.ndarray:
        return float(self.rate.sum()) * (streams.gaps.stop - streams.gaps.start)

    def intensities(self, streams: Streams) -> np.ndarray:
        return np.broadcast_to(self.rate, (len(streams.time), len(self.rate)))

    def loglikelihood(self, streams: Streams) -> np.ndarray:
        return likelihood(streams, self.intensities(streams), self.residuals(streams))

    def next(self, streams: Streams, states: States, draws: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rng, total = np.random.default_rng(seed), self.rate.sum()
        shape = (len(states), draws)
        return rng.exponential(1 / total, shape), rng.choice(len(self.rate), shape, p=self.rate / total)

    def after(self, streams: Streams, states: States, wait: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.rate, (len(states), len(self.rate)))


@dataclass(frozen=True, eq=False)
class Renewal:
    """mean, spread : of log gaps. moves float[K + 1, K] : probability of the next kind behind each."""

    mean: float
    spread: float
    moves: np.ndarray

    @classmethod
    def fit(cls, streams: Streams) -> Renewal:
        gaps, k = streams.gaps, streams.kinds
        event = gaps.event[gaps.event >= 0]
        before = streams.time[event] - _last(streams, gaps.states)[gaps.event >= 0]
        logs = np.log(before[before > 0]) if (before > 0).any() else np.zeros(1)
        moves = np.ones((k + 1, k))
        kind = streams.kind
        own = np.flatnonzero(streams.judged & (kind >= 0))
        came = _kind_before(streams, streams.owner[own], streams.before[own])
        np.add.at(moves, (came, kind[own]), 1)
        return cls(float(logs.mean()), float(max(logs.std(), 1e-3)), moves / moves.sum(1, keepdims=True))

    def residuals(self, streams: Streams) -> np.ndarray:
        gaps = streams.gaps
        last = _last(streams, gaps.states)
        return self._survived(gaps.start - last) - self._survived(gaps.stop - last)

    def intensities(self, streams: Streams) -> np.ndarray:
        states = States(streams.owner, streams.before, streams.time)
        return self._rate(streams, states, streams.time)

    def loglikelihood(self, streams: Streams) -> np.ndarray:
        return likelihood(streams, self.intensities(streams), self.residuals(streams))

    def next(self, streams: Streams, states: States, draws: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        from scipy.special import log_ndtr, ndtri_exp

        rng = np.random.default_rng(seed)
        waited = states.now - _last(streams, states)
        z = (np.log(np.maximum(waited, _LEAST)) - self.mean) / self.spread
        # of the gaps longer than what was waited: the logarithm of their survival, which does not run out of digits
        drawn = -ndtri_exp(log_ndtr(-z)[:, None] + np.log(rng.random((len(states), draws))))
        gap = np.exp(self.mean + self.spread * drawn) - waited[:, None]
        chance = self.moves[_kind_before(streams, states.owner, states.known)].cumsum(1)
        kind = (rng.random((len(states), draws, 1)) > chance[:, None, :-1]).sum(2)
        return np.maximum(gap, 0.0), kind

    def after(self, streams: Streams, states: States, wait: np.ndarray) -> np.ndarray:
        return self._rate(streams, states, states.now + wait)

    def _rate(self, streams: Streams, states: States, when: np.ndarray) -> np.ndarray:
        gap = np.maximum(when - _last(streams, states), _LEAST)
        z = (np.log(gap) - self.mean) / self.spread
        density = -0.5 * z**2 - np.log(gap * self.spread * np.sqrt(2 * np.pi))
        return (
            np.exp(density - self._survived(gap))[:, None]
            * self.moves[_kind_before(streams, states.owner, states.known)]
        )

    def _survived(self, gap: np.ndarray) -> np.ndarray:
        from scipy.special import log_ndtr

        found: np.ndarray = log_ndtr(-(np.log(np.maximum(gap, _LEAST)) - self.mean) / self.spread)
        return found


def likelihood(streams: Streams, intensity: np.ndarray, spent: np.ndarray) -> np.ndarray:
    """Of each sequence, from lambda at its events [N, K] and the compensator of its gaps [G]."""
    own = np.flatnonzero(streams.judged & (streams.kind >= 0))
    logs = np.log(np.maximum(intensity[own, streams.kind[own]], 1e-300))
    found = np.bincount(streams.owner[own], logs, len(streams))
    return found - np.bincount(streams.gaps.owner, spent, len(streams))


def _last(streams: Streams, states: States) -> np.ndarray:
    """Time of the last known event of each state; the sequence's begin where there is none."""
    if not len(streams.time):
        return streams.begin[states.owner]
    at = streams.offsets[states.owner] + states.known - 1
    return np.where(states.known > 0, streams.time[np.maximum(at, 0)], streams.begin[states.owner])


def _kind_before(streams: Streams, owner: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Kind of the last known event, K where there is none or it is unknown."""
    if not len(streams.time):
        return np.full(len(owner), streams.kinds)
    kind = streams.kind[np.maximum(streams.offsets[owner] + known - 1, 0)]
    return np.where((known > 0) & (kind >= 0), kind, streams.kinds)
