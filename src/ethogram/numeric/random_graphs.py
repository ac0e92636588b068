"""What a measure of a graph would be by chance: graphs that keep some of its facts and are random otherwise.

=============  ==============================================================================================
null           keeps
=============  ==============================================================================================
`uniform`      number of agents, of ties, and their weights; who is tied to whom is uniform (Erdős and Rényi)
`rewired`      every agent's number of outgoing and of incoming ties, and the weights of its own ties
permutation    the graph; whose attribute is whose is drawn (``x[rng.permutation(n)]``; needs no function)
=============  ==============================================================================================

`rewired` trades: agents are paired at random and the targets that only one of the two has are dealt anew between them,
each keeping its number (Strona et al., Nature Communications 2014; all agents in one round: Carstens, Berger, Strona,
2018). A round reads every tie once, whatever the degrees, where exchanging single ties would look each up. An agent
never receives itself, so that, as with exchanges, the orientation of isolated directed triangles stays.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ethogram.errors import OptionError
from ethogram.numeric.graphs import Graph

ROUNDS = 10
"""Rounds after which every tie was dealt about ten times."""


def uniform(graph: Graph, rng: np.random.Generator) -> Graph:
    """As many distinct ties between agents drawn uniformly; the weights are dealt to them at random."""
    n, m = len(graph), graph.ties
    most = n * (n - 1)
    if 2 * m > most:
        pairs = np.sort(rng.permutation(most)[:m])
    else:
        pairs = np.zeros(0, np.int64)
        while len(pairs) < m:  # what is drawn twice is drawn again
            pairs = np.sort(np.append(pairs, rng.integers(0, most, m - len(pairs))))
            pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
    source, target = np.divmod(pairs, max(n - 1, 1))
    target += target >= source  # the agent itself is skipped
    offsets = np.append(0, np.cumsum(np.bincount(source, minlength=n)))
    return Graph(offsets, target.astype(np.int32), rng.permutation(graph.weights))


def rewired(graph: Graph, rng: np.random.Generator, rounds: int = ROUNDS) -> Graph:
    """A graph with the same out-degrees and in-degrees.

    Raises
    ------
    OptionError
        `rounds` is below 1.
    """
    if rounds < 1:
        raise OptionError(f"rewired: rounds = {rounds}; give 1 or more.")
    targets = graph.targets.copy()
    mark = np.full(len(graph), -1, np.int32)
    pool = np.empty(int(graph.out_degree.max(initial=0)) * 2, np.int32)
    for _ in range(rounds):
        pairs = rng.permutation(len(graph)).astype(np.int32)
        _trade(graph.offsets, targets, pairs, mark, pool, int(rng.integers(1, 2**62)))
    # ascending again within each agent
    order = np.argsort(graph.sources.astype(np.int64) * len(graph) + targets)
    weights = graph.weights.copy()
    _shuffled(graph.offsets, weights, int(rng.integers(1, 2**62)))
    return Graph(graph.offsets, targets[order], weights)


@njit(cache=True, nogil=True)
def _next(state):  # type: ignore[no-untyped-def]
    """xorshift64*: one state of our own, so that nothing hangs on numba's."""
    state ^= state >> np.uint64(12)
    state ^= state << np.uint64(25)
    state ^= state >> np.uint64(27)
    return state


@njit(cache=True, nogil=True)
def _below(state, n):  # type: ignore[no-untyped-def]
    return np.int64(((state * np.uint64(2685821657736338717)) >> np.uint64(32)) * np.uint64(n) >> np.uint64(32))


@njit(cache=True, nogil=True)
def _trade(offsets, targets, pairs, mark, pool, seed):  # type: ignore[no-untyped-def]
    state = np.uint64(seed)
    for p in range(len(pairs) // 2):
        a, b = pairs[2 * p], pairs[2 * p + 1]
        # a mark of 2p says that b has it, 2p + 1 that both have it
        for e in range(offsets[b], offsets[b + 1]):
            mark[targets[e]] = 2 * p
        n, own = 0, 0
        for e in range(offsets[a], offsets[a + 1]):
            t = targets[e]
            if mark[t] == 2 * p:
                mark[t] = 2 * p + 1
            elif t != b:
                pool[n] = t
                n += 1
                own += 1
        for e in range(offsets[b], offsets[b + 1]):
            t = targets[e]
            if mark[t] == 2 * p and t != a:
                pool[n] = t
                n += 1
        for i in range(n - 1, 0, -1):
            state = _next(state)
            j = _below(state, i + 1)
            pool[i], pool[j] = pool[j], pool[i]
        i = 0
        for e in range(offsets[a], offsets[a + 1]):
            t = targets[e]
            if mark[t] != 2 * p + 1 and t != b:
                targets[e] = pool[i]
                i += 1
        for e in range(offsets[b], offsets[b + 1]):
            t = targets[e]
            if mark[t] == 2 * p and t != a:
                targets[e] = pool[i]
                i += 1
        for e in range(offsets[b], offsets[b + 1]):
            mark[targets[e]] = -1
        for e in range(offsets[a], offsets[a + 1]):
            mark[targets[e]] = -1


@njit(cache=True, nogil=True)
def _shuffled(offsets, values, seed):  # type: ignore[no-untyped-def]
    """Shuffle values within each row, in place."""
    state = np.uint64(seed)
    for r in range(len(offsets) - 1):
        start, count = offsets[r], offsets[r + 1] - offsets[r]
        for i in range(count - 1, 0, -1):
            state = _next(state)
            j = _below(state, i + 1)
            values[start + i], values[start + j] = values[start + j], values[start + i]
