"""Multivariate Hawkes processes with exponential kernels: exact likelihood, gradient, sampler, fit, residuals.

    lambda_k(t) = mu_k + sum over events (s, j) with s < t of A[j, k] beta exp(-beta (t - s))
    log L = sum over judged events log lambda_{k_i}(t_i) - sum_k integral of lambda_k over (begin, end]

A[j, k] is the mean number of events of kind k that one of kind j calls forth (row calls forth column); the process is
stable where A's spectral radius is below 1. Everything is one pass over the events: with
``S_j(t) = sum_{s < t} beta exp(-beta (t - s))`` over the events of kind j, lambda(t) = mu + S(t) A, and S fades by a
factor between events.

Sampling is exact: between events the intensity only falls, so its value behind the last event bounds it, and the first
accepted proposal is the next event. Under the true process the integrals of the intensity between events are
independent Exp(1) (the time-rescaling theorem), which `numeric.rescaling` tests.

References: A. Hawkes: Spectra of some self-exciting and mutually exciting point processes. Biometrika 58, 1971.
T. Ozaki: Maximum likelihood estimation of Hawkes' self-exciting point processes. Ann. Inst. Stat. Math. 31, 1979.
Y. Ogata: On Lewis' simulation method for point processes. IEEE Trans. Information Theory 27, 1981.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ethogram.errors import OptionError
from ethogram.numeric.streams import States, Streams


@dataclass(frozen=True, eq=False)
class Hawkes:
    """mu float[K], branching float[K, K] (row calls forth column), decay of the exponential kernel."""

    mu: np.ndarray
    branching: np.ndarray
    decay: float

    def __post_init__(self) -> None:
        k = len(self.mu)
        if np.shape(self.branching) != (k, k):
            raise OptionError(f"hawkes: {k} base rates but a branching matrix {np.shape(self.branching)}.")
        if not (np.all(np.asarray(self.mu) >= 0) and np.all(np.asarray(self.branching) >= 0) and self.decay > 0):
            raise OptionError("hawkes: rates and branching are 0 or more, and the decay is above 0.")

    @property
    def radius(self) -> float:
        """Spectral radius of the branching matrix; from 1 on numbers of events explode."""
        return float(np.abs(np.linalg.eigvals(self.branching)).max())

    def loglikelihood(self, streams: Streams) -> np.ndarray:
        """Of each sequence, float64[n]."""
        return self._pass(streams)[0]

    def gradient(self, streams: Streams) -> tuple[float, np.ndarray, np.ndarray, float]:
        """(log-likelihood of all, its derivatives by mu [K], branching [K, K] and decay)."""
        total, mu, branching, decay = _gradient(*_arrays(streams), *self._numbers())
        return total, mu, branching, decay

    def residuals(self, streams: Streams) -> np.ndarray:
        """Integral of the summed intensity over each gap of `streams.gaps`, float64[G]."""
        return self._pass(streams)[1]

    def shares(self, streams: Streams) -> np.ndarray:
        """Probability of each kind at each event, given that an event happens then; [N, K]."""
        found: np.ndarray = self.intensities(streams)
        return found / found.sum(1, keepdims=True)

    def intensities(self, streams: Streams) -> np.ndarray:
        """lambda at each event, from what lies strictly before it; float64[N, K]."""
        found: np.ndarray = _intensities(streams.time, streams.kind, streams.offsets, *self._numbers())
        return found

    def sample(self, until: np.ndarray, *, seed: int = 0, most: int = 1_000_000) -> Streams:
        """One sequence on (0, until[i]] for each entry of `until`.

        Raises
        ------
        OptionError
            The process explodes (spectral radius of 1 or more), so no sequence need end.
        """
        if self.radius >= 1:
            raise OptionError(f"hawkes: spectral radius {self.radius:.3g}; below 1 is stable.")
        until = np.asarray(until, np.float64)
        rng = np.random.default_rng(seed)
        nothing = np.zeros(len(self.mu))
        made = [_sample(rng, *self._numbers(), float(t), most, nothing) for t in until]
        return Streams.of(made, len(self.mu), begin=0.0, end=until)

    def excited(self, streams: Streams, states: States) -> np.ndarray:
        """S at each state, float64[m, K]."""
        arrays = (streams.time, streams.kind, streams.offsets, states.owner, states.known, states.now)
        found: np.ndarray = _excited(*arrays, float(self.decay), len(self.mu))
        return found

    def next(self, streams: Streams, states: States, draws: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """(time from now on [m, draws], kind [m, draws]) of the next event of each state.

        A process that falls silent (mu = 0) may have none: the time is infinite and the kind -1.
        """
        rng = np.random.default_rng(seed)
        found: tuple[np.ndarray, np.ndarray] = _next(rng, *self._numbers(), self.excited(streams, states), draws)
        return found

    def after(self, streams: Streams, states: States, wait: np.ndarray) -> np.ndarray:
        """lambda [m, K] if nothing happens for `wait` [m] from now on."""
        faded = self.excited(streams, states) * np.exp(-self.decay * np.asarray(wait))[:, None]
        found: np.ndarray = self.mu + faded @ self.branching
        return found

    def _numbers(self) -> tuple[np.ndarray, np.ndarray, float]:
        return np.ascontiguousarray(self.mu, float), np.ascontiguousarray(self.branching, float), float(self.decay)

    def _pass(self, streams: Streams) -> tuple[np.ndarray, np.ndarray]:
        found: tuple[np.ndarray, np.ndarray] = _likelihood(*_arrays(streams), *self._numbers(), len(streams.gaps))
        return found


def fit(streams: Streams, *, start: Hawkes | None = None, iterations: int = 200) -> Hawkes:
    """Maximum likelihood by L-BFGS on the logarithms of all parameters, from `start` or from rates and weak excitation.

    Entries that the data push to 0 end at about 1e-4 of the start.
    """
    from scipy.optimize import minimize

    k = streams.kinds
    if start is None:
        counts = np.bincount(streams.kind[streams.judged & (streams.kind >= 0)], minlength=k)
        span = max(float((streams.end - streams.begin).sum()), 1e-12)
        rate = np.maximum(counts, 0.5) / span
        start = Hawkes(rate / 2, np.full((k, k), 0.5 / k), max(2 * float(rate.sum()), 1e-6))
    weight = 1 / max(int(streams.judged.sum()), 1)

    def cost(x: np.ndarray) -> tuple[float, np.ndarray]:
        mu, branching, decay = np.exp(x[:k]), np.exp(x[k:-1]).reshape(k, k), float(np.exp(x[-1]))
        total, to_mu, to_branching, to_decay = Hawkes(mu, branching, decay).gradient(streams)
        slope = np.concatenate([to_mu * mu, (to_branching * branching).ravel(), [to_decay * decay]])
        return -total * weight, -slope * weight

    begin = np.log(np.concatenate([start.mu, start.branching.ravel(), [start.decay]]).clip(1e-8))
    found = minimize(
        cost,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=[(v - 9, v + 9) for v in begin],
        options={"maxiter": iterations},
    )
    x = found.x
    return Hawkes(np.exp(x[:k]), np.exp(x[k:-1]).reshape(k, k), float(np.exp(x[-1])))


def _arrays(streams: Streams) -> tuple[np.ndarray, ...]:
    return streams.time, streams.kind, streams.offsets, streams.begin, streams.end


@njit(cache=True, nogil=True)
def _likelihood(time, kind, offsets, begin, end, mu, branching, decay, gaps):  # type: ignore[no-untyped-def]
    """Log-likelihood of each sequence, and the compensator of each gap."""
    kinds, base = len(mu), mu.sum()
    reach = branching.sum(1)
    total, spent = np.zeros(len(begin)), np.empty(gaps)
    at = 0
    for i in range(len(begin)):
        excited, pull, now = np.zeros(kinds), 0.0, begin[i]
        j, stop = offsets[i], offsets[i + 1]
        while j < stop and time[j] <= begin[i]:
            if kind[j] >= 0:
                excited[kind[j]] += decay * np.exp(-decay * (begin[i] - time[j]))
            j += 1
        while True:
            instant = time[j] if j < stop and time[j] <= end[i] else end[i]
            if instant > now:
                fade = np.exp(-decay * (instant - now))
                pull = 0.0
                for k in range(kinds):
                    pull += excited[k] * reach[k]
                    excited[k] *= fade
                spent[at] = base * (instant - now) + pull * (1 - fade) / decay
                total[i] -= spent[at]
                at += 1
                now = instant
            if j >= stop or time[j] > end[i]:
                break
            first = j
            while j < stop and time[j] == now:  # of one instant: none knows the others
                if kind[j] >= 0:
                    rate = mu[kind[j]]
                    for k in range(kinds):
                        rate += excited[k] * branching[k, kind[j]]
                    total[i] += np.log(rate)
                j += 1
            for e in range(first, j):
                if kind[e] >= 0:
                    excited[kind[e]] += decay
    return total, spent


@njit(cache=True, nogil=True)
def _gradient(time, kind, offsets, begin, end, mu, branching, decay):  # type: ignore[no-untyped-def]
    """S and its derivative by decay run along; see the module."""
    kinds = len(mu)
    total, to_decay = 0.0, 0.0
    to_mu, to_branching = np.zeros(kinds), np.zeros((kinds, kinds))
    lived, lived_slope = np.zeros(kinds), np.zeros(kinds)  # integral of S, and its derivative
    span = 0.0
    for i in range(len(begin)):
        s, slope, now = np.zeros(kinds), np.zeros(kinds), begin[i]
        span += end[i] - begin[i]
        j, stop = offsets[i], offsets[i + 1]
        while j < stop and time[j] <= begin[i]:
            if kind[j] >= 0:
                gap = begin[i] - time[j]
                fade = np.exp(-decay * gap)
                s[kind[j]] += decay * fade
                slope[kind[j]] += fade - decay * gap * fade
            j += 1
        while True:
            instant = time[j] if j < stop and time[j] <= end[i] else end[i]
            gap = instant - now
            if gap > 0:
                fade = np.exp(-decay * gap)
                part = (1 - fade) / decay
                part_slope = (gap * fade - part) / decay
                for k in range(kinds):
                    lived[k] += s[k] * part
                    lived_slope[k] += slope[k] * part + s[k] * part_slope
                    slope[k] = slope[k] * fade - gap * s[k] * fade
                    s[k] *= fade
                now = instant
            if j >= stop or time[j] > end[i]:
                break
            first = j
            while j < stop and time[j] == now:
                own = kind[j]
                if own >= 0:
                    rate, steep = mu[own], 0.0
                    for k in range(kinds):
                        rate += s[k] * branching[k, own]
                        steep += slope[k] * branching[k, own]
                    total += np.log(rate)
                    to_mu[own] += 1 / rate
                    to_decay += steep / rate
                    for k in range(kinds):
                        to_branching[k, own] += s[k] / rate
                j += 1
            for e in range(first, j):
                if kind[e] >= 0:
                    s[kind[e]] += decay
                    slope[kind[e]] += 1
    for k in range(kinds):
        total -= mu[k] * span
        to_mu[k] -= span
        for other in range(kinds):
            total -= lived[k] * branching[k, other]
            to_branching[k, other] -= lived[k]
            to_decay -= lived_slope[k] * branching[k, other]
    return total, to_mu, to_branching, to_decay


@njit(cache=True, nogil=True)
def _intensities(time, kind, offsets, mu, branching, decay):  # type: ignore[no-untyped-def]
    kinds = len(mu)
    out = np.empty((len(time), kinds))
    for i in range(len(offsets) - 1):
        s, j = np.zeros(kinds), offsets[i]
        while j < offsets[i + 1]:
            if j > offsets[i]:
                s *= np.exp(-decay * (time[j] - time[j - 1]))
            first = j
            while j < offsets[i + 1] and time[j] == time[first]:
                for k in range(kinds):
                    out[j, k] = mu[k]
                    for other in range(kinds):
                        out[j, k] += s[other] * branching[other, k]
                j += 1
            for e in range(first, j):
                if kind[e] >= 0:
                    s[kind[e]] += decay
    return out


@njit(cache=True, nogil=True)
def _excited(time, kind, offsets, owner, known, now, decay, kinds):  # type: ignore[no-untyped-def]
    """S at each state, from the first `known` events of its sequence; [m, K]."""
    out = np.zeros((len(owner), kinds))
    for i in range(len(owner)):
        first = offsets[owner[i]]
        for j in range(first, first + known[i]):
            if kind[j] >= 0:
                out[i, kind[j]] += decay * np.exp(-decay * (now[i] - time[j]))
    return out


@njit(cache=True, nogil=True)
def _arrival(rng, mu, branching, decay, excited, most):  # type: ignore[no-untyped-def]
    """(gap, kind) of the first accepted proposal within `most`; `excited` fades along. (inf, -1): none."""
    kinds = len(mu)
    rate = np.empty(kinds)
    passed = 0.0
    bound = mu.sum()
    for j in range(kinds):
        for k in range(kinds):
            bound += excited[j] * branching[j, k]
    while bound > 0:
        gap = rng.exponential(1 / bound)
        passed += gap
        if passed > most:
            break
        excited *= np.exp(-decay * gap)
        total = 0.0
        for k in range(kinds):
            rate[k] = mu[k]
            for j in range(kinds):
                rate[k] += excited[j] * branching[j, k]
            total += rate[k]
        drawn = rng.random() * bound
        if drawn < total:
            k = 0
            while k < kinds - 1 and drawn >= rate[k]:
                drawn -= rate[k]
                k += 1
            return passed, k
        bound = total
    return np.inf, -1


@njit(cache=True, nogil=True)
def _sample(rng, mu, branching, decay, until, most, begin):  # type: ignore[no-untyped-def]
    times, kinds = [], []
    excited, now = begin.copy(), 0.0
    while len(times) < most:
        gap, kind = _arrival(rng, mu, branching, decay, excited, until - now)
        if kind < 0:
            break
        now += gap
        excited[kind] += decay
        times.append(now)
        kinds.append(kind)
    return np.array(times, np.float64), np.array(kinds, np.int64)


@njit(cache=True, nogil=True)
def _next(rng, mu, branching, decay, excited, draws):  # type: ignore[no-untyped-def]
    gap, kind = np.empty((len(excited), draws)), np.empty((len(excited), draws), np.int64)
    for i in range(len(excited)):
        for d in range(draws):
            gap[i, d], kind[i, d] = _arrival(rng, mu, branching, decay, excited[i].copy(), np.inf)
    return gap, kind
