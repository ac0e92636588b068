"""Sequences of a Hawkes process with known parameters, drawn as generations of children.

The process and its exact likelihood, the ceiling of every model, are `ethogram.numeric.hawkes`; this sampler shares
nothing with the one there (immigrants first, then generation after generation), so that each tests the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ethogram.numeric.hawkes import Hawkes


def sequence(process: Hawkes, window: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(times ascending, types) on [0, window): immigrants, then generation after generation of their children."""
    kinds = len(process.mu)
    counts = rng.poisson(process.mu * window)
    kind = np.repeat(np.arange(kinds), counts)
    time = rng.uniform(0, window, len(kind))
    times, types = [time], [kind]
    while len(time):
        children = rng.poisson(process.branching[kind])  # [events, types]
        parent, born = np.nonzero(children)
        many = children[parent, born]
        parent, kind = np.repeat(parent, many), np.repeat(born, many)
        time = time[parent] + rng.exponential(1 / process.decay, len(parent))
        inside = time < window
        time, kind = time[inside], kind[inside]
        times.append(time)
        types.append(kind)
    time, kind = np.concatenate(times), np.concatenate(types)
    order = np.argsort(time, kind="stable")
    return time[order], kind[order]


def sequences(
    process: Hawkes, count: int, seed: int, *, window: float = 40.0, least: int = 4, most: int = 60
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """So many sequences of at least `least` events, at most the first `most` of each, shifted to begin at 0."""
    rng = np.random.default_rng(seed)
    while count:
        time, kind = sequence(process, window, rng)
        if len(time) >= least:
            count -= 1
            yield time[:most] - time[0], kind[:most]


def published() -> Hawkes:
    """Five types that call forth their own kind most."""
    return Hawkes(np.full(5, 0.15), 0.8 * (0.25 * np.eye(5) + 0.08), 1.5)
