"""Who is tied to whom: directed weighted graphs as compressed sparse rows.

A tie i -> j of weight w says that i acted on j w times. An undirected tie is two directed ones (`symmetric`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ethogram.errors import OptionError


@dataclass(frozen=True, eq=False)
class Graph:
    """Agents 0 ... n - 1 and their outgoing ties.

    Attributes
    ----------
    offsets : int64[n + 1]; agent i owns ties ``offsets[i]:offsets[i + 1]``. targets : int32[m], ascending within an
    agent, without repetition and without the agent itself. weights : float64[m], above 0.
    loops : how many given ties led from an agent to itself and were left out.
    """

    offsets: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    loops: int = 0

    @classmethod
    def of(cls, source: Any, target: Any, n: int | None = None, weight: Any = None) -> Graph:
        """From ties in any order; the weights of repeated ones add up.

        Parameters
        ----------
        source, target : int[m], agents. n : how many agents there are; None takes the highest plus 1.
        weight : float[m], finite and not below 0 (a tie of weight 0 is none); None counts 1 for each.

        Raises
        ------
        OptionError
            Other lengths, an agent outside 0 ... n - 1, or a weight that is none; the place is told.

        Examples
        --------
        >>> g = Graph.of([0, 0, 2, 1], [1, 1, 0, 1], 3)
        >>> g.offsets.tolist(), g.targets.tolist(), g.weights.tolist(), g.loops
        ([0, 1, 1, 2], [1, 0], [2.0, 1.0], 1)
        """
        a, b = (_agents(v, name) for v, name in ((source, "source"), (target, "target")))
        w = np.ones(len(a)) if weight is None else np.asarray(weight, np.float64)
        if not len(a) == len(b) == len(w):
            raise OptionError(f"graph: {len(a)} sources, {len(b)} targets, {len(w)} weights; one of each per tie.")
        size = int(max(a.max(initial=-1), b.max(initial=-1))) + 1 if n is None else int(n)
        for v, name in ((a, "source"), (b, "target")):
            wrong = (v < 0) | (v >= size)
            if wrong.any():
                at = int(np.argmax(wrong))
                raise OptionError(f"graph: {name} of tie {at} is {v[at]}; agents are 0 to {size - 1}.")
        wrong = ~(np.isfinite(w) & (w >= 0))
        if wrong.any():
            at = int(np.argmax(wrong))
            raise OptionError(f"graph: tie {at} has weight {w[at]}; weights are finite and at least 0.")
        loop = a == b
        kept = ~loop & (w > 0)
        key = a[kept] * size + b[kept]
        if weight is None:
            key.sort()
            starts = _firsts(key)
            weights = np.diff(np.append(starts, len(key))).astype(np.float64)
        else:
            order = np.argsort(key, kind="stable")
            key, w = key[order], w[kept][order]
            starts = _firsts(key)
            weights = np.add.reduceat(w, starts) if len(starts) else np.zeros(0)
        rows, targets = np.divmod(key[starts], max(size, 1))
        offsets = np.append(0, np.cumsum(np.bincount(rows, minlength=size)))
        return cls(offsets, targets.astype(np.int32), weights, int(loop.sum()))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def ties(self) -> int:
        return len(self.targets)

    @cached_property
    def sources(self) -> np.ndarray:
        """Agent of each tie, int32[m]."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.out_degree)

    @cached_property
    def out_degree(self) -> np.ndarray:
        """How many others each agent acted on, int64[n]."""
        return np.diff(self.offsets)

    @cached_property
    def in_degree(self) -> np.ndarray:
        """How many others acted on each agent, int64[n]."""
        return np.bincount(self.targets, minlength=len(self))

    @cached_property
    def in_strength(self) -> np.ndarray:
        """Weight of the ties that lead to each agent, float64[n]."""
        return np.bincount(self.targets, self.weights, len(self))

    @cached_property
    def out_strength(self) -> np.ndarray:
        """Weight of the ties of each agent, float64[n]."""
        return np.bincount(self.sources, self.weights, len(self))

    def kept(self, ties: np.ndarray) -> Graph:
        """The same agents with the ties where `ties` (bool[m]) holds."""
        count = np.bincount(self.sources[ties], minlength=len(self))
        return Graph(np.append(0, np.cumsum(count)), self.targets[ties], self.weights[ties])

    def reverse(self) -> Graph:
        """Every tie the other way round."""
        order = np.argsort(self.targets, kind="stable")  # sources stay ascending within a target
        offsets = np.append(0, np.cumsum(self.in_degree))
        return Graph(offsets, self.sources[order], self.weights[order])

    def symmetric(self) -> Graph:
        """Ties both ways wherever there is one; the weight counts the directions that there were."""
        a, b = self.sources, self.targets
        return Graph.of(np.concatenate([a, b]), np.concatenate([b, a]), len(self))


def _firsts(ascending: np.ndarray) -> np.ndarray:
    """Places at which a new value begins."""
    return np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)])


def _agents(given: Any, name: str) -> np.ndarray:
    values = np.asarray(given)
    if values.ndim != 1 or (len(values) and values.dtype.kind not in "iu"):
        raise OptionError(f"graph: {name} has shape {values.shape} of {values.dtype}; one whole number per tie.")
    return values.astype(np.int64)
