"""Sequences that an attacker grows, each step a query: what the service says of a prefix decides what comes next.

``full`` begins with the first item of a real sequence. With probability rho = sigmoid(w . h + b) the next item is
drawn from the list, the earlier the likelier (1 / log2(1 + rank)); else from the pool,

    P(i | prefix) proportional to exp(score_i / heat) * count_i           of the few real sequences

h is the state of a network learned from the few real sequences; w, b are fitted to whether their true next items were
in the service's list. ``list`` and ``pool`` always do the one or the other; ``data-free`` begins anywhere and takes any
place of the list; ``random`` does not read what it gets.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ethogram.audit.model_extraction.copying import Copy, Taught
from ethogram.audit.model_extraction.service import Service
from ethogram.numeric.balance import sigmoid
from ethogram.numeric.logistic import newton

HEAT = 1.0
PROBES = 500
"""Prefixes of real sequences that are asked to fit rho, at most."""


def grow(
    service: Service, kind: str, real: list[np.ndarray], *, sequences: int, steps: int, own: Copy | None, seed: int
) -> Taught:
    """`sequences` sequences of `steps` items with the list of every prefix: so many queries, and `PROBES` at most."""
    rng, size = np.random.default_rng(seed), len(service.items)
    made, lists = np.empty((sequences, steps), np.int64), np.empty((sequences, steps, min(service.k, size)), np.int64)
    made[:, 0] = rng.integers(0, size, sequences)
    free = kind in ("random", "data-free")
    if not free:
        made[:, 0] = np.array([s[0] for s in real])[rng.integers(0, len(real), sequences)]
    weights = determinant(service, own, real, rng) if kind == "full" and own is not None else None
    counts = np.bincount(np.concatenate(real), minlength=size).astype(float) if real else np.ones(size)
    for t in range(steps):
        lists[:, t] = service.query(made[:, : t + 1])
        if t + 1 == steps:
            break
        if kind == "random":
            made[:, t + 1] = rng.integers(0, size, sequences)
            continue
        held = made[:, : t + 1]
        listed = _from_lists(lists[:, t], held, rng, even=free)
        if free or kind == "list":
            made[:, t + 1] = np.where(listed >= 0, listed, rng.integers(0, size, sequences))
            continue
        assert own is not None
        states = own.states(held)
        pooled = _from_pool(states @ own.network.vectors.detach().numpy().T, counts, held, rng)
        take = np.zeros(sequences, bool)
        if weights is not None:
            take = rng.random(sequences) < sigmoid(weights[0] + states @ weights[1:])
        made[:, t + 1] = np.where(take & (listed >= 0), listed, pooled)
    return Taught(made, lists)


def determinant(service: Service, own: Copy, real: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """(b, w) of rho, float64[1 + dim]; each prefix that is looked at is a query."""
    every = [(i, t) for i, s in enumerate(real) for t in range(1, len(s))]
    chosen = [every[i] for i in rng.permutation(len(every))[:PROBES]]
    if not chosen:
        return np.zeros(1 + own.network.vectors.shape[1])
    prefixes = [real[i][max(0, t - 50) : t] for i, t in chosen]
    after = np.array([real[i][t] for i, t in chosen])
    listed = (service.query(prefixes) == after[:, None]).any(1)
    columns = np.concatenate([np.ones((len(after), 1)), own.states(prefixes)], 1).astype(float)
    return newton(columns, listed, np.ones(len(after)), ridge=1.0)


def _from_lists(lists: np.ndarray, held: np.ndarray, rng: np.random.Generator, *, even: bool) -> np.ndarray:
    """One item of each list that the sequence does not hold, -1 where there is none."""
    weight = np.ones(lists.shape[1]) if even else 1 / np.log2(np.arange(lists.shape[1]) + 2)
    fit = (lists >= 0) & ~(lists[:, :, None] == held[:, None, :]).any(2)
    place = np.where(fit, np.log(weight) + rng.gumbel(size=lists.shape), -np.inf).argmax(1)
    found = np.take_along_axis(lists, place[:, None], 1)[:, 0]
    return np.where(fit.any(1), found, -1)


def _from_pool(scores: np.ndarray, counts: np.ndarray, held: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    with np.errstate(divide="ignore"):
        wish = scores / HEAT + np.log(counts)[None] + rng.gumbel(size=scores.shape)
    np.put_along_axis(wish, held, -np.inf, 1)
    return np.asarray(wish.argmax(1))


def closeness(made: np.ndarray, real: list[np.ndarray], size: int) -> dict[str, float]:
    """How like real sequences grown ones are.

    ``items``: Jensen-Shannon divergence of how often items occur, in bits, from 0 (alike) to 1. ``transitions``: share
    of the grown steps from item to item that real sequences have, too. ``length``: mean length over the real one.
    """
    p = np.bincount(made.ravel(), minlength=size) / max(made.size, 1)
    flat = np.concatenate(real)
    q = np.bincount(flat, minlength=size) / max(len(flat), 1)
    m = (p + q) / 2

    def bits(x: np.ndarray) -> float:
        at = x > 0
        return float((x[at] * np.log2(x[at] / m[at])).sum())

    pairs = {int(a) * size + int(b) for s in real for a, b in pairwise(s)}
    steps = (made[:, :-1] * size + made[:, 1:]).ravel()
    known = float(np.isin(steps, np.fromiter(pairs, np.int64, len(pairs))).mean()) if len(steps) else float("nan")
    lengths = float(np.mean([len(s) for s in real]))
    return {"items": (bits(p) + bits(q)) / 2, "transitions": known, "length": made.shape[1] / lengths}
