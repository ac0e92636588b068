"""Sequences that an attacker grows, each step a query: what the service says of a prefix decides what comes next.

``full`` begins with a piece of a real sequence, of 1 to T - 1 items. With probability rho = sigmoid(w . h + b) the next
item is drawn from the list, the earlier the likelier (1 / log2(1 + rank)); else from the pool,

    P(i | prefix) proportional to exp(score_i / heat) * count_i           of the few real sequences

h is the state of a network learned from the few real sequences; w, b are fitted to whether their true next items
were in the service's list. ``list`` and ``pool`` always do the one or the other; ``no pieces`` begins with one item of
a real sequence; ``data-free`` begins anywhere and takes any place of the list; ``random`` and ``popular`` (items as
frequent as in the real sequences) do not read what they get.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ethogram.audit.model_extraction.copying import Copy, Taught
from ethogram.audit.model_extraction.service import Service
from ethogram.numeric.balance import sigmoid
from ethogram.numeric.logistic import newton

HEAT = 1.0


def grow(
    service: Service, kind: str, real: list[np.ndarray], *, sequences: int, steps: int, own: Copy, seed: int,
    spread: int = 1_000_000,
) -> Taught:  # fmt: skip
    """Sequences of `steps` items with the list of every prefix, by as many queries as `sequences` of them take.

    Where rho is fitted, a twentieth of the queries goes into that, and fewer sequences are grown. `spread` sequences
    are grown from one account, all of them a step at a time; rho's queries come from one of their own.
    """
    rng, size = np.random.default_rng(seed), len(service.items)
    weights = None
    if kind in ("full", "no pieces"):
        probes = max(1, sequences // 20)
        weights = determinant(service, own, real, rng, probes * steps)
        sequences = max(1, sequences - probes)
    made, lists = np.empty((sequences, steps), np.int64), np.empty((sequences, steps, min(service.k, size)), np.int64)
    counts, begun = _counts(real, size), np.zeros(sequences, int)
    made[:, 0] = rng.integers(0, size, sequences)
    if kind in ("full", "list", "pool", "no pieces"):
        begun = _begin(made, real, rng, 2 if kind == "no pieces" else steps)
    vectors, accounts = own.network.vectors.detach().numpy(), np.arange(sequences) // spread
    for t in range(steps):
        if kind == "popular":
            made[:, t] = rng.choice(size, sequences, p=counts / counts.sum())
        lists[:, t] = service.query(made[:, : t + 1], accounts)
        if t + 1 == steps:
            break
        held = made[:, : t + 1]
        grown = _from_lists(lists[:, t], held, rng, even=kind == "data-free")
        if kind == "random":
            grown = np.full(sequences, -1)
        if kind in ("full", "no pieces", "pool"):
            states = own.states(held)
            take = np.zeros(sequences, bool)
            if weights is not None:
                take = rng.random(sequences) < sigmoid(weights[0] + states @ weights[1:])
            grown = np.where(take & (grown >= 0), grown, _from_pool(states @ vectors.T, counts, held, rng))
        grown = np.where(grown >= 0, grown, rng.integers(0, size, sequences))
        made[:, t + 1] = np.where(t + 1 < begun, made[:, t + 1], grown)
    return Taught(made, lists)


def _counts(real: list[np.ndarray], size: int) -> np.ndarray:
    return np.bincount(np.concatenate(real), minlength=size).astype(float) if real else np.ones(size)


def _begin(made: np.ndarray, real: list[np.ndarray], rng: np.random.Generator, below: int) -> np.ndarray:
    """Write a piece of a real sequence, of 1 to `below` - 1 items, at the beginning of each row; their lengths."""
    n = len(made)
    lengths = np.array([len(s) for s in real])
    chosen = rng.integers(0, len(real), n)
    begun = np.minimum(rng.integers(1, max(below, 2), n), lengths[chosen])
    start = rng.integers(0, lengths[chosen] - begun + 1)
    for row, i, a, b in zip(made, chosen, start, begun, strict=True):
        row[:b] = real[i][a : a + b]
    return begun


def determinant(
    service: Service, own: Copy, real: list[np.ndarray], rng: np.random.Generator, probes: int = 500
) -> np.ndarray:
    """(b, w) of rho, float64[1 + dim]; each prefix that is looked at is a query, `probes` of them at most."""
    every = [(i, t) for i, s in enumerate(real) for t in range(1, len(s))]
    chosen = [every[i] for i in rng.permutation(len(every))[:probes]]
    if not chosen:
        return np.zeros(1 + own.network.vectors.shape[1])
    prefixes = [real[i][max(0, t - 50) : t] for i, t in chosen]
    after = np.array([real[i][t] for i, t in chosen])
    lists = service.query(prefixes, np.full(len(prefixes), -1))
    listed, answered = (lists == after[:, None]).any(1), (lists >= 0).any(1).astype(float)
    columns = np.concatenate([np.ones((len(after), 1)), own.states(prefixes)], 1).astype(float)
    return newton(columns, listed, answered, ridge=1.0) if answered.any() else np.zeros(columns.shape[1])


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
