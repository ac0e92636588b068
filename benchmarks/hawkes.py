"""Sequences of a Hawkes process with known parameters, and their exact log-likelihood: the ceiling of every model.

    lambda_k(t) = mu_k + sum over events (s, j) before t of A[j, k] decay exp(-decay (t - s))

A[j, k] is the mean number of events of type k that one of type j calls forth (A. Hawkes, Biometrika 1971).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Hawkes:
    """mu float[K], branching float[K, K] (row calls forth column), decay of the exponential kernel."""

    mu: np.ndarray
    branching: np.ndarray
    decay: float

    def sequence(self, window: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(times ascending, types) on [0, window): immigrants, then generation after generation of their children."""
        kinds = len(self.mu)
        counts = rng.poisson(self.mu * window)
        kind = np.repeat(np.arange(kinds), counts)
        time = rng.uniform(0, window, len(kind))
        times, types = [time], [kind]
        while len(time):
            children = rng.poisson(self.branching[kind])  # [events, types]
            parent, born = np.nonzero(children)
            many = children[parent, born]
            parent, kind = np.repeat(parent, many), np.repeat(born, many)
            time = time[parent] + rng.exponential(1 / self.decay, len(parent))
            inside = time < window
            time, kind = time[inside], kind[inside]
            times.append(time)
            types.append(kind)
        time, kind = np.concatenate(times), np.concatenate(types)
        order = np.argsort(time, kind="stable")
        return time[order], kind[order]

    def sequences(
        self, count: int, seed: int, *, window: float = 40.0, least: int = 4, most: int = 60
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """So many sequences of at least `least` events, at most the first `most` of each, shifted to begin at 0."""
        rng = np.random.default_rng(seed)
        while count:
            time, kind = self.sequence(window, rng)
            if len(time) >= least:
                count -= 1
                yield time[:most] - time[0], kind[:most]

    def loglikelihood(self, time: np.ndarray, kind: np.ndarray) -> float:
        """Of the events behind the first, given it, up to the last one: log intensities less their integral."""
        excited = np.zeros(len(self.mu))
        total = 0.0
        for i in range(1, len(time)):
            gap = time[i] - time[i - 1]
            excited = excited + self.branching[kind[i - 1]] * self.decay
            faded = excited * np.exp(-self.decay * gap)
            total -= float((self.mu * gap).sum() + (excited - faded).sum() / self.decay)
            excited = faded
            total += float(np.log(self.mu[kind[i]] + excited[kind[i]]))
        return total


def published() -> Hawkes:
    """Five types that call forth their own kind most."""
    return Hawkes(np.full(5, 0.15), 0.8 * (0.25 * np.eye(5) + 0.08), 1.5)
